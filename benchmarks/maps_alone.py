"""What each map of a plan of the complete ResNet-50 costs alone, on images as they are and on distorted copies.

    python benchmarks/maps_alone.py path/to/sscd.onnx path/to/imagenet200 PLAN.fmzp --json maps_alone.json

1 - cosine between the embedding with that map stored and the one as shipped; the first calibration images, each by
another distortion.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from common import write_result
from paper_recall import embedded, looked_up, ways

import fmapzip
from fmapzip.eval.input_options import InputOptions
from fmapzip.eval.request import Request, load
from fmapzip.torch.calibrate import running
from fmapzip.torch.capture import capture

SHOWN = ("as it is", "inset", "rotate-inset", "dark-blur")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("plan", type=Path)
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    options = InputOptions(size="224", range="255")
    inputs = load(Request(arguments.model, arguments.data, preprocess="imagenet", input=options, torch_threads=1))
    plan = fmapzip.Plan.load(arguments.plan)
    data = inputs.parts.calibration
    assert data.read_by is not None
    assert inputs.preprocessing is not None
    images = {
        name: torch.from_numpy(data.read_by(i, replace(inputs.preprocessing, distortion=ways()[name])))[None]
        for i, name in enumerate(SHOWN)
    }
    captured = capture(inputs.model, images[SHOWN[0]])
    stored = {tap.name: looked_up(tap, plan) for tap in captured.taps}
    rows = []
    with torch.inference_mode():
        with running(captured, {}):
            exact = {name: embedded(captured, image) for name, image in images.items()}
        for names in [*([tap.name] for tap in captured.taps), list(stored)]:
            with running(captured, {name: stored[name] for name in names}):
                lost = {name: 1 - float(embedded(captured, image) @ exact[name]) for name, image in images.items()}
            rows.append({"map": names[0] if len(names) == 1 else "all", **lost})
            print(rows[-1], flush=True)
    write_result(arguments.json, "maps alone", {"model": Path(arguments.model).name, "maps": rows})


if __name__ == "__main__":
    main()
