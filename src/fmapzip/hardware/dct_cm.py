"""The decoder of the mask path of ``dct-cm`` with bitmap coding (docs/format/dct-cm.md)."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.dct_cm_classes import TILE, Classes, word_bits
from fmapzip.hardware.dct_cm_reading import read_blocks
from fmapzip.hardware.dct_cm_values import Values
from fmapzip.hardware.streams import PLACE_BITS, STATUS, Error, beats


class MaskDecoder(wiring.Component):
    """A body of the mask path to values; whatever comes in, each tile ends in one last beat and one status.

    Parameters
    ----------
    values : int
        Values a cycle: 1, 2, 4 or 8.
    points : bool
        Whether the values of ranks stand in a table, which `table` loads.
    """

    def __init__(self, values: int, points: bool = False) -> None:
        self._values, self._points = values, points
        super().__init__(
            {
                "tile": In(stream.Signature(TILE)),
                **({"table": In(stream.Signature(8))} if points else {}),
                "body": In(beats(word_bits(values) // 8)),
                "values": Out(beats(values)),
                "status": Out(stream.Signature(STATUS)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m, classes = Module(), Classes(self._values)
        clear, error, place, tile = Signal(), Signal(2), Signal(PLACE_BITS), Signal(TILE)
        ring, codes = read_blocks(m, wiring.flipped(self.body), classes, self._values, clear)
        out = Values(self._values, self._points)
        m.submodules.values = ResetInserter(clear)(out)
        wiring.connect(m, codes.output, out.codes)
        wiring.connect(m, out.output, wiring.flipped(self.values))
        m.d.comb += [ring.clear.eq(clear), classes.tile.eq(tile), out.tile.eq(tile)]
        settled = ~codes.active & out.idle
        with m.If(codes.take & codes.idle):
            m.d.sync += place.eq(place + 1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.tile.ready.eq(1)
                m.d.sync += [tile.eq(self.tile.payload), error.eq(Error.NONE), place.eq(0)]
                with m.If(self.tile.valid):
                    m.next = "START"
                    if self._points:
                        with m.If(self.tile.payload.load):
                            m.next = "LOAD"
            if self._points:
                with m.State("LOAD"):
                    self._load(m, out, tile)
            with m.State("START"):
                m.d.comb += classes.start.eq(1)
                m.next = "DECODE"
            with m.State("DECODE"):
                with m.If(out.bad):
                    m.d.sync += error.eq(Error.CORRUPT)
                    m.next = "CLOSE"
                with m.Elif(settled & (classes.error != Error.NONE)):
                    m.d.sync += error.eq(classes.error)
                    m.next = "CLOSE"
                with m.Elif(settled & classes.finished):
                    m.next = "STATUS"
            with m.State("CLOSE"):
                m.d.comb += out.close.eq(~out.closed & ~out.waiting)
                with m.If(out.closed):
                    m.next = "DRAIN"
            with m.State("DRAIN"):
                m.d.comb += ring.skip.eq(1)
                with m.If(ring.ended):
                    m.next = "STATUS"
            with m.State("STATUS"):
                m.d.comb += [self.status.valid.eq(~self.values.valid), clear.eq(self.status.valid & self.status.ready)]
                m.d.comb += self.status.payload.error.eq(error)
                m.d.comb += self.status.payload.place.eq(Mux(error == Error.NONE, 0, place))
                with m.If(clear):
                    m.next = "IDLE"
        return m

    def _load(self, m: Module, values: Values, tile: Any) -> None:
        """Fill the table with the values of the tile's ranks."""
        loaded = Signal(8)
        m.d.comb += [self.table.ready.eq(1), values.write.eq(self.table.valid)]
        m.d.comb += [values.address.eq(loaded), values.entry.eq(self.table.payload)]
        with m.If(self.table.valid):
            m.d.sync += loaded.eq(loaded + 1)
            with m.If(loaded + 1 == tile.points):
                m.d.sync += loaded.eq(0)
                m.next = "START"
