"""The end of decoding ``context-rans``: zero flags and tokens to indices, and these to values."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.network import moves, ranks, spread
from fmapzip.hardware.packing import Window
from fmapzip.hardware.queues import Queue
from fmapzip.hardware.rans_coder import group
from fmapzip.hardware.rans_memories import value_memories
from fmapzip.hardware.rans_tile import LOAD
from fmapzip.hardware.streams import beats


class Expand(wiring.Component):
    """A group a cycle, whose tokens are known; beats of values end with groups.

    `taken` says that the memories of values are asked; a clock later `found` has what they hold, a value and above it
    the companded one. `bad` is 1 from where an index that is not zero has no value. While `stop` or `wait`, nothing is
    taken.

    Parameters
    ----------
    lanes : int
    depth : int
        Groups of the longest span.
    companded : bool
        Whether companded values stand with the values.
    """

    def __init__(self, lanes: int, depth: int, companded: bool) -> None:
        self._lanes, self._depth, self._bits = lanes, depth, 16 if companded else 8
        super().__init__(
            {
                "write": In(1),
                "load": In(LOAD),
                "groups": In(stream.Signature(group(lanes))),
                "tokens": In(beats(lanes)),
                "stop": In(1),
                "wait": In(1),
                "close": In(1),
                "output": Out(beats(lanes)),
                "taken": Out(1),
                "group": Out(group(lanes)),
                "found": Out(self._bits * lanes),
                "idle": Out(1),
                "bad": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m, count, out = Module(), self._lanes, self.output
        m.submodules.queue = queue = Queue(group(count), self._depth)
        m.submodules.window = window = Window(count)
        wiring.connect(m, wiring.flipped(self.groups), queue.input)
        wiring.connect(m, wiring.flipped(self.tokens), window.input)
        here = queue.output.payload
        present = [here.nonzero[i] for i in range(count)]
        _, total = ranks(m, present)
        indices = spread(m, [window.items.word_select(i, 8) for i in range(count)], present, moves(m, present))
        free = ~out.valid | out.ready
        m.d.comb += [
            self.taken.eq(queue.output.valid & (window.level >= total) & free & ~self.stop & ~self.wait),
            queue.output.ready.eq(self.taken),
            self.group.eq(here),
            self.idle.eq(~queue.output.valid & ~out.valid),
        ]
        with m.If(out.ready):
            m.d.sync += out.valid.eq(0)
        nonzero, checked = Signal(count), Signal()
        m.d.sync += checked.eq(self.taken)
        with m.If(self.taken):
            m.d.comb += window.take.eq(total)
            m.d.sync += [out.valid.eq(1), out.payload.count.eq(here.count), out.payload.last.eq(here.end)]
            m.d.sync += nonzero.eq(Cat(index.any() for index in indices))
        values = self._values(m, indices)
        closing = Signal()
        with m.If(self.close):
            m.d.sync += [out.valid.eq(1), out.payload.count.eq(0), out.payload.last.eq(1), closing.eq(1)]
        for i in range(count):
            value = values[i][:8]
            m.d.comb += out.payload.data[i].eq(value & (~closing).replicate(8))
        absent = Cat(nonzero[i] & ~values[i][:8].any() for i in range(count)).any()
        with m.If(checked & absent):
            m.d.sync += self.bad.eq(1)
        return m

    def _values(self, m: Module, indices: Any) -> list[Any]:
        """What stands for indices, a memory for each lane."""
        ports = value_memories(m, self._lanes, self._bits, self.write, self.load)
        for i, (index, read) in enumerate(zip(indices, ports, strict=True)):
            m.d.comb += [
                read.addr.eq(index),
                read.en.eq(self.taken),
                self.found.word_select(i, self._bits).eq(read.data),
            ]
        return [read.data for read in ports]
