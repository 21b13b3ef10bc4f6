"""Sums without rounding: the same for any order of the values, and for any way of adding them up in parts."""

from __future__ import annotations

import math
import re
from typing import Self

_PLACES = 1074  # the least positive double is 2**-1074, and every double a multiple of it
_TEXT = re.compile(r"(-?)0x([0-9a-f]{1,640})p(-?[0-9]{1,4})")
_MOST_EXPONENT = 1024
TEXT = rf"^({_TEXT.pattern}|inf|-inf|nan)$"
"""What `ExactSum.text` gives, as a regular expression."""


class ExactSum:
    """A sum of floats, rounded once: when its value is asked for.

    Examples
    --------
    >>> total = ExactSum()
    >>> for value in (1e16, 1.0, -1e16):
    ...     total.add(value)
    >>> total.value, total.text
    (1.0, '0x1p0')
    """

    __slots__ = ("_special", "_units")

    def __init__(self) -> None:
        self._units = 0  # of 2**-1074
        self._special = 0.0  # infinity or no number, once one was added

    def add(self, value: float) -> None:
        """Add a float; infinities and what is no number stay, as in any sum of floats."""
        if math.isfinite(value):
            numerator, denominator = value.as_integer_ratio()
            self._units += numerator << (_PLACES + 1 - denominator.bit_length())
        else:
            self._special += value

    def merge(self, other: ExactSum) -> None:
        """Add all that was added to another sum."""
        self._units += other._units
        self._special += other._special

    @property
    def value(self) -> float:
        """The float that is nearest to the sum."""
        if self._special:
            return self._special
        try:
            return self._units / (1 << _PLACES)
        except OverflowError:
            return math.inf if self._units > 0 else -math.inf

    @property
    def text(self) -> str:
        """The whole sum, as a hexadecimal integer and an exponent of two; one text for one sum."""
        if self._special:
            return str(self._special)
        if not self._units:
            return "0x0p0"
        zeros = (self._units & -self._units).bit_length() - 1
        return f"{'-' * (self._units < 0)}{abs(self._units) >> zeros:#x}p{zeros - _PLACES}"

    @classmethod
    def of_text(cls, text: str) -> Self:
        """The sum that `text` is of.

        Raises
        ------
        ValueError
            It is no such text.
        """
        found = cls()
        if text in ("inf", "-inf", "nan"):
            found._special = float(text)
            return found
        parts = _TEXT.fullmatch(text)
        if parts is None or not -_PLACES <= int(parts[3]) <= _MOST_EXPONENT:
            raise ValueError(f"no sum: {text[:40]!r}")
        units = int(parts[2], 16) << (int(parts[3]) + _PLACES)
        found._units = -units if parts[1] else units
        return found
