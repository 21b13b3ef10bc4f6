"""What dead zones gain: an interval of zero that is wider than the others, at equal squared error, in real bytes.

    fmapzip capture path/to/nets.py:squeezenet1_1 path/to/images --limit 12 -o maps.fmz
    python benchmarks/dead_zones.py maps.fmz --json benchmarks/results/dead_zones_squeezenet1_1.json

The first half of an archive's samples trains tables and points, the other half is coded. Magnitudes that are at most so
many integers beyond half a step become zero before coding, nothing else changes. Bytes of such a dead zone are compared
with those without one at the same squared error, between steps.
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
from fmapzip.codecs.context_rans import ContextRans
from fmapzip.codecs.dct_cm import DctCm
from fmapzip.plan import Plan, TapPlan
from fmapzip.quantize import QuantParams

STEPS = (5, 7, 9, 11, 13, 15)
WIDER = (0, 1, 2, 3)
LEAST_VALUES = 4096  # of a map: the frames of smaller ones are mostly headers
Curve = list[tuple[float, int]]


def codec_at(name: str, step: int) -> Codec:
    return ContextRans(step=step) if name == "context-rans" else DctCm(path="mask", mask_step=float(step))


def coded(maps: NDArray[Any], name: str, step: int, wider: int) -> tuple[float, int]:
    """Squared error and bytes of the second half of the maps."""
    codec, half = codec_at(name, step), len(maps) // 2
    cut = np.where(abs(maps.astype(np.int16)) <= step // 2 + wider, 0, maps).astype(maps.dtype) if wider else maps
    quantizer = QuantParams(maps.dtype.name, (1.0,), "minmax")
    plan = Plan((TapPlan("map", maps.shape[1:], quantizer, codec, codec.train(cut[:half])),))
    frames = fmapzip.encode_batch(cut[half:], plan=plan, tap=0)
    decoded = fmapzip.decode_batch(frames, plan=plan)
    error = float(np.square(decoded.astype(np.float64) - maps[half:]).mean())
    return error, sum(map(len, frames))


def gains(plain: Curve, other: Curve) -> list[float]:
    """Share of the bytes of `plain` that `other` saves at each of its errors, between steps in logarithms."""
    errors, sizes = (np.log(each) for each in zip(*sorted(other), strict=True))
    inside = [(np.log(error), size) for error, size in plain if errors[0] <= np.log(error) <= errors[-1]]
    return [1 - float(np.exp(np.interp(error, errors, sizes))) / size for error, size in inside]


def measure(samples: Sequence[NDArray[Any]], name: str) -> dict[str, list[float]]:
    """Of each width beyond half a step, what it saves at the steps' errors."""
    maps = np.stack(list(samples))
    curves = {wider: [coded(maps, name, step, wider) for step in STEPS] for wider in WIDER}
    return {str(wider): gains(curves[0], curves[wider]) for wider in WIDER[1:]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--json", type=Path, required=True)
    given = parser.parse_args()
    taps = {name: samples for name, samples in load_maps(given.archive)[1].items() if samples[0].size >= LEAST_VALUES}
    result = {
        "network": given.json.stem.removeprefix("dead_zones_"),
        "samples": len(next(iter(taps.values()))),
        "steps": STEPS,
        "codecs": {
            name: [{"name": tap, "saved": measure(samples, name)} for tap, samples in taps.items()]
            for name in ("context-rans", "dct-cm")
        },
    }
    write_result(given.json, "dead zones", result, 1)


if __name__ == "__main__":
    main()
