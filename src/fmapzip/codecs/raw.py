"""Values as they are: the 8-bit reference that every ratio is taken against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fmapzip.codecs.base import Codec


@dataclass(frozen=True, repr=False)
class Raw(Codec):
    """Stores each value as its byte.

    Examples
    --------
    >>> import numpy as np, fmapzip
    >>> q = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    >>> bool((fmapzip.decode(fmapzip.encode(q, "raw")) == q).all())
    True
    """

    id: ClassVar[str] = "raw"
    number: ClassVar[int] = 1

    @property
    def lossless(self) -> bool:
        """Always true."""
        return True
