"""What fewer token tables and cells cost `context-rans`: bytes of maps that the tables were not trained on.

    python benchmarks/table_sizes.py squeezenet1_1.fmz ... --json benchmarks/results/table_sizes.json

Archives are those of `prove_blocks.py`, of several images. The models of a map are trained on all of its images but the
last, which is encoded. Hardware holds 304 bits for each table and lane, and 18 for each cell.
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from common import keep_by_archive

import fmapzip
from fmapzip import _core
from fmapzip.archive import Archive
from fmapzip.codecs import context_rans_training as training
from fmapzip.frame import parse_only
from fmapzip.geometry import worked_shape
from fmapzip.zero_point import below_zero, value_bytes

NUMBER, SOME_PLAN = 4, b"\0" * 8
SIZES = {
    "default": [(21, 6, 32), (21, 6, 16), (21, 6, 8), (21, 6, 4), (12, 4, 8), (8, 4, 8)],
    "fast": [(0, 0, 8), (0, 0, 4), (0, 0, 2)],
}
"""Levels of means and of spreads, and tables; the first of each level is what plans have."""


def stored(archive: Archive, name: str) -> dict[tuple[str, int, int, int], tuple[int, int]]:
    """Bytes of the last image's map and of its model, by level and size."""
    samples = list(archive.samples(name))
    header = parse_only(archive.frame(name, samples[-1]))
    integers = [fmapzip.decode(archive.frame(name, sample), plan=archive.plan) for sample in samples]
    below = below_zero(integers[0].dtype, header.zero_point)
    shape = worked_shape(integers[0].shape)
    values = np.stack([value_bytes(each, header.zero_point).reshape(shape) for each in integers])
    requantizer = training.Requantizer(below, Fraction(1), ())
    found = {}
    for level, sizes in SIZES.items():
        for size in sizes:
            if level == "fast":
                model = training.train_channels(values[:-1], requantizer, size[2]).to_bytes()
            else:
                model = training.train_neighbours(values[:-1], requantizer, training.ModelSize(*size)).to_bytes()
            codec = _core.Codec(NUMBER, model)
            frame = _core.encode(values[-1].view(np.uint8) + np.uint8(below), codec, b"", False, below, SOME_PLAN, 0, 1)
            found[level, *size] = len(frame), len(model)
    return found


def rows_of(archive: Archive, every: int) -> list[dict[str, Any]]:
    """Bytes of maps and of their models, by level and size."""
    maps = [stored(archive, name) for name in list(archive.names)[::every]]
    rows = []
    for key in maps[0]:
        level, levels, spread_levels, tables = key
        sizes = {"level": level, "levels": levels, "spread_levels": spread_levels, "tables": tables}
        total, models = (sum(each[key][i] for each in maps) for i in range(2))
        rows.append({"maps": len(maps), **sizes, "bytes": total, "models": models})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archives", nargs="+", type=Path)
    parser.add_argument("--every", type=int, default=1, help="only each so many-th map")
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    keep_by_archive(arguments.json, "table_sizes", arguments.archives, partial(rows_of, every=arguments.every))


if __name__ == "__main__":
    main()
