"""A queue in memory whose input is its output while it is empty."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out


class Queue(wiring.Component):
    """Payloads in order, up to `depth` of them kept."""

    def __init__(self, shape: Any, depth: int) -> None:
        self._depth = depth
        super().__init__({"input": In(stream.Signature(shape)), "output": Out(stream.Signature(shape))})

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m, depth = Module(), self._depth
        width = len(Value.cast(self.input.payload))
        m.submodules.memory = memory = Memory(shape=width, depth=depth, init=[])
        write, read = memory.write_port(), memory.read_port(domain="comb")
        level, head, tail = Signal(range(depth + 1)), Signal(range(depth)), Signal(range(depth))
        empty, taken = Signal(), Signal()
        given = Value.cast(self.input.payload)
        m.d.comb += [
            empty.eq(level == 0),
            self.input.ready.eq(level != depth),
            self.output.valid.eq(~empty | self.input.valid),
            Value.cast(self.output.payload).eq(Mux(empty, given, read.data)),
            taken.eq(~empty & self.output.ready),
            write.en.eq(self.input.valid & self.input.ready & ~(empty & self.output.ready)),
            write.data.eq(given),
            write.addr.eq(tail),
            read.addr.eq(head),
        ]
        m.d.sync += level.eq(level + write.en - taken)
        with m.If(write.en):
            m.d.sync += tail.eq(_after(tail, depth))
        with m.If(taken):
            m.d.sync += head.eq(_after(head, depth))
        return m


def _after(place: Any, depth: int) -> Any:
    """The place behind another."""
    return Mux(place == depth - 1, 0, place + 1)
