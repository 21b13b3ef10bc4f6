"""What storing costs a network in time: a pass with its feature maps stored, against the float pass.

    python benchmarks/pass.py path/to/nets.py:efficientnet_lite0 path/to/images --json benchmarks/results/pass.json

Passes take turns on one thread, over a batch that was not calibrated on. A time is the best of many, in seconds of
the thread's processor: others' work then hardly shows.
"""

from __future__ import annotations

import argparse
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

DEFAULT_CODECS = ("zvc", "context-rans")


def best_seconds(passes: dict[str, nn.Module], images: Tensor, repeat: int) -> dict[str, float]:
    """The least time of each network, the networks taking turns."""
    best = dict.fromkeys(passes, float("inf"))
    with torch.inference_mode():
        for _ in range(repeat + 1):  # the first goes to caches and allocators, and hardly is the best
            for name, net in passes.items():
                start = time.thread_time()
                net(images)
                best[name] = min(best[name], time.thread_time() - start)
    return best


def measure(
    model: str, data: str, specs: list[str], batch: int, calibration: int, repeat: int, channels_last: bool
) -> dict[str, Any]:
    """Ratios of the stored passes to the float one."""
    net, images = load_model(model), load_data(data)
    shown = list(Batches(images.select(range(calibration)), batch))
    tested, _ = next(iter(Batches(images.select(range(calibration, calibration + batch)), batch)))
    passes: dict[str, nn.Module] = {"float": net}
    passes |= {spec: fz.compress_model(net, parse_codec(spec), calibration=shown) for spec in specs}
    if channels_last:
        tested = tested.to(memory_format=torch.channels_last)
    best = best_seconds(passes, tested, repeat)
    rows = []
    for spec in specs:
        report = passes[spec].report()
        rows.append(
            {
                "codec": spec,
                "seconds": best[spec],
                "x_float": best[spec] / best["float"],
                "taps": len(report.taps),
                "ratio_payload": report.raw_bytes / sum(tap.payload_bytes for tap in report.taps),
            }
        )
        print(f"{spec}: {rows[-1]['x_float']:.3f} x the float pass")
    return {
        "model": model.rpartition(":")[2],
        "input": list(tested.shape),
        "channels_last": channels_last,
        "calibration_images": calibration,
        "repeat": repeat,
        "float_seconds": best["float"],
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
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    specs = arguments.codec or list(DEFAULT_CODECS)
    result = measure(
        arguments.model,
        arguments.data,
        specs,
        arguments.batch,
        arguments.calibration,
        arguments.repeat,
        arguments.channels_last,
    )
    if arguments.json:
        write_result(arguments.json, "pass", result)


if __name__ == "__main__":
    main()
