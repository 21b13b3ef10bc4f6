"""The encoder of ``context-rans`` (docs/format/context-rans.md)."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.packing import Packer
from fmapzip.hardware.rans_encoder_coder import EncoderCoder, body_words
from fmapzip.hardware.rans_lane import WORD_BITS
from fmapzip.hardware.rans_memories import value_memories
from fmapzip.hardware.rans_neighbour_cells import NeighbourCells
from fmapzip.hardware.rans_symbols import Symbols
from fmapzip.hardware.rans_tile import LOAD, TABLES, TILE, opening
from fmapzip.hardware.streams import beats


class Encoder(wiring.Component):
    """Values to a body, whose words of 16 bits leave from its end to its beginning.

    Parameters
    ----------
    lanes : int
        At most, of a tile: 1, 4, 16 or 64.
    depth : int
        Groups of the longest span.
    groups : int
        Groups of the longest tile: what is held until its last value is known.
    row : int
        Values of a row of a tile for each lane, where contexts come from neighbours; 0 where channels give them.
    tables : int
        Token tables that there is room for.
    channels : bool, optional
        Whether channels have weights and biases of their own.
    """

    def __init__(
        self, lanes: int, depth: int, groups: int, row: int = 0, tables: int = TABLES, channels: bool = False
    ) -> None:
        self._channels = channels
        self._lanes, self._depth, self._groups, self._row, self._tables = lanes, depth, groups, row, tables
        super().__init__(
            {
                "tile": In(stream.Signature(TILE)),
                "table": In(stream.Signature(LOAD)),
                "values": In(beats(lanes)),
                "body": Out(beats(body_words(lanes), WORD_BITS)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m, tile, clear, write, start = Module(), Signal(TILE), Signal(), Signal(), Signal()
        again = ResetInserter(clear)
        held = Symbols(self._lanes, self._depth, self._groups, self._tables, self._row > 0, self._channels)
        coder = EncoderCoder(self._lanes)
        packer = Packer(body_words(self._lanes), WORD_BITS)
        m.submodules.held, m.submodules.coder, m.submodules.packer = again(held), again(coder), again(packer)
        m.d.comb += [held.tile.eq(tile), held.write.eq(write), held.load.eq(self.table.payload)]
        m.d.comb += [coder.lanes_of_tile.eq(tile.lanes), coder.done.eq(held.done)]
        wiring.connect(m, held.symbols, coder.symbols)
        wiring.connect(m, coder.words, packer.input)
        wiring.connect(m, packer.output, wiring.flipped(self.body))
        taken, busy = self._looked_up(m, again, held, tile, write, start)
        settling = Signal(2)
        with m.FSM():
            opening(m, self, tile, write)
            with m.State("START"):
                m.d.comb += start.eq(1)
                m.next = "FILL"
            with m.State("FILL"):
                m.d.comb += [self.values.ready.eq(~busy), taken.eq(self.values.valid & ~busy)]
                with m.If(taken & self.values.payload.last):
                    m.next = "SETTLE"
            with m.State("SETTLE"):
                m.d.sync += settling.eq(settling + 1)
                with m.If(settling == 3):
                    m.d.comb += held.start.eq(1)
                    m.next = "CODE"
            with m.State("CODE"), m.If(self.body.valid & self.body.ready & self.body.payload.last):
                m.d.comb += clear.eq(1)
                m.next = "IDLE"
        return m

    def _looked_up(self, m: Module, again: Any, held: Symbols, tile: Any, write: Any, start: Any) -> tuple[Any, Any]:
        """Values to what is held of them; gives what says that a group is taken, and whether none may be."""
        taken, busy, known = Signal(), Signal(), Signal()
        bits = 16 if self._row else 8
        ports = value_memories(m, self._lanes, bits, write, self.table.payload)
        m.d.sync += known.eq(taken)
        m.d.comb += [held.put.eq(known), held.indices.eq(Cat(read.data[:8] for read in ports))]
        for i, read in enumerate(ports):
            m.d.comb += [read.addr.eq(self.values.payload.data[i]), read.en.eq(taken)]
        if self._row:
            cells = NeighbourCells(self._lanes, self._depth, self._row, self._channels)
            m.submodules.cells = again(cells)
            m.d.comb += [
                cells.write.eq(write),
                cells.load.eq(self.table.payload),
                cells.tile.eq(tile),
                cells.start.eq(start),
                cells.taken.eq(taken),
                cells.found.eq(Cat(read.data for read in ports)),
                busy.eq(cells.busy),
                held.put_cells.eq(cells.valid),
                held.cells.eq(cells.cells),
            ]
        return taken, busy
