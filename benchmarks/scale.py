"""What the stages of an evaluation in shards take, and whether a schedule made of them holds.

    python benchmarks/scale.py path/to/nets.py path/to/images --json benchmarks/results/scale.json

Each shard is a process with one thread. Seconds are of processor time, that of the system for it included: others that
use the machine hardly count, but for caches and memory. The stages are measured on a few batches; the schedule that
they make is then held against runs over more images, as one shard and as two at a time.
"""

from __future__ import annotations

import argparse
import base64
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import write_result
from scale_schedule import makespan

from fmapzip.eval.shard_file import read_shard

NETWORKS = ("squeezenet1_1", "resnet50v2_trunk")
CODEC = "context-rans"
BATCH, CALIBRATION = 4, 16


def worker(model: str, data: str, images: int, part: tuple[int, int], file: Path, plan: Path | None) -> None:
    """Run one shard; print when in this process's own time its stages began and ended, as JSON."""
    import torch

    from fmapzip.eval.codec_spec import parse_codec
    from fmapzip.eval.request import Request
    from fmapzip.eval.shards import run_shard
    from fmapzip.plan import Plan
    from fmapzip.torch.batches import EVALUATING

    torch.set_num_threads(1)
    ends: list[float] = []

    def progress(stage: str, done: int, total: int | None) -> None:
        del done, total
        if stage == EVALUATING:
            ends.append(time.process_time())

    request = Request(model, data, calib=f"first:{CALIBRATION}", images=images, batch=BATCH, torch_threads=1)
    run_shard(request, [parse_codec(CODEC) if plan is None else Plan.load(plan)], part, file, progress)
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"ends": ends, "end": time.process_time(), "peak_bytes": used.ru_maxrss * 1024}))


def started(model: str, data: str, images: int, shard: str, file: Path, plan: Path | None = None) -> Any:
    """A process of `worker`."""
    command = [sys.executable, __file__, model, data, "--worker", str(file), "--images", str(images), "--shard", shard]
    return subprocess.Popen([*command, *([] if plan is None else ["--plan", str(plan)])], stdout=subprocess.PIPE)


def ended(process: Any) -> dict[str, Any]:
    """What a worker printed."""
    out, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"a shard ended with {process.returncode}")
    found: dict[str, Any] = json.loads(out)
    return found


def stages_of(found: dict[str, Any]) -> dict[str, float]:
    """Start, batch and finish of a shard with two batches or more."""
    ends = found["ends"]
    batch = (ends[-1] - ends[0]) / (len(ends) - 1)
    return {"start": ends[0] - batch, "batch": batch, "finish": found["end"] - ends[-1]}


def merged(files: list[Path]) -> float:
    """Processor seconds of merging."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "fmapzip", "merge", *map(str, files), "--json", "-"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measured(model: str, data: str, images: int, folder: Path) -> dict[str, Any]:
    """The stages of a network, and the schedule that they make, held against runs."""
    calibrating = stages_of(ended(started(model, data, 2 * BATCH, "1/1", folder / "calibrated.json")))
    plan = folder / "plan.fmzp"
    plan.write_bytes(base64.b64decode(read_shard(folder / "calibrated.json").plans[0]))
    found = ended(started(model, data, 6 * BATCH, "1/1", folder / "few.json", plan))
    stages = stages_of(found)
    whole = ended(started(model, data, images, "1/1", folder / "whole.json", plan))
    halves = [folder / f"half{i}.json" for i in (1, 2)]
    running = [started(model, data, images, f"{i}/2", file, plan) for i, file in enumerate(halves, 1)]
    pair = [ended(process) for process in running]
    one, two = merged([folder / "whole.json"]), merged(halves)
    stages["calibration"] = (calibrating["start"] - stages["start"]) / CALIBRATION
    stages["merge"] = max(0.0, two - one)
    stages["merge_start"] = one - stages["merge"]
    sums = read_shard(folder / "whole.json").sums
    taps = sums.codecs[0].taps
    checks = [
        {
            "workers": workers,
            "predicted": makespan(stages, images, BATCH, workers, workers)[0],
            "measured": max(each["end"] for each in runs),
        }
        for workers, runs in ((1, [whole]), (2, pair))
    ]
    return {
        "batch": BATCH,
        "images": images,
        "stages": stages,
        "checks": checks,
        "peak_bytes": max(each["peak_bytes"] for each in (whole, *pair)),
        "document_bytes": halves[1].stat().st_size,
        "raw_bytes": sum(sum(counts) for counts in sums.maps) / images,
        "stored_bytes": sum(tap.total_bytes for tap in taps) / images,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", help="a file of functions; of a worker one of them")
    parser.add_argument("data")
    parser.add_argument("--network", action="append", help=f"repeatable; by default {', '.join(NETWORKS)}")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--shard", help=argparse.SUPPRESS)
    parser.add_argument("--plan", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker is not None:
        i, count = map(int, asked.shard.split("/"))
        worker(asked.networks, asked.data, asked.images, (i - 1, count), asked.worker, asked.plan)
        return
    rows = []
    for name in asked.network or NETWORKS:
        with tempfile.TemporaryDirectory() as folder:
            found = measured(f"{asked.networks}:{name}", asked.data, asked.images, Path(folder))
        rows.append({"network": name, **found})
        print(json.dumps(rows[-1], indent=1))
    if asked.json is not None:
        write_result(asked.json, "scale", {"codec": CODEC, "calibration_images": CALIBRATION, "networks": rows})


if __name__ == "__main__":
    main()
