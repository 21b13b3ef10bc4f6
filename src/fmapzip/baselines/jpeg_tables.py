"""The quantization tables of JPEG-ACT, and JPEG's zigzag order.

Values: the authors' published code (rdevans0/jpeg_act, common/helpers/jpeg.py), row by row, vertical frequency first;
``optsL`` and ``optsH`` are the powers of two of the variant whose hardware shifts instead of dividing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK = 8

_ROWS = {
    "optL": (
        (8, 7, 7, 7, 7, 6, 6, 6),
        (8, 7, 7, 7, 6, 6, 6, 6),
        (7, 7, 6, 6, 6, 6, 6, 6),
        (7, 6, 6, 6, 6, 6, 5, 5),
        (7, 6, 6, 6, 6, 6, 5, 5),
        (7, 6, 6, 6, 6, 6, 5, 5),
        (7, 6, 6, 6, 6, 5, 5, 5),
        (6, 6, 6, 6, 5, 5, 5, 5),
    ),
    "optsL": ((8,) * BLOCK,) * BLOCK,
    "optH": (
        (8, 26, 25, 25, 24, 24, 23, 22),
        (26, 24, 24, 23, 22, 22, 21, 20),
        (26, 24, 24, 23, 22, 21, 20, 20),
        (25, 23, 23, 22, 21, 21, 20, 19),
        (25, 23, 22, 21, 21, 20, 19, 19),
        (24, 22, 21, 20, 20, 20, 19, 19),
        (23, 21, 20, 20, 19, 19, 19, 19),
        (22, 20, 20, 19, 19, 19, 19, 19),
    ),
    "optsH": (
        (8, 32, 32, 32, 32, 32, 32, 16),
        (32, 32, 32, 32, 16, 16, 16, 16),
        (32, 32, 32, 32, 16, 16, 16, 16),
        (32, 32, 32, 16, 16, 16, 16, 16),
        (32, 32, 16, 16, 16, 16, 16, 16),
        (32, 16, 16, 16, 16, 16, 16, 16),
        (32, 16, 16, 16, 16, 16, 16, 16),
        (16, 16, 16, 16, 16, 16, 16, 16),
    ),
}

NAMES = tuple(_ROWS)


def steps(name: str) -> NDArray[np.float32]:
    """The table of that name, [8, 8]."""
    return np.array(_ROWS[name], np.float32)


def zigzag() -> NDArray[np.int64]:
    """Positions of a row-by-row [8, 8] block in the order of the zigzag (ITU-T T.81, figure 5)."""
    rows, columns = np.divmod(np.arange(BLOCK * BLOCK), BLOCK)
    diagonal = rows + columns
    along = np.where(diagonal % 2 == 0, columns, rows)
    return np.lexsort((along, diagonal))
