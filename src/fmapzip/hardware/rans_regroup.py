"""Items that come in groups of any count, in groups of as many as a tile has lanes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.streams import beats


class Regroup(wiring.Component):
    """Beats of up to so many items become beats of 2^`shift` items; the last one holds what is left, maybe nothing.

    The items of `input` behind its count must be 0. `shift` stands while items are held.
    """

    def __init__(self, items: int, bits: int) -> None:
        self._items, self._bits = items, bits
        super().__init__(
            {
                "shift": In(range(items.bit_length())),
                "input": In(beats(items, bits)),
                "output": Out(beats(items, bits)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m, most, out, given = Module(), self._items, self.output, self.input.payload
        held = [Signal(self._bits, name=f"held_{i}") for i in range(most - 1)]
        level, total, full = Signal(range(most)), Signal(range(2 * most)), Signal(range(most + 1))
        flush, free = Signal(), Signal()
        moved = _moved_up(m, [given.data[i] for i in range(most)], level)
        both = [Signal(self._bits, name=f"both_{i}") for i in range(2 * most - 1)]
        m.d.comb += [both[i].eq(moved[i] | (held[i] if i < most - 1 else 0)) for i in range(2 * most - 1)]
        m.d.comb += [
            full.eq(1 << self.shift),
            free.eq(~out.valid | out.ready),
            self.input.ready.eq(free & ~flush),
            total.eq(level + given.count),
        ]
        with m.If(out.ready):
            m.d.sync += out.valid.eq(0)
        with m.If(flush & free):
            m.d.sync += [out.payload.data[i].eq(item) for i, item in enumerate([*held, Const(0, self._bits)])]
            m.d.sync += [out.payload.count.eq(level), out.payload.last.eq(1), out.valid.eq(1)]
            m.d.sync += [flush.eq(0), level.eq(0), *(item.eq(0) for item in held)]
        with m.Elif(self.input.valid & self.input.ready):
            m.d.sync += [out.payload.data[i].eq(both[i]) for i in range(most)]
            with m.If(total >= full):
                m.d.sync += [out.payload.count.eq(full), out.valid.eq(1), level.eq(total - full)]
                m.d.sync += [out.payload.last.eq(given.last & (total == full)), flush.eq(given.last & (total != full))]
                m.d.sync += [item.eq(self._behind(both, i)) for i, item in enumerate(held)]
            with m.Elif(given.last):
                m.d.sync += [out.payload.count.eq(total), out.payload.last.eq(1), out.valid.eq(1)]
                m.d.sync += [level.eq(0), *(item.eq(0) for item in held)]
            with m.Else():
                m.d.sync += [level.eq(total), *(item.eq(both[i]) for i, item in enumerate(held))]
        return m

    def _behind(self, both: Sequence[Any], i: int) -> Any:
        """What is i places behind a full group."""
        found: Any = Const(0, self._bits)
        for shift in range(self._items.bit_length()):
            place = i + (1 << shift)
            if place < len(both):
                found = Mux(self.shift == shift, both[place], found)
        return found


def _moved_up(m: Module, items: Sequence[Any], places: Any) -> list[Any]:
    """Items so many places on, zeros before them."""
    bits = len(items[0])
    found: list[Any] = [*items, *(Const(0, bits) for _ in range(len(items) - 1))]
    for stage in range(len(places)):
        step = 1 << stage
        nothing = [Const(0, bits)] * step
        moved = []
        for i, (stays, comes) in enumerate(zip(found, [*nothing, *found], strict=False)):
            item = Signal(bits, name=f"moved_{stage}_{i}")
            m.d.comb += item.eq(Mux(places[stage], comes, stays))
            moved.append(item)
        found = moved
    return found
