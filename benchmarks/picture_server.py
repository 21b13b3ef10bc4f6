"""The whole network behind one call over gRPC with TLS: a picture's bytes in, the output out.

What a split is compared with: sending the image. Started by `split_links.py`, which writes the network as a program.

    python benchmarks/picture_server.py program.pt2 declared.json HOST:PORT cert.pem key.pem
"""

from __future__ import annotations

import io
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import torch
from PIL import Image

from fmapzip.eval.preprocess import Preprocessing

METHOD = "/fmapzip.benchmarks.Pictures/Run"


def main(program: Path, declared: Path, address: str, certificate: Path, key: Path) -> None:
    torch.set_num_threads(1)
    network = torch.export.load(program).module()
    preprocessing = Preprocessing(**json.loads(declared.read_text()))

    def run(data: bytes, _: grpc.ServicerContext) -> bytes:
        pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        with torch.inference_mode():
            output = network(torch.from_numpy(preprocessing.of_array(pixels, "the image"))[None])
        return output.numpy().tobytes()

    _, service, method = METHOD.split("/")
    handler = grpc.method_handlers_generic_handler(service, {method: grpc.unary_unary_rpc_method_handler(run)})
    server = grpc.server(ThreadPoolExecutor(1), [handler])
    server.add_secure_port(address, grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())]))
    server.start()
    print("listening", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    program, declared, address, certificate, key = sys.argv[1:]
    main(Path(program), Path(declared), address, Path(certificate), Path(key))
