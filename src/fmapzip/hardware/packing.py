"""Beats of any count to full beats, and a window onto a stream of beats from which any number of items is taken."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.network import masked
from fmapzip.hardware.streams import beats


class Packer(wiring.Component):
    """Beats of any count become full beats; a tile's last one holds what is left, maybe nothing.

    The items of `input` behind its count must be 0.
    """

    def __init__(self, items: int, bits: int = 8) -> None:
        self._items, self._bits = items, bits
        super().__init__({"input": In(beats(items, bits)), "output": Out(beats(items, bits))})

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m, items, bits, out = Module(), self._items, self._bits, self.output
        held = Signal((items - 1) * bits)
        level, total = Signal(range(items)), Signal(range(2 * items + 1))
        flush, free = Signal(), Signal()
        both = Signal((2 * items - 1) * bits)
        m.d.comb += [
            free.eq(~out.valid | out.ready),
            self.input.ready.eq(free & ~flush),
            both.eq(held | self.input.payload.data.as_value() << _scaled(level, bits)),
            total.eq(level + self.input.payload.count),
        ]
        with m.If(out.ready):
            m.d.sync += out.valid.eq(0)
        with m.If(flush & free):
            m.d.sync += [out.payload.data.eq(held), out.payload.count.eq(level), out.payload.last.eq(1)]
            m.d.sync += [out.valid.eq(1), flush.eq(0), level.eq(0), held.eq(0)]
        with m.Elif(self.input.valid & self.input.ready):
            m.d.sync += out.payload.data.eq(both)
            with m.If(total >= items):
                m.d.sync += [out.payload.count.eq(items), out.valid.eq(1), held.eq(both >> items * bits)]
                m.d.sync += [level.eq(total - items), out.payload.last.eq(self.input.payload.last & (total == items))]
                m.d.sync += flush.eq(self.input.payload.last & (total != items))
            with m.Elif(self.input.payload.last):
                m.d.sync += [out.payload.count.eq(total), out.payload.last.eq(1), out.valid.eq(1)]
                m.d.sync += [level.eq(0), held.eq(0)]
            with m.Else():
                m.d.sync += [held.eq(both), level.eq(total)]
        return m


class Window(wiring.Component):
    """The next items of a tile, of which `take` are taken at each clock.

    `items` holds `level` of them, zeros behind them. After the tile's last beat `ended` is 1 and nothing is read until
    `clear` empties the window for the next tile. With `skip`, all that comes is thrown away.

    Parameters
    ----------
    items : int
        Of a beat.
    bits : int
        Of an item.
    most : int, optional
        Items that can be taken at a clock; as many as a beat has where it is not given.
    """

    def __init__(self, items: int, bits: int = 8, most: int | None = None) -> None:
        self._items, self._bits, self._most = items, bits, most or items
        super().__init__(
            {
                "input": In(beats(items, bits)),
                "items": Out(self._most * bits),
                "level": Out(range(items + self._most + 1)),
                "ended": Out(1),
                "take": In(range(self._most + 1)),
                "skip": In(1),
                "clear": In(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m, items, bits, most = Module(), self._items, self._bits, self._most
        held, rest = Signal((items + most) * bits), Signal((items + most) * bits)
        left = Signal(range(items + most + 1))
        m.d.comb += [
            self.items.eq(held),
            rest.eq(held >> _scaled(self.take, bits)),
            left.eq(self.level - self.take),
            self.input.ready.eq(~self.ended & (self.skip | (left <= most))),
        ]
        m.d.sync += [held.eq(rest), self.level.eq(left)]
        with m.If(self.input.valid & self.input.ready):
            payload = self.input.payload
            fresh = masked(m, [payload.data[i] for i in range(items)], payload.count)
            m.d.sync += [
                held.eq(rest | fresh << _scaled(left[: most.bit_length()], bits)),
                self.level.eq(left + payload.count),
            ]
            m.d.sync += self.ended.eq(payload.last)
        with m.If(self.clear):
            m.d.sync += [held.eq(0), self.level.eq(0), self.ended.eq(0)]
        with m.Elif(self.skip):
            m.d.sync += [held.eq(0), self.level.eq(0)]
        return m


def _scaled(count: Any, bits: int) -> Any:
    """A count of items as one of bits, a power of two a piece."""
    shift = (bits - 1).bit_length()
    return count << shift
