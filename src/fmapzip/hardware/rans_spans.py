"""The groups of a tile one after another: values for each lane, of spans, of rows."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.rans_tile import TILE


class Spans(wiring.Component):
    """How many values the current group has, and what ends with it; `start` goes to the first, `step` to the next."""

    def __init__(self) -> None:
        super().__init__(
            {
                "tile": In(TILE),
                "start": In(1),
                "step": In(1),
                "count": Out(7),
                "span_end": Out(1),
                "row_end": Out(1),
                "end": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates: counters of what is left."""
        m, tile = Module(), self.tile
        rows, spans, groups = Signal(16), Signal(16), Signal(12)
        row_ends, last_group = Signal(), Signal()
        m.d.comb += [
            row_ends.eq(spans == 1),
            last_group.eq(groups == 1),
            self.count.eq(Mux(last_group, Mux(row_ends, tile.final_rest, tile.rest), 1 << tile.lanes)),
            self.span_end.eq(last_group),
            self.row_end.eq(last_group & row_ends),
            self.end.eq(last_group & row_ends & (rows == 1)),
        ]
        next_row_ends = Signal()
        with m.If(self.start):
            m.d.comb += next_row_ends.eq(tile.spans == 1)
        with m.Else():
            m.d.comb += next_row_ends.eq(Mux(row_ends, tile.spans == 1, spans == 2))
        with m.If(self.start | (self.step & last_group)):
            m.d.sync += groups.eq(Mux(next_row_ends, tile.final_groups, tile.groups))
        with m.Elif(self.step):
            m.d.sync += groups.eq(groups - 1)
        with m.If(self.start):
            m.d.sync += [rows.eq(tile.rows), spans.eq(tile.spans)]
        with m.Elif(self.step & last_group):
            m.d.sync += spans.eq(Mux(row_ends, tile.spans, spans - 1))
            m.d.sync += rows.eq(rows - row_ends)
        return m
