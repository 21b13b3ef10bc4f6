"""Streaming histograms: bounded memory, and the same counts in whatever order values arrive."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

# A range below 2**-100 is widened to it: every scale that is taken from it stays a normal float32.
_MIN_EXPONENT = -100


class ValueHistogram:
    """How often each 8-bit value occurs.

    Parameters
    ----------
    dtype : {"uint8", "int8"} or such a dtype
    zero_point : int
        The integer that stands for 0; values are counted from it.

    Attributes
    ----------
    first : int
        The least value.
    counts : ndarray
        256 counts, of the values from `first` on.

    Examples
    --------
    >>> seen = ValueHistogram("int8")
    >>> seen.add(np.array([0, 0, 1, -128], np.int8))
    >>> seen.total, seen.zeros, seen.entropy_bits
    (4, 0.5, 1.5)
    """

    def __init__(self, dtype: DTypeLike, zero_point: int = 0) -> None:
        self._least = int(np.iinfo(np.dtype(dtype)).min)
        self.first = self._least - zero_point
        self.counts: NDArray[np.int64] = np.zeros(256, np.int64)

    def add(self, q: NDArray[np.uint8] | NDArray[np.int8]) -> None:
        """Count the integers of an array of the type, of any shape."""
        bytes_ = np.ascontiguousarray(q).view(np.uint8).reshape(-1)
        self.counts += np.roll(np.bincount(bytes_, minlength=256), -self._least)

    def to_json(self) -> dict[str, Any]:
        """What reports say: see `fmapzip.documents.maps`."""
        return {
            "raw_bytes": self.total,
            "zeros": self.zeros,
            "entropy_bits": self.entropy_bits,
            "first_value": self.first,
            "histogram": self.counts.tolist(),
        }

    @property
    def total(self) -> int:
        """How many values there were."""
        return int(self.counts.sum())

    @property
    def zeros(self) -> float:
        """Share of the values that are zero; 0 before the first value."""
        return int(self.counts[-self.first]) / max(self.total, 1)

    @property
    def entropy_bits(self) -> float:
        """Order-0 entropy in bits a value."""
        shares = self.counts[self.counts > 0] / max(self.total, 1)
        return float((shares * np.log2(1 / shares)).sum())


class MagnitudeHistogram:
    """Counts of ``|x|`` in equal bins over ``[0, 2**k)``, one row a channel.

    The range is the smallest power of two above every value seen. When it grows, neighbouring bins merge, and because
    the bin edges nest the counts are those that one look at all the values would have given.

    Parameters
    ----------
    rows : int
        Independent histograms: 1, or the number of channels.
    bins : int
        Bins a row, a power of two.
    """

    def __init__(self, rows: int, bins: int) -> None:
        self.bins = bins
        self.counts: NDArray[np.int64] = np.zeros((rows, bins), np.int64)
        self.zeros: NDArray[np.int64] = np.zeros(rows, np.int64)
        self.maximum: NDArray[np.float32] = np.zeros(rows, np.float32)
        self._exponent = np.full(rows, _MIN_EXPONENT, np.int64)

    @property
    def bin_width(self) -> NDArray[np.float64]:
        """Width of a row's bins, [rows]."""
        return np.ldexp(1.0 / self.bins, self._exponent)

    def add(self, row: int, magnitudes: NDArray[np.float32]) -> None:
        """Count finite, non-negative values (any shape) in ``row``."""
        largest = magnitudes.max(initial=np.float32(0))
        self.maximum[row] = max(self.maximum[row], largest)
        self._widen(row, max(int(np.frexp(largest)[1]), _MIN_EXPONENT) if largest > 0 else _MIN_EXPONENT)
        factor = np.float32(np.ldexp(float(self.bins), -int(self._exponent[row])))
        index = (magnitudes * factor).astype(np.int32, order="K").ravel(order="K")
        self.counts[row] += np.bincount(index, minlength=self.bins)
        self.zeros[row] += magnitudes.size - int(np.count_nonzero(magnitudes))

    def _widen(self, row: int, exponent: int) -> None:
        doublings = exponent - int(self._exponent[row])
        if doublings <= 0:
            return
        self._exponent[row] = exponent
        merged = np.zeros(self.bins, np.int64)
        np.add.at(merged, np.arange(self.bins) >> min(doublings, 62), self.counts[row])
        self.counts[row] = merged

    def percentile(self, row: int, percent: float) -> float:
        """Return the magnitude that ``percent`` % of the row's values do not exceed, interpolated within its bin."""
        counts = self.counts[row].astype(np.float64)
        total = counts.sum()
        wanted = total * percent / 100
        if wanted <= self.zeros[row]:
            return 0.0
        counts[0] -= self.zeros[row]
        below = self.zeros[row] + np.concatenate(([0.0], np.cumsum(counts)))
        index = min(int(np.searchsorted(below, wanted, side="left")) - 1, self.bins - 1)
        inside = (wanted - below[index]) / max(counts[index], 1.0)
        return float(min((index + inside) * self.bin_width[row], self.maximum[row]))
