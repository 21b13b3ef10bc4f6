"""The first pass of encoding blocks of ``dct-cm``: codes at each threshold, and so the split of the fewest bits."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.ring import choose
from fmapzip.reference.bit_blocks import BLOCK, SPLITS

CODE_BITS = 8
"""Bits of the rank of a value."""
COST_BITS = 11
"""Bits of a block's cost: at most 64 (1 + 3 + 8) and the like."""


def thresholds(split: tuple[int, int, int]) -> list[int]:
    """Where the classes of a split begin: t_0 to t_L."""
    zero_bitmap, small_bits, selectors = split
    return [zero_bitmap + (i << small_bits) for i in range(selectors + 1)]


COUNTED = sorted({t for split in SPLITS for t in thresholds(split)} - {0})
"""All thresholds that codes are compared with."""


class Choice(wiring.Component):
    """Counts a block's codes where `count`, the last with `end`, then says its `split` and `last_bits`, where `chosen`.

    A block's last code may come where `free`; the choice of the one before stands until `taken`.

    Parameters
    ----------
    code_bits : int, optional
        Of a code.
    """

    def __init__(self, code_bits: int = CODE_BITS) -> None:
        self._code_bits = code_bits
        super().__init__(
            {
                "code": In(code_bits),
                "count": In(1),
                "end": In(1),
                "size": In(range(BLOCK + 1)),
                "free": Out(1),
                "of_size": Out(range(BLOCK + 1)),
                "split": Out(4),
                "last_bits": Out(4),
                "chosen": Out(1),
                "taken": In(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m = Module()
        kept, largest, size = self._counts(m)
        reaching = dict(zip([0, *COUNTED], [size, *kept], strict=True))
        running, index, priced = Signal(), Signal(range(len(SPLITS))), Signal()
        m.d.comb += self.of_size.eq(size)
        m.d.comb += self.free.eq(~running & ~priced & ~self.chosen)
        terms = [Signal(range(BLOCK + 1), name=f"term_{i}") for i in range(4)]
        places = [thresholds(split) for split in SPLITS]
        for i, term in enumerate(terms):
            told = {k: reaching[t[i]] for k, t in enumerate(places) if i < SPLITS[k][2]}
            m.d.sync += term.eq(
                choose(m, told if i < 3 else {k: reaching[t[-1]] for k, t in enumerate(places)}, index, 7)
            )
        not_zero = Signal(range(BLOCK + 1))
        m.d.sync += not_zero.eq(choose(m, {k: reaching[t[0]] for k, t in enumerate(places)}, index, 7))
        end = choose(m, {k: t[-1] for k, t in enumerate(places)}, index, 6)
        beyond, last_bits = Signal(self._code_bits), Signal(4)
        m.d.comb += beyond.eq(Mux(largest > end, largest - end, 0))
        m.d.sync += last_bits.eq(_bit_length(m, beyond))
        split, small_bits, zero_bitmap = Signal(4), Signal(3), Signal()
        m.d.sync += [split.eq(index), zero_bitmap.eq(choose(m, {k: s[0] for k, s in enumerate(SPLITS)}, index, 1))]
        m.d.sync += small_bits.eq(choose(m, {k: s[1] for k, s in enumerate(SPLITS)}, index, 3))
        cost, best = Signal(COST_BITS), Signal(COST_BITS)
        flags = terms[0] + terms[1] + terms[2] + Mux(zero_bitmap, size, 0)
        m.d.comb += cost.eq(flags + small_bits * (not_zero - terms[3])[:7] + last_bits * terms[3])
        m.d.sync += priced.eq(running)
        with m.If(running):
            m.d.sync += [index.eq(index + 1), running.eq(index != len(SPLITS) - 1)]
        with m.If(priced & ((split == 0) | (cost < best))):
            m.d.sync += [best.eq(cost), self.split.eq(split), self.last_bits.eq(last_bits)]
        with m.If(priced & ~running):
            m.d.sync += self.chosen.eq(1)
        with m.If(self.taken):
            m.d.sync += self.chosen.eq(0)
        with m.If(self.count & self.end):
            m.d.sync += running.eq(1)
        return m

    def _counts(self, m: Module) -> tuple[list[Any], Any, Any]:
        """Of the last whole block: how many codes reach each threshold, the largest code, how many there are."""
        kept = []
        for threshold in COUNTED:
            counted, found, whole = (
                Signal(range(BLOCK + 1), name=f"{n}_{threshold}") for n in ("counted", "found", "whole")
            )
            m.d.comb += found.eq(counted + (self.code >= threshold))
            with m.If(self.count):
                m.d.sync += counted.eq(Mux(self.end, 0, found))
                with m.If(self.end):
                    m.d.sync += whole.eq(found)
            kept.append(whole)
        so_far, found, largest = (Signal(self._code_bits, name=name) for name in ("so_far", "found", "largest"))
        size = Signal(range(BLOCK + 1))
        m.d.comb += found.eq(Mux(self.code > so_far, self.code, so_far))
        with m.If(self.count):
            m.d.sync += so_far.eq(Mux(self.end, 0, found))
            with m.If(self.end):
                m.d.sync += [largest.eq(found), size.eq(self.size)]
        return kept, largest, size


def _bit_length(m: Module, value: Any) -> Any:
    """Bits that a number needs."""
    found = Signal(range(len(value) + 1))
    for i in range(len(value)):
        with m.If(value[i]):
            m.d.comb += found.eq(i + 1)
    return found
