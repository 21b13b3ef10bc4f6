"""What the transform path is worth: its bits against those of the mask path at the same squared error, by kind of map.

    fmapzip capture MODEL IMAGES -o maps.fmz     # images that nothing is reported on
    python benchmarks/dct_cm_transforms.py maps.fmz --json benchmarks/results/dct_cm_transforms.json

Bits of the tile bodies and squared errors are pooled over the feature maps of a kind. Settings are trained on the
first half of each map's samples and measured on the others.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import load_maps, write_result
from numpy.typing import NDArray

import fmapzip
from fmapzip.codecs.base import Codec
from fmapzip.codecs.dct_cm import DctCm
from fmapzip.frame import parse

STEP = 2.25
MASK_STEPS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0)
DENSE = 0.05
MIXED = 0.3

Figures = tuple[float, float]  # bits a value, mean squared error


def settings() -> dict[str, DctCm]:
    """What is compared: one setting changed at a time from groups of 8 in an order by correlation."""
    base = DctCm(path="transform", step=STEP)
    changes: dict[str, dict[str, Any]] = {
        "group 8, order by correlation": {},
        "natural order": {"order": "natural"},
        "group 4": {"group": 4},
        "group 16": {"group": 16},
        "group 32": {"group": 32},
        "steps rising to twice the first": {"slope": 1.0, "step": STEP / 1.5},
        "lowest 6 of 8 frequencies": {"keep": 6},
        "zero mask": {"zero_mask": True},
    }
    return {name: DctCm(**{**_changed(base), **change}) for name, change in changes.items()}


def _changed(codec: DctCm) -> dict[str, Any]:
    return {"path": codec.path, "step": codec.step}


def figures(codec: Codec, maps: Sequence[Sequence[NDArray[Any]]]) -> Figures:
    """Payload bits a value and squared error over feature maps, each trained on the first half of its samples."""
    size = squares = values = 0
    for samples in maps:
        half = len(samples) // 2
        quantizer = fmapzip.QuantParams("int8" if samples[0].dtype == np.int8 else "uint8", (1.0,), "none")
        tap = fmapzip.TapPlan("x", samples[0].shape, quantizer, codec, codec.train(np.stack(samples[:half])))
        plan = fmapzip.Plan((tap,))
        for q in samples[half:]:
            frame = fmapzip.encode(q, plan=plan, tap="x")
            size += sum(parse(frame).tile_lengths)
            squares += int(((fmapzip.decode(frame, plan=plan).astype(np.int64) - q) ** 2).sum())
            values += q.size
    return 8 * size / values, squares / values


def kind_of(samples: Sequence[NDArray[Any]]) -> str:
    """Maps by sign and share of zeros."""
    zeros = float(np.mean([(q == 0).mean() for q in samples]))
    if zeros < DENSE:
        return "signed, under 5 % zeros" if samples[0].dtype == np.int8 else "unsigned, under 5 % zeros"
    return "5 to 30 % zeros" if zeros < MIXED else "over 30 % zeros"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    names, maps = load_maps(arguments.archive)
    kinds: dict[str, list[list[NDArray[Any]]]] = {}
    for name in names:
        kinds.setdefault(kind_of(maps[name]), []).append(maps[name])
    rows = []
    for kind, members in kinds.items():
        curve = [figures(DctCm(path="mask", mask_step=step), members) for step in MASK_STEPS]
        errors = [error for _, error in curve]
        for name, codec in settings().items():
            bits, error = figures(codec, members)
            same = float(np.interp(error, errors, [b for b, _ in curve]))
            within = errors[0] <= error <= errors[-1]
            rows.append(
                {
                    "maps": kind,
                    "feature_maps": len(members),
                    "setting": name,
                    "bits_per_value": bits,
                    "squared_error": error,
                    "mask_path_bits_at_this_error": same if within else None,
                }
            )
            print(f"{kind:28} {name:32} {bits:6.3f} bits, error {error:7.3f}; mask path {same:6.3f} bits")
    write_result(arguments.json, "dct-cm transforms", {"archive": arguments.archive.name, "rows": rows})


if __name__ == "__main__":
    main()
