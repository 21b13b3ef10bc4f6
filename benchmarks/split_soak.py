"""A long soak of a split's server: many small requests over one stream, and its memory all along.

python benchmarks/split_soak.py --requests 100000 --json soak.json
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from common import write_result
from torch import nn

from fmapzip.split import Client, cut, load, save_split

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "split"))
from serving import ServerProcess  # the tests' own


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(256, 4)
    images = torch.rand(100, 3, 12, 12)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "net"
        save_split(cut(nn.Sequential(*layers).eval(), images[:1], "2"), folder, images)
        figures = soak(folder, images, given.requests)
    print(figures)
    if given.json:
        write_result(given.json, "split_soak", figures)


def soak(folder: Path, images: torch.Tensor, requests: int) -> dict[str, Any]:
    split = load(folder)
    with torch.inference_mode():  # the head as the client runs it, on the batch; the tail image by image
        messages = split.codec.encode(split.head(images))
        wanted = torch.cat([split.tail(*split.codec.decode([message])) for message in messages])
    memory = []
    start = time.monotonic()
    with ServerProcess(folder) as server:
        with Client(server.address, split, insecure=True) as client:
            for i in range(0, requests, len(images)):
                if not torch.equal(client(images), wanted):
                    raise SystemExit(f"request {i}: another output than in one place")
                if i % max(1, requests // 20 // len(images) * len(images)) == 0:
                    memory.append(round(server.rss() / 1e6, 1))
        seconds = time.monotonic() - start
        code = server.stop()
    return {"requests": requests, "seconds": round(seconds, 1), "server_rss_mb": memory, "exit": code}


if __name__ == "__main__":
    main()
