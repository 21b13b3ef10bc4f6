"""The rows of a body of the transform path of ``dct-cm``: zero masks of channels, then codes of frequencies."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.dct_cm_classes import COUNT_BITS
from fmapzip.reference.bit_blocks import BLOCK

BODY = data.StructLayout(
    {
        "groups": COUNT_BITS,
        "blocks": COUNT_BITS,
        "size": range(BLOCK + 1),
        "last_size": range(BLOCK + 1),
        "masked": 1,
    }
)
"""What software computes of a tile: groups of channels, blocks of positions in each, positions in each block but the
last and in the last, and whether there is a zero mask."""

ROW = data.StructLayout({"number": 5, "mask": 1, "size": range(BLOCK + 1), "end": 1, "final": 1})
"""A row: its channel or frequency, whether it is one of the zero mask, its positions, and whether its block of
positions and whether the tile end with it."""


class Rows(wiring.Component):
    """Which row comes next.

    Where not `active`, `start` begins a group of so many `channels`, whose frequencies of `kept` are kept, the `last`
    of a tile or not; `next` goes on to the row behind.
    """

    def __init__(self, length: int) -> None:
        self._length = length
        super().__init__(
            {
                "tile": In(BODY),
                "kept": In(length),
                "channels": In(6),
                "last": In(1),
                "start": In(1),
                "active": Out(1),
                "row": Out(ROW),
                "next": In(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m, length, tile = Module(), self._length, self.tile
        kept, channels, last, blocks = Signal(length), Signal(length), Signal(), Signal(COUNT_BITS)
        left, mask, rest, last_block = Signal(length), Signal(), Signal(length), Signal()
        m.d.comb += [
            rest.eq(left & (left - 1)),
            last_block.eq(blocks == 1),
            self.row.mask.eq(mask),
            self.row.size.eq(Mux(last_block, tile.last_size, tile.size)),
            self.row.end.eq(~mask & ~rest.any()),
            self.row.final.eq(self.row.end & last_block & last),
        ]
        for number in reversed(range(length)):
            with m.If(left[number]):
                m.d.comb += self.row.number.eq(number)
        with m.If(self.start):
            given = Cat(i < self.channels for i in range(length))
            m.d.sync += [kept.eq(self.kept), channels.eq(given), last.eq(self.last), blocks.eq(tile.blocks)]
            m.d.sync += [left.eq(Mux(tile.masked, given, self.kept)), mask.eq(tile.masked), self.active.eq(1)]
        with m.If(self.next):
            m.d.sync += left.eq(rest)
            with m.If(~rest.any()):
                m.d.sync += [left.eq(Mux(mask | ~tile.masked, kept, channels)), mask.eq(~mask & tile.masked)]
                with m.If(~mask):
                    m.d.sync += [blocks.eq(blocks - 1), self.active.eq(~last_block)]
        return m


class Groups(wiring.Component):
    """Hands the descriptors and steps of a tile's groups on, and tells what rows they have.

    After `start` so many `groups` come. What is known of one is `valid` until `taken`; only then the next one comes.
    With `skip` all that is left of the tile is thrown away; `done` says that nothing is.

    Parameters
    ----------
    length : int
        Of the transform, so many steps a group.
    run : layout
        Of a descriptor, which has `channels`.
    step : shape
        Of a step, 0 where a frequency is not kept.
    """

    def __init__(self, length: int, run: data.StructLayout, step: Any) -> None:
        self._length = length
        super().__init__(
            {
                "start": In(1),
                "groups": In(COUNT_BITS),
                "skip": In(1),
                "run": In(stream.Signature(run)),
                "steps": In(stream.Signature(step)),
                "run_out": Out(stream.Signature(run)),
                "steps_out": Out(stream.Signature(step)),
                "kept": Out(length),
                "channels": Out(6),
                "last": Out(1),
                "valid": Out(1),
                "taken": In(1),
                "done": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m, left, loading = Module(), Signal(COUNT_BITS), Signal()
        number, due = Signal(range(self._length)), Signal()
        m.d.comb += [
            due.eq(left.any() & ~loading & ~self.valid),
            self.run_out.valid.eq(due & self.run.valid & ~self.skip),
            self.run_out.payload.eq(self.run.payload),
            self.run.ready.eq(due & (self.run_out.ready | self.skip)),
            self.steps_out.valid.eq(loading & self.steps.valid & ~self.skip),
            self.steps_out.payload.eq(self.steps.payload),
            self.steps.ready.eq(loading & (self.steps_out.ready | self.skip)),
            self.done.eq(~left.any()),
        ]
        with m.If(self.start):
            m.d.sync += left.eq(self.groups)
        with m.If(self.run.valid & self.run.ready):
            m.d.sync += [loading.eq(1), self.channels.eq(self.run.payload.channels)]
        with m.If(self.steps.valid & self.steps.ready):
            step = Value.cast(self.steps.payload)
            m.d.sync += [self.kept.eq(Cat(self.kept[1:], step.any())), number.eq(number + 1)]
            with m.If(number == self._length - 1):
                m.d.sync += [loading.eq(0), left.eq(left - 1), self.last.eq(left == 1), self.valid.eq(1)]
        with m.If(self.taken | self.skip):
            m.d.sync += self.valid.eq(0)
        return m
