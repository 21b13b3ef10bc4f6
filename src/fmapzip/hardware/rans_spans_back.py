"""The spans of a tile from its last to its first, and a walk through the groups of each."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.rans_tile import TILE


class SpansBack(wiring.Component):
    """Where the walk is: the group `at`, which is number `inside` of its span and has `count` values.

    `start` goes behind the last of the tile's `groups`; `enter` to the first group of the span before, where there is
    one (`more`); `on` and `back` to the groups beside.
    """

    def __init__(self, groups: int) -> None:
        self._groups = groups
        super().__init__(
            {
                "tile": In(TILE),
                "groups": In(range(groups + 1)),
                "start": In(1),
                "enter": In(1),
                "on": In(1),
                "back": In(1),
                "more": Out(1),
                "at": Out(range(groups)),
                "inside": Out(12),
                "count": Out(7),
                "first": Out(1),
                "last": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m, tile = Module(), self.tile
        rows, spans, size, rest = Signal(16), Signal(16), Signal(12), Signal(7)
        at_row_end, next_size = Signal(), Signal(12)
        m.d.comb += [
            self.more.eq(rows.any()),
            self.first.eq(self.inside == 0),
            self.last.eq(self.inside + 1 == size),
            self.count.eq(Mux(self.last, rest, 1 << tile.lanes)),
            at_row_end.eq(spans == tile.spans),
            next_size.eq(Mux(at_row_end, tile.final_groups, tile.groups)),
        ]
        with m.If(self.start):
            m.d.sync += [rows.eq(tile.rows), spans.eq(tile.spans), self.at.eq(self.groups)]
        with m.Elif(self.enter):
            m.d.sync += [self.at.eq(self.at - next_size), self.inside.eq(0), size.eq(next_size)]
            m.d.sync += rest.eq(Mux(at_row_end, tile.final_rest, tile.rest))
            m.d.sync += spans.eq(Mux(spans == 1, tile.spans, spans - 1))
            m.d.sync += rows.eq(rows - (spans == 1))
        with m.Elif(self.on):
            m.d.sync += [self.at.eq(self.at + 1), self.inside.eq(self.inside + 1)]
        with m.Elif(self.back):
            m.d.sync += [self.at.eq(self.at - 1), self.inside.eq(self.inside - 1)]
        return m
