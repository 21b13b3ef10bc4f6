"""The encoder of the mask path of ``dct-cm`` with bitmap coding (docs/format/dct-cm.md)."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.dct_cm_choice import CODE_BITS
from fmapzip.hardware.dct_cm_classes import COUNT_BITS, TILE
from fmapzip.hardware.dct_cm_sections import WORD
from fmapzip.hardware.dct_cm_values import Ranks
from fmapzip.hardware.dct_cm_writing import write_blocks
from fmapzip.hardware.streams import beats
from fmapzip.reference.bit_blocks import BLOCK


class MaskEncoder(wiring.Component):
    """Values to a body of the mask path, one value a cycle.

    Codes wait in a memory of two blocks while the split of their block is chosen.

    Parameters
    ----------
    points : bool
        Whether the ranks of values stand in a table, of 256 entries, which `table` loads.
    """

    def __init__(self, points: bool = False) -> None:
        self._points = points
        self._tile = Signal(TILE)
        super().__init__(
            {
                "tile": In(stream.Signature(TILE)),
                **({"table": In(stream.Signature(8))} if points else {}),
                "values": In(beats(1)),
                "body": Out(beats(WORD // 8)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m = Module()
        choice, sorter, room = write_blocks(m, self.body, CODE_BITS)
        m.submodules.ranks = ranks = Ranks(self._points)
        final, size, accepted, end = self._blocks(m, ranks)
        wiring.connect(m, wiring.flipped(self.values), ranks.values)
        m.d.comb += [
            ranks.tile.eq(self._tile),
            ranks.taken.eq(accepted),
            accepted.eq(ranks.valid & size.any() & room),
            choice.code.eq(ranks.rank),
            choice.count.eq(accepted),
            choice.end.eq(end),
            choice.size.eq(size),
            sorter.final.eq(final),
        ]
        return m

    def _blocks(self, m: Module, ranks: Ranks) -> tuple[Any, Any, Any, Any]:
        """Where the input is in its tile.

        Gives whether the chosen block is the last, the size of the block that comes in (0 between tiles), a signal for
        values that are taken, and whether the next one ends its block.
        """
        tile, planes, blocks = self._tile, Signal(COUNT_BITS), Signal(COUNT_BITS)
        running, loading, at, final = Signal(), Signal(), Signal(range(BLOCK)), Signal()
        size, accepted, end = Signal(range(BLOCK + 1)), Signal(), Signal()
        m.d.comb += [
            size.eq(Mux(running, Mux(blocks == 1, tile.last_size, tile.size), 0)),
            end.eq(at + 1 == size),
            self.tile.ready.eq(~running & ~loading),
            ranks.running.eq(running),
            ranks.at_end.eq(end & (blocks == 1) & (planes == 1)),
        ]
        with m.If(self.tile.valid & self.tile.ready):
            m.d.sync += [tile.eq(self.tile.payload), planes.eq(self.tile.payload.planes)]
            m.d.sync += [blocks.eq(self.tile.payload.blocks), running.eq(1)]
            if self._points:
                m.d.sync += [running.eq(~self.tile.payload.load), loading.eq(self.tile.payload.load)]
        if self._points:
            loaded = Signal(8)
            m.d.comb += [self.table.ready.eq(loading), ranks.write.eq(loading & self.table.valid)]
            m.d.comb += [ranks.address.eq(loaded), ranks.entry.eq(self.table.payload)]
            with m.If(ranks.write):
                m.d.sync += loaded.eq(loaded + 1)
                with m.If(loaded == 255):
                    m.d.sync += [loading.eq(0), running.eq(1)]
        with m.If(accepted):
            m.d.sync += at.eq(Mux(end, 0, at + 1))
            with m.If(end):
                m.d.sync += [blocks.eq(Mux(blocks == 1, tile.blocks, blocks - 1)), final.eq(0)]
                with m.If(blocks == 1):
                    m.d.sync += [planes.eq(planes - 1), final.eq(planes == 1), running.eq(planes != 1)]
        return final, size, accepted, end
