"""Fewer channels across a cut, and channels with steps of their own, against one coarser step for all.

    python benchmarks/reductions.py path/to/nets.py:squeezenet1_1 path/to/imagenet200 --at features.3.expand1x1 \
        --state runs/reductions --json benchmarks/results/reductions_squeezenet1_1.json
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import torch
from common import write_result

from fmapzip.eval.codec_spec import parse_codec
from fmapzip.eval.request import Inputs, Request, load
from fmapzip.measurements import MeasurementCache
from fmapzip.quantize import DEFAULT_CALIBRATOR
from fmapzip.split.codec import CrossingCodec
from fmapzip.split.halves import Cut, cut
from fmapzip.split.manifest import CrossingMap
from fmapzip.split.reduction import with_reduction
from fmapzip.torch.batches import Batches, ignore_progress
from fmapzip.torch.calibrate import calibrate
from fmapzip.torch.metrics import Scores

STEPS = {"none": (1, 2, 3, 4, 6), "weighted": (1, 2, 3, 4), "3/4": (1, 2), "1/2": (1, 2), "1/4": (1,)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--at", required=True)
    parser.add_argument("--state", type=Path, help="what is done, so that it goes on from there")
    parser.add_argument("--json", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    inputs = load(Request(given.model, given.data))
    image, _ = next(iter(inputs.calibration))
    whole = cut(inputs.model, image[:1], given.at)
    cache = MeasurementCache(given.state, "reductions", [given.model, given.at])
    rows = []
    for reduction, steps in STEPS.items():
        rows += cache.get(reduction, partial(measured, whole, reduction, steps, inputs))
        print(rows[-len(steps) :], flush=True)
    crossing = [list(tap.shape) for tap in whole.taps]
    facts = {"model": given.model.rpartition(":")[2], "at": given.at, "crossing": crossing}
    write_result(given.json, "reductions", {**facts, "images": len(inputs.parts.images), "rows": rows})


def measured(whole: Cut, reduction: str, steps: tuple[int, ...], inputs: Inputs) -> list[dict[str, Any]]:
    """Mean bytes of an image, KL to the float network and changed predictions, on the images that did not calibrate."""
    reduced = with_reduction(whole, reduction, inputs.calibration)
    found = calibrate(
        reduced.whole, reduced.taps, Batches(inputs.calibration, "images"), DEFAULT_CALIBRATOR, ignore_progress
    )
    plans = [found.plan(parse_codec(f"context-rans:step={step}" if step > 1 else "context-rans")) for step in steps]
    maps = [
        CrossingMap(tap.name, tap.shape, tap.axis, layout)  # type: ignore[arg-type]
        for tap, layout in zip(reduced.taps, reduced.layouts, strict=True)
    ]
    coder = CrossingCodec(maps, plans)
    rows = [{"reduction": reduction, "step": step, "bytes": 0.0, "kl": 0.0, "changed": 0} for step in steps]
    with torch.inference_mode():
        for x, _ in inputs.images:
            exact = Scores(inputs.model(x))
            sent = reduced.head(x)
            for rung, row in enumerate(rows):
                messages = coder.encode(sent, rung)
                got = Scores(reduced.tail(*coder.decode(messages, rung)))
                row["bytes"] += sum(sum(map(len, message)) for message in messages)
                row["kl"] += float(exact.divergence_to(got).sum())
                row["changed"] += int((exact.predictions != got.predictions).sum())
    images = len(inputs.parts.images)
    return [{**row, "bytes": row["bytes"] / images, "kl": row["kl"] / images} for row in rows]


if __name__ == "__main__":
    main()
