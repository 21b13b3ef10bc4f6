"""The decoder of whole bodies of the transform path of ``dct-cm`` with bitmap coding (docs/format/dct-cm.md)."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.dct_cm_classes import COUNT_BITS, word_bits
from fmapzip.hardware.dct_cm_codes import CODE_BITS, Codes
from fmapzip.hardware.dct_cm_inverse import RUN, STEP_BITS, InverseTransform
from fmapzip.hardware.dct_cm_reading import read_blocks
from fmapzip.hardware.dct_cm_row_classes import RowClasses
from fmapzip.hardware.dct_cm_rows import BODY, ROW, Groups, Rows
from fmapzip.hardware.dct_cm_transpose import Turner
from fmapzip.hardware.queues import Queue
from fmapzip.hardware.streams import PLACE_BITS, STATUS, Error, beats
from fmapzip.reference.bit_blocks import BLOCK

QUIET = 512
"""Cycles after an error, without a value, until none is under way: more than loading steps and a transform take."""


class BodyDecoder(wiring.Component):
    """A body of the transform path to values; whatever comes in, each tile ends in one last beat and one status.

    The place of an error counts blocks of positions. Values are those that `InverseTransform` gives, but for `last`,
    which is the tile's.

    Parameters
    ----------
    length : int
        Of the transform: 4, 8, 16 or 32.
    values : int
        Values a cycle: 1, 2, 4 or 8, at most `length`.
    """

    def __init__(self, length: int, values: int) -> None:
        self._length, self._values = length, values
        super().__init__(
            {
                "tile": In(stream.Signature(BODY)),
                "run": In(stream.Signature(RUN)),
                "steps": In(stream.Signature(STEP_BITS)),
                "body": In(beats(word_bits(values) // 8)),
                "values": Out(beats(values)),
                "status": Out(stream.Signature(STATUS)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m, clear, tile, classes = Module(), Signal(), Signal(BODY), RowClasses(self._values)
        m.submodules.groups = groups = Groups(self._length, RUN, STEP_BITS)
        ring, codes = read_blocks(m, wiring.flipped(self.body), classes, self._values, clear)
        wiring.connect(m, wiring.flipped(self.run), groups.run)
        wiring.connect(m, wiring.flipped(self.steps), groups.steps)
        self._rows(m, groups, classes, tile, clear)
        memory = self._turner(m, classes, codes, clear)
        inverse = self._inverse(m, groups, memory, tile, clear)
        closing, closed, quiet = Signal(), Signal(), Signal(range(QUIET))
        self._give(m, inverse, tile, closing, closed, clear)
        waits = self.values.valid | (classes.error == Error.NONE)
        m.d.sync += quiet.eq(Mux(waits, 0, quiet + (quiet != QUIET - 1)))
        error, place = Signal(2), Signal(PLACE_BITS)
        with m.If(memory.close):
            m.d.sync += place.eq(place + 1)
        m.d.comb += [ring.clear.eq(clear), groups.groups.eq(tile.groups)]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.tile.ready.eq(1)
                m.d.sync += [tile.eq(self.tile.payload), error.eq(Error.NONE), place.eq(0)]
                with m.If(self.tile.valid):
                    m.next = "START"
            with m.State("START"):
                m.d.comb += [classes.start.eq(1), groups.start.eq(1)]
                m.next = "DECODE"
            with m.State("DECODE"):
                m.d.sync += error.eq(classes.error)
                with m.If((classes.error != Error.NONE) & (quiet == QUIET - 1)):
                    m.next = "CLOSE"
                with m.Elif(classes.finished & closed):
                    m.next = "STATUS"
            with m.State("CLOSE"):
                m.d.comb += closing.eq(~closed)
                with m.If(closed):
                    m.next = "DRAIN"
            with m.State("DRAIN"):
                m.d.comb += [ring.skip.eq(1), groups.skip.eq(1)]
                with m.If(ring.ended & groups.done):
                    m.next = "STATUS"
            with m.State("STATUS"):
                m.d.comb += [self.status.valid.eq(1), clear.eq(self.status.ready)]
                m.d.comb += self.status.payload.error.eq(error)
                m.d.comb += self.status.payload.place.eq(Mux(error == Error.NONE, 0, place))
                with m.If(clear):
                    m.next = "IDLE"
        return m

    def _rows(self, m: Module, groups: Groups, classes: RowClasses, tile: Any, clear: Any) -> None:
        """The rows that are read, of one group after another."""
        rows = Rows(self._length)
        m.submodules.rows = ResetInserter(clear)(rows)
        m.d.comb += [
            rows.tile.eq(tile),
            rows.kept.eq(groups.kept),
            rows.channels.eq(groups.channels),
            rows.last.eq(groups.last),
            rows.start.eq(groups.valid & ~rows.active),
            groups.taken.eq(rows.start),
            rows.next.eq(classes.advance),
            classes.row.eq(rows.row),
            classes.active.eq(rows.active),
        ]

    def _turner(self, m: Module, classes: RowClasses, codes: Codes, clear: Any) -> Turner:
        """Codes of rows to the memory that gives them by position; bits of masks stand beside them."""
        memory = Turner(self._length, BLOCK, self._values, (CODE_BITS, 1))
        m.submodules.turner = ResetInserter(clear)(memory)
        read, written, column, accepted, end = Signal(ROW), Signal(ROW), Signal(7), Signal(), Signal()
        with m.If(classes.hand_over):
            m.d.sync += read.eq(classes.row)
        with m.If(codes.take):
            m.d.sync += written.eq(read)
        found = codes.output
        m.d.comb += [
            found.ready.eq(memory.open),
            accepted.eq(found.valid & memory.open),
            end.eq(column + self._values >= written.size),
            memory.write.eq(Mux(written.mask, 2, 1) & accepted.replicate(2)),
            memory.row.eq(written.number),
            memory.column.eq(column),
            memory.close.eq(accepted & end & written.end),
            memory.size.rows.eq(self._length),
            memory.size.columns.eq(written.size),
        ]
        for i in range(self._values):
            code = found.payload.data[i]
            m.d.comb += memory.items[i].eq(Mux(written.mask, ~code[0] << CODE_BITS, code))
        with m.If(accepted):
            m.d.sync += column.eq(Mux(end, 0, column + self._values))
        with m.If(clear):
            m.d.sync += column.eq(0)
        return memory

    def _inverse(self, m: Module, groups: Groups, memory: Turner, tile: Any, clear: Any) -> InverseTransform:
        """The transform, which steps and descriptors of the next groups wait for."""
        again = ResetInserter(clear)
        inverse, runs, steps = (
            InverseTransform(self._length, self._values),
            Queue(RUN, 2),
            Queue(STEP_BITS, self._length),
        )
        m.submodules.inverse, m.submodules.runs, m.submodules.steps = again(inverse), again(runs), again(steps)
        for source, queue, target in (
            (groups.run_out, runs, inverse.run),
            (groups.steps_out, steps, inverse.steps),
        ):
            wiring.connect(m, source, queue.input)
            wiring.connect(m, queue.output, target)
        turned, codes = memory.turned, inverse.codes
        m.d.comb += [codes.valid.eq(turned.valid), turned.ready.eq(codes.ready), codes.payload.eq(turned.payload)]
        for i in range(self._values):
            item = turned.payload.data[i]
            m.d.comb += codes.payload.data[i].eq(item & (tile.masked << CODE_BITS | (1 << CODE_BITS) - 1))
        return inverse

    def _give(self, m: Module, inverse: InverseTransform, tile: Any, closing: Any, closed: Any, clear: Any) -> None:
        """Values out, with an end to the tile instead of to each group; an empty beat where it is `closing`."""
        out, found, left = self.values, inverse.values, Signal(COUNT_BITS)
        m.d.comb += [
            out.valid.eq(found.valid | closing),
            out.payload.data.eq(Mux(closing, 0, found.payload.data.as_value())),
            out.payload.count.eq(Mux(closing, 0, found.payload.count)),
            out.payload.last.eq(closing | (found.payload.last & (left + 1 == tile.groups))),
            found.ready.eq(out.ready),
        ]
        with m.If(out.valid & out.ready):
            m.d.sync += left.eq(left + found.payload.last)
            with m.If(out.payload.last):
                m.d.sync += closed.eq(1)
        with m.If(clear):
            m.d.sync += [left.eq(0), closed.eq(0)]
