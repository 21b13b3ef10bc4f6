"""Contexts of ``context-rans`` at level ``fast``: a value's channel says all."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.rans_memories import channel_memories
from fmapzip.hardware.rans_tile import CONTEXT, LOAD


def fast_depth(lane: int, depth: int) -> int:
    """Contexts of a span on a lane: a tile of fewer lanes, which are the first ones, has more groups."""
    return max(depth, 1024 >> lane.bit_length())


class ChannelContexts(wiring.Component):
    """The contexts of level ``fast``: those of a span, group by group, which are the same for every span.

    `contexts` begin at `start`; a row's last span may have fewer groups.
    """

    def __init__(self, lanes: int, depth: int) -> None:
        self._lanes, self._depth = lanes, depth
        super().__init__(
            {
                "write": In(1),
                "load": In(LOAD),
                "start": In(1),
                "span_end": In(1),
                "contexts": Out(stream.Signature(data.ArrayLayout(CONTEXT, lanes))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m = Module()
        at, asked = Signal(12), Signal(12)
        with m.If(self.start | (self.contexts.ready & self.span_end)):
            m.d.comb += asked.eq(0)
        with m.Else():
            m.d.comb += asked.eq(at + (self.contexts.valid & self.contexts.ready))
        m.d.sync += at.eq(asked)
        with m.If(self.start):
            m.d.sync += self.contexts.valid.eq(1)
        ports = channel_memories(m, self._lanes, lambda lane: fast_depth(lane, self._depth), self.write, self.load)
        for lane, read in enumerate(ports):
            m.d.comb += [read.addr.eq(asked), self.contexts.payload[lane].as_value().eq(read.data)]
        return m
