"""The encoder of whole bodies of the transform path of ``dct-cm`` with bitmap coding (docs/format/dct-cm.md)."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.dct_cm_codes import CODE_BITS
from fmapzip.hardware.dct_cm_forward import STEP, ForwardTransform
from fmapzip.hardware.dct_cm_gather import RUN
from fmapzip.hardware.dct_cm_rows import BODY, Groups, Rows
from fmapzip.hardware.dct_cm_sections import WORD
from fmapzip.hardware.dct_cm_writing import write_blocks
from fmapzip.hardware.streams import beats
from fmapzip.reference.bit_blocks import BLOCK, MAX_CODE_BITS


class BodyEncoder(wiring.Component):
    """Values, as `ForwardTransform` takes them, to a body of the transform path, at one value a cycle.

    Codes of two blocks of positions wait in a memory, from which one is read row by row while the next is written.

    Parameters
    ----------
    length : int
        Of the transform: 4, 8, 16 or 32.
    """

    def __init__(self, length: int) -> None:
        self._length = length
        super().__init__(
            {
                "tile": In(stream.Signature(BODY)),
                "run": In(stream.Signature(RUN)),
                "steps": In(stream.Signature(STEP)),
                "values": In(beats(1)),
                "body": Out(beats(WORD // 8)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m, tile, running, full = Module(), Signal(BODY), Signal(), [Signal(name=f"full_{half}") for half in range(2)]
        m.submodules.groups = groups = Groups(self._length, RUN, STEP)
        m.submodules.rows = rows = Rows(self._length)
        m.submodules.forward = forward = ForwardTransform(self._length, 1)
        wiring.connect(m, wiring.flipped(self.run), groups.run)
        wiring.connect(m, wiring.flipped(self.steps), groups.steps)
        wiring.connect(m, groups.run_out, forward.run)
        wiring.connect(m, groups.steps_out, forward.steps)
        wiring.connect(m, wiring.flipped(self.values), forward.values)
        m.d.comb += [
            self.tile.ready.eq(~running),
            groups.start.eq(self.tile.valid & self.tile.ready),
            groups.groups.eq(self.tile.payload.groups),
            rows.tile.eq(tile),
            rows.kept.eq(groups.kept),
            rows.channels.eq(groups.channels),
            rows.last.eq(groups.last),
            rows.start.eq(groups.valid & ~rows.active),
            groups.taken.eq(rows.start),
        ]
        with m.If(groups.start):
            m.d.sync += [running.eq(1), tile.eq(self.tile.payload)]
        m.submodules.codes_by_position = memory = Memory(shape=CODE_BITS + 1, depth=2 * BLOCK * self._length, init=[])
        self._collect(m, forward, tile, memory.write_port(), full)
        with m.If(self._read(m, rows, memory.read_port(), full)):
            m.d.sync += running.eq(0)
        return m

    def _collect(self, m: Module, forward: ForwardTransform, tile: Any, write: Any, full: list[Any]) -> None:
        """Codes by position into the memory."""
        half, frequency, position = Signal(), Signal(range(self._length)), Signal(range(BLOCK))
        codes, accepted = forward.codes, Signal()
        m.d.comb += [
            codes.ready.eq(~Array(full)[half]),
            accepted.eq(codes.valid & codes.ready),
            write.en.eq(accepted),
            write.addr.eq(Cat(frequency, position, half)),
            write.data.eq(codes.payload.data[0]),
        ]
        with m.If(accepted):
            m.d.sync += frequency.eq(frequency + 1)
            with m.If(frequency == self._length - 1):
                m.d.sync += position.eq(position + 1)
                with m.If(codes.payload.last | (position + 1 == tile.size)):
                    m.d.sync += [position.eq(0), half.eq(~half)]
                    for number in range(2):
                        with m.If(half == number):
                            m.d.sync += full[number].eq(1)

    def _read(self, m: Module, rows: Rows, read: Any, full: list[Any]) -> Any:
        """Rows out of the memory to the blocks of the body; gives where a tile's last item is read."""
        choice, sorter, room = write_blocks(m, self.body, MAX_CODE_BITS, rows=True)
        half, position, there, asks = Signal(), Signal(range(BLOCK)), Signal(), Signal()
        row, end, at_end, final, mask = Signal.like(rows.row), Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            asks.eq(rows.active & Array(full)[half] & (~there | choice.count)),
            end.eq(position + 1 == rows.row.size),
            rows.next.eq(asks & end),
            read.en.eq(asks),
            read.addr.eq(Cat(rows.row.number[: (self._length - 1).bit_length()], position, half)),
            choice.code.eq(Mux(row.mask, ~read.data[CODE_BITS], read.data[:MAX_CODE_BITS])),
            choice.count.eq(there & room),
            choice.end.eq(at_end),
            choice.size.eq(row.size),
            sorter.final.eq(final),
            sorter.mask.eq(mask),
        ]
        with m.If(asks):
            m.d.sync += [row.eq(rows.row), at_end.eq(end), there.eq(1), position.eq(Mux(end, 0, position + 1))]
            with m.If(end & rows.row.end):
                m.d.sync += half.eq(~half)
                for number in range(2):
                    with m.If(half == number):
                        m.d.sync += full[number].eq(0)
        with m.Elif(choice.count):
            m.d.sync += there.eq(0)
        with m.If(choice.count & at_end):
            m.d.sync += [final.eq(row.final), mask.eq(row.mask)]
        return asks & end & rows.row.final
