"""The memory that turns blocks of codes, on Amaranth's simulator."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("amaranth")

from fmapzip.hardware.dct_cm_groups import line_words, size_word
from fmapzip.hardware.dct_cm_transpose import Transpose
from simulate import run


@pytest.mark.parametrize(("rows", "columns", "values"), [(4, 64, 1), (4, 64, 4), (16, 8, 2)])
def test_rows_come_out_as_columns(rows: int, columns: int, values: int) -> None:
    rng = np.random.default_rng(values)
    inputs: dict[str, list[int]] = {"size": [], "codes": []}
    wanted: list[int] = []
    for shape in ((rows, 5), (rows - 1, 4), (rows, 1), (3, 3)):
        block = rng.integers(0, 1 << 16, shape)
        inputs["size"].append(size_word(shape))
        inputs["codes"] += line_words(block, values)
        wanted += line_words(block.T, values)
    assert run(Transpose(rows, columns, values), inputs, {"turned": len(wanted)}, 0.3) == {"turned": wanted}
