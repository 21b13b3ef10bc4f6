"""DCT-CM's settings on a network: path x group x order x frequency mask x zero mask x coding, ratio and distortion.

    python benchmarks/dct_cm_grid.py path/to/nets.py:squeezenet1_1 path/to/images --images 40 \
        --json benchmarks/results/dct_cm_grid_squeezenet1_1.json

Calibrated by the standard protocol (rows 0, 5, 10, ...), reported on the first `--images` others. Each setting runs
through the network; nothing is chosen by calibration here.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from common import FIGURES, write_result

from fmapzip.cli.progress import progress
from fmapzip.codecs.dct_cm import CODINGS, DctCm
from fmapzip.eval.request import Request
from fmapzip.eval.run import run

STEP = 3.0
"""Of the transforms in the grid: the settings are compared at one step."""


def settings() -> Iterator[DctCm]:
    """The grid: every transform at one step, the mask path at several, and both by the share of zeros.

    Entropy coding changes no value, and training its models takes long: it runs where the order is the better one and
    all frequencies are kept, which shows what it saves in each group length, zero mask and path.
    """
    for coding in CODINGS:
        full = coding == "bitmap"
        orders, parts = (("natural", "correlation"), (1, 2)) if full else (("correlation",), (1,))
        for group, order, part, zero_mask in product((4, 8, 16, 32), orders, parts, (False, True)):
            keep = None if part == 1 else 3 * group // 4
            yield DctCm(
                path="transform", group=group, order=order, step=STEP, keep=keep, zero_mask=zero_mask, coding=coding
            )
        for mask_step in (1.0, 1.5, 2.0, 2.5, 3.0, 4.0):
            yield DctCm(path="mask", mask_step=mask_step, coding=coding)
        if full:
            yield DctCm(path="mask", mask_step=2.5, points="centred", coding=coding)
        for step, mask_step, threshold in ((2.25, 2.0, 0.05), (2.5, 2.5, 0.05), (2.5, 2.5, 0.3), (4.0, 4.0, 0.05)):
            yield DctCm(path="auto", threshold=threshold, step=step, mask_step=mask_step, coding=coding)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--preprocess")
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    request = Request(arguments.model, arguments.data, preprocess=arguments.preprocess, torch_threads=1)
    with progress() as advance:
        found = run(replace(request, images=arguments.images), list(settings()), advance)
    write_result(arguments.json, "dct-cm grid", _kept(found))


def _kept(found: dict[str, Any]) -> dict[str, Any]:
    """Totals alone: one short object a setting."""
    return {
        "model": found["model"].rpartition("/")[2],
        "data": found["data"].rstrip("/").rpartition("/")[2],
        **{key: found[key] for key in ("images", "calibration_images", "quantizer", "baselines")},
        "rows": [{"config": row["config"], **{key: row[key] for key in FIGURES}} for row in found["codecs"]],
    }


if __name__ == "__main__":
    main()
