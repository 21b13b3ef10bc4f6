"""How long an evaluation in shards takes on many cores, by the times of its stages.

    python benchmarks/scale_schedule.py benchmarks/results/scale.json --images 1281167 --cores 256 --shards 1024

Shards wait in a queue; each core takes the next one when it is free. A shard pays its start, its calibration where it
has no plan, its batches and its document; at last one core merges all documents.
"""

from __future__ import annotations

import argparse
import heapq
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fmapzip.eval.shard_rows import shard_rows

Stages = Mapping[str, float]
"""Seconds: ``start``, ``calibration`` (an image), ``batch``, ``finish``, ``merge`` (a shard), ``merge_start``."""


def shard_seconds(stages: Stages, batches: int, calibration_images: int = 0) -> float:
    """What one shard takes."""
    calibration = stages["calibration"] * calibration_images
    return stages["start"] + calibration + batches * stages["batch"] + stages["finish"]


def makespan(
    stages: Stages, images: int, batch: int, shards: int, cores: int, calibration_images: int = 0
) -> tuple[float, float]:
    """Seconds from the first start to the last shard's end, and seconds of the merge after it.

    Examples
    --------
    >>> stages = {"start": 2, "calibration": 0, "batch": 1, "finish": 0, "merge": 0.5, "merge_start": 1}
    >>> makespan(stages, images=40, batch=4, shards=3, cores=2)
    (9, 2.5)
    """
    free: list[float] = [0] * cores
    for shard in range(shards):
        start = heapq.heappop(free)
        _, batches = shard_rows(images, batch, (shard, shards))
        heapq.heappush(free, start + shard_seconds(stages, batches, calibration_images))
    return max(free), stages["merge_start"] + shards * stages["merge"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path, help="what benchmarks/scale.py wrote")
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--cores", type=int, default=16)
    parser.add_argument("--shards", type=int, help="by default four a core")
    parser.add_argument("--calibration-images", type=int, default=0, help="0: the shards have a plan")
    asked = parser.parse_args()
    found: dict[str, Any] = json.loads(asked.result.read_text())
    shards = asked.shards or 4 * asked.cores
    for row in found["networks"]:
        given = (asked.images, row["batch"], shards, asked.cores, asked.calibration_images)
        work, merge = makespan(row["stages"], *given)
        print(f"{row['network']}: {work / 60:.1f} minutes, and {merge:.1f} s of merging {shards} shards")


if __name__ == "__main__":
    main()
