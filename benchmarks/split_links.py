"""Latency of a split network at several links: a real server and client, and between them a link that is shaped.

    python benchmarks/split_links.py path/to/nets.py:squeezenet1_1 path/to/images --at features.3.expand1x1 \
        --json benchmarks/results/split_links.json
"""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from common import write_result

from fmapzip.eval.codec_spec import parse_codec
from fmapzip.eval.request import Request, load
from fmapzip.split import Client, Split, cut, save_split
from fmapzip.split import load as read

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "split"))
from shaping import ShapedLink  # the tests' own

LINKS = [(rate, trip) for rate in (1, 10, 100) for trip in (20, 100)]
CODECS = ("raw", "context-rans", "context-rans:step=4")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--at", required=True)
    parser.add_argument("--images", type=int, default=8, help="sent over each link; as many calibrate")
    parser.add_argument("--json", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    calib = f"first:{given.images}"
    inputs = load(Request(given.model, given.data, calib=calib, limit=2 * given.images))
    images = torch.cat([batch for batch, _ in inputs.images])
    halves = cut(inputs.model, images[:1], given.at)
    here = [seconds(lambda x=x: inputs.model(x[None])) for x in images]
    ways = []
    with tempfile.TemporaryDirectory() as place:
        for codec in CODECS:
            save_split(halves, Path(place) / "net", inputs.calibration, [parse_codec(codec)])
            ways.append({"codec": codec, **served(Path(place) / "net", images)})
    result = {
        "model": given.model.rpartition(":")[2],
        "at": given.at,
        "images": given.images,
        "here_ms": round(1000 * median(here), 1),
        "ways": ways,
    }
    write_result(given.json, "split_links", result)


def served(folder: Path, images: torch.Tensor) -> dict[str, Any]:
    """Median milliseconds of an image at each link, outputs held against those of one place."""
    split = read(folder)
    wanted = [split(x[None]) for x in images]
    command = [sys.executable, "-m", "fmapzip", "serve", str(folder), "--insecure", "--port", "0"]
    with subprocess.Popen([*command, "--torch-threads", "1"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r" on (\S+), batches", process.stdout.readline())
            assert found is not None
            figures = {f"{rate}_{trip}": over(found[1], split, images, wanted, rate, trip) for rate, trip in LINKS}
        finally:
            process.send_signal(signal.SIGTERM)
    return {"bytes": round(sum(rung.bytes for rung in split.manifest.ladder)), **figures}


def over(
    server: str, split: Split, images: torch.Tensor, wanted: Sequence[torch.Tensor], rate: float, trip: float
) -> float:
    with (
        ShapedLink(server, rate * 1e6 / 8, trip / 2000) as link,
        Client(link.address, split, insecure=True) as client,
    ):
        client(images[:1])
        took = []
        for x, output in zip(images, wanted, strict=True):
            start = time.perf_counter()
            if not torch.equal(client(x[None]), output):
                raise SystemExit("another output than in one place")
            took.append(time.perf_counter() - start)
    return round(1000 * median(took), 1)


def seconds(work: Any) -> float:
    start = time.perf_counter()
    with torch.inference_mode():
        work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
