"""What a second worker on Ray gains: whole evaluations by `eval --ray local`, from the command's start to its end.

    python benchmarks/scale_ray.py path/to/nets.py:squeezenet1_1 path/to/images plan.fmzp \
        --json benchmarks/results/scale_ray.json

Each worker has one thread. Every command is run over few images and over many: what lies between is the workers' own,
and the rest is Ray's start, the network's and the merging. Wants a machine with a processor for each worker, and quiet.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from common import write_result

WORKERS = (1, 2)
BATCH, SHARDS = 4, 16


def seconds(asked: argparse.Namespace, images: int, workers: int) -> float:
    """How long a whole command takes; Ray's workers would come behind all other programs otherwise."""
    command = [sys.executable, "-m", "fmapzip", "eval", asked.model, asked.data, "--plan", str(asked.plan)]
    command += ["--images", str(images), "--batch", str(BATCH), "--torch-threads", "1", "--ray", "local"]
    command += ["--workers", str(workers), "--shards", str(SHARDS), "--json", "-"]
    before = time.perf_counter()
    environment = {**os.environ, "RAY_worker_niceness": "0"}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("plan", type=Path)
    parser.add_argument("--images", type=int, nargs=2, default=(80, 480), help="few and many")
    parser.add_argument("--json", type=Path, required=True)
    asked = parser.parse_args()
    runs: list[dict[str, Any]] = []
    for workers in WORKERS:
        for images in asked.images:
            runs.append({"workers": workers, "images": images, "seconds": seconds(asked, images, workers)})
            print(runs[-1], flush=True)
    network = asked.model.rpartition(":")[2]
    write_result(asked.json, "scale_ray", {"network": network, "batch": BATCH, "shards": SHARDS, "runs": runs})


if __name__ == "__main__":
    main()
