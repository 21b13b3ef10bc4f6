"""Sums as gates: terms are compressed by full adders, and one carry runs through at the end.

What Yosys makes of `+` and `*` is faster and half as large again; a chain of sums that each carry from the lowest bit
hides most of the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal


def signed_digits(constant: int) -> list[tuple[int, int]]:
    """A number as few powers of two: (sign, exponent) of each, no two of them neighbours.

    Examples
    --------
    >>> signed_digits(7)
    [(-1, 0), (1, 3)]
    """
    digits, place = [], 0
    while constant:
        if constant & 1:
            sign = 2 - constant % 4
            digits.append((sign, place))
            constant -= sign
        constant >>= 1
        place += 1
    return digits


class Sum:
    """A sum modulo 2^bits, whose terms are collected bit by bit."""

    def __init__(self, m: Module, bits: int) -> None:
        self._m, self._bits = m, bits
        self._columns: list[list[Any]] = [[] for _ in range(bits)]
        self._constant = 0

    def add_constant(self, constant: int) -> None:
        """Add a number."""
        self._constant += constant

    def add_bit(self, bit: Any, place: int) -> None:
        """Add a bit times 2^place."""
        if place < self._bits:
            self._columns[place].append(bit)

    def add(self, value: Any, place: int = 0, sign: int = 1) -> None:
        """Add a number times 2^place, or subtract it."""
        bits = [value[i] for i in range(len(value))]
        top = len(bits) - 1
        signed = value.shape().signed
        for i, bit in enumerate(bits):
            turned = (i == top and signed) != (sign < 0)
            self.add_bit(~bit if turned else bit, place + i)
            if turned:
                self._constant -= 1 << place + i

    def add_product(self, constant: int, value: Any) -> None:
        """Add a number times a constant."""
        for sign, place in signed_digits(constant):
            self.add(value, place, sign)

    def rows(self) -> list[Any]:
        """Two numbers with the sum, or one."""
        columns = self._two_high()
        height = max(map(len, columns))
        return [Cat(column[i] if i < len(column) else Const(0, 1) for column in columns) for i in range(height)]

    def result(self) -> Any:
        """The sum, as a signal without a sign."""
        return self._carried(self._two_high())

    def _two_high(self) -> Sequence[list[Any]]:
        columns = self._columns
        for place in range(self._bits):
            if self._constant >> place & 1:
                columns[place].append(Const(1, 1))
        while max(map(len, columns)) > 2:
            columns = self._compressed(columns)
        return columns

    def _compressed(self, columns: Sequence[list[Any]]) -> list[list[Any]]:
        found: list[list[Any]] = [[] for _ in range(self._bits + 1)]
        for place, column in enumerate(columns):
            rest = list(column)
            while len(rest) > 2:
                low, high = self._full(*rest[:3])
                rest = rest[3:]
                found[place].append(low)
                found[place + 1].append(high)
            found[place] += rest
        return found[: self._bits]

    def _carried(self, columns: Sequence[list[Any]]) -> Any:
        carry, out = Const(0, 1), []
        for column in columns:
            a, b = [*column, Const(0, 1), Const(0, 1)][:2]
            low, carry = self._full(a, b, carry)
            out.append(low)
        return self._named(Cat(out), self._bits)

    def _full(self, a: Any, b: Any, c: Any) -> tuple[Any, Any]:
        known = sorted((a, b, c), key=lambda bit: isinstance(bit, Const), reverse=True)
        if isinstance(known[0], Const):
            return self._half(known[0].value, known[1], known[2])
        half = self._named(a ^ b)
        return self._named(half ^ c), self._named((a & b) | (half & c))

    def _half(self, constant: int, a: Any, b: Any) -> tuple[Any, Any]:
        if isinstance(a, Const):
            if constant == a.value:
                return b, Const(constant, 1)
            return self._named(~b), b
        if constant:
            return self._named(~(a ^ b)), self._named(a | b)
        return self._named(a ^ b), self._named(a & b)

    def _named(self, value: Any, bits: int = 1) -> Any:
        named = Signal(bits)
        self._m.d.comb += named.eq(value)
        return named


def total(m: Module, terms: Sequence[tuple[int, Any]], bits: int, constant: int = 0) -> Any:
    """The sum of signals times constants and of a constant, modulo 2^bits."""
    found = Sum(m, bits)
    found.add_constant(constant)
    for factor, value in terms:
        found.add_product(factor, value)
    return found.result()
