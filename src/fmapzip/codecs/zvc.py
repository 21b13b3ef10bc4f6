"""Zero-value coding: a bitmap of what is not zero, then those values."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import ClassVar

from fmapzip.codecs.base import LATER, Codec
from fmapzip.codecs.settings import check_tile_values
from fmapzip.errors import TruncatedFrame


@dataclass(frozen=True, repr=False)
class Zvc(Codec):
    """One bit a value that says zero or not, then the nonzero bytes (Rhu et al., "Compressing DMA Engine", 2018).

    Parameters
    ----------
    tile_values : int, optional
        How many values a tile may have, unless a row of the map has more: smaller tiles want less memory on a chip and
        take more bytes. By default 131072.

    Examples
    --------
    >>> import numpy as np, fmapzip
    >>> q = np.zeros((16, 8, 8), np.uint8)
    >>> q[:, 0, 0] = 7
    >>> frame = fmapzip.encode(q, "zvc")
    >>> len(frame) < q.size / 6, bool((fmapzip.decode(frame) == q).all())
    (True, True)
    """

    id: ClassVar[str] = "zvc"
    number: ClassVar[int] = 2

    tile_values: int | None = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        check_tile_values(self.tile_values)

    @property
    def lossless(self) -> bool:
        """Always true."""
        return True

    def sections(self, body: bytes, shape: tuple[int, int, int], parameters: bytes) -> dict[str, int]:
        """Bytes of the bitmap and of the nonzero values."""
        del parameters
        bitmap = (prod(shape) + 7) // 8
        if len(body) < bitmap:
            raise TruncatedFrame(f"zvc: a body of {len(body)} bytes ends inside its bitmap of {bitmap}")
        return {"bitmap": bitmap, "values": len(body) - bitmap}
