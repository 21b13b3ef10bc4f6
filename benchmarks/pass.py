"""What storing costs a network in time: a pass with its feature maps stored, against the float pass.

    python benchmarks/pass.py path/to/nets.py:efficientnet_lite0 path/to/images --json benchmarks/results/pass.json

Passes take turns on one thread, over a batch that was not calibrated on. A time is the best of many, in seconds of
the thread's processor: time that others have the processor does not count. That they share its caches and memory
does, for all passes alike: read the ratios, not the seconds. `copy` only copies each tap's floats to memory that is
used again: what storing costs at least where a layer's output is not written over.

By default, glibc returns the memory of large tensors to the system, and each pass pays for its pages anew, which
is a good part of a float pass. So everything is measured twice, also with an allocator that keeps its memory.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from common import write_result
from torch import Tensor, nn

import fmapzip.torch as fz
from fmapzip.eval.codec_spec import parse_codec
from fmapzip.eval.data import load_data
from fmapzip.eval.loading import Batches
from fmapzip.eval.models import load_model
from fmapzip.torch.chunks import empty_like
from fmapzip.torch.slot import TapSlot

DEFAULT_CODECS = ("zvc", "context-rans:level=fast", "context-rans")
_NEVER = str(1 << 40)
ALLOCATORS = {
    "glibc's defaults": {},
    "memory is kept": {"MALLOC_MMAP_THRESHOLD_": _NEVER, "MALLOC_TRIM_THRESHOLD_": _NEVER},
}


def best_of(passes: dict[str, nn.Module], images: Tensor, repeat: int) -> dict[str, tuple[float, int]]:
    """The least time of each network, the networks taking turns, and the page faults of that pass."""
    best = dict.fromkeys(passes, (float("inf"), 0))
    with torch.inference_mode():
        for _ in range(repeat + 1):  # the first goes to caches and allocators, and hardly is the best
            for name, net in passes.items():
                faults = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
                start = time.thread_time()
                net(images)
                seconds = time.thread_time() - start
                faults = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - faults
                best[name] = min(best[name], (seconds, faults))
    return best


def copied(x: Tensor) -> Tensor:
    """A copy in memory that is used again, as stored maps are."""
    return empty_like(x).copy_(x)


def copying(net: nn.Module, shown: list[Any]) -> nn.Module:
    """The network with its taps copied instead of stored."""
    captured = fz.compress_model(net, "raw", calibration=shown)
    for slot in captured.modules():
        if isinstance(slot, TapSlot) and slot.action is not None:
            slot.action = copied
    return captured


def measure(
    model: str, data: str, specs: list[str], batch: int, calibration: int, repeat: int, channels_last: bool
) -> dict[str, Any]:
    """Ratios of the stored passes to the float one."""
    net, images = load_model(model), load_data(data)
    shown = list(Batches(images.select(range(calibration)), batch))
    tested, _ = next(iter(Batches(images.select(range(calibration, calibration + batch)), batch)))
    stored = {spec: fz.compress_model(net, parse_codec(spec), calibration=shown) for spec in specs}
    if channels_last:
        tested = tested.to(memory_format=torch.channels_last)
    best = best_of({"float": net, "copy": copying(net, shown), **stored}, tested, repeat)
    rows = [
        {"pass": name, "seconds": seconds, "x_float": seconds / best["float"][0], "page_faults": faults}
        for name, (seconds, faults) in best.items()
    ]
    for row in rows:
        if row["pass"] in stored:
            taps = stored[str(row["pass"])].report().taps
            row["ratio_payload"] = sum(tap.raw_bytes for tap in taps) / sum(tap.payload_bytes for tap in taps)
    taps = stored[specs[0]].report().taps
    return {
        "model": model.rpartition(":")[2],
        "input": list(tested.shape),
        "channels_last": channels_last,
        "calibration_images": calibration,
        "repeat": repeat,
        "taps": len(taps),
        "values": sum(tap.raw_bytes for tap in taps) // (repeat + 1),
        "rows": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--codec", action="append", help="a codec with settings, as for `fmapzip eval`; repeatable")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--calibration", type=int, default=16)
    parser.add_argument("--repeat", type=int, default=30)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        torch.set_num_threads(1)
        found = measure(
            arguments.model,
            arguments.data,
            arguments.codec or list(DEFAULT_CODECS),
            arguments.batch,
            arguments.calibration,
            arguments.repeat,
            arguments.channels_last,
        )
        print(json.dumps(found))
        return
    result: dict[str, Any] = {}
    rows = []
    for allocator, variables in ALLOCATORS.items():
        command = [sys.executable, __file__, *sys.argv[1:], "--one"]
        done = subprocess.run(command, env={**os.environ, **variables}, stdout=subprocess.PIPE, text=True, check=True)
        result = json.loads(done.stdout)
        rows += [{"allocator": allocator, **row} for row in result.pop("rows")]
        for row in rows:
            if row["allocator"] == allocator:
                print(f"{allocator}: {row['pass']}: {row['x_float']:.3f} x the float pass")
    if arguments.json:
        write_result(arguments.json, "pass", {**result, "rows": rows})


if __name__ == "__main__":
    main()
