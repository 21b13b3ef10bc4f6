"""The decoder of ``context-rans`` (docs/format/context-rans.md)."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.rans_channel_contexts import ChannelContexts
from fmapzip.hardware.rans_coder import Coder, body_bytes
from fmapzip.hardware.rans_expand import Expand
from fmapzip.hardware.rans_neighbour_contexts import NeighbourContexts
from fmapzip.hardware.rans_tile import LOAD, TABLES, TILE, opening
from fmapzip.hardware.streams import STATUS, Error, beats


class Decoder(wiring.Component):
    """A body to values; whatever comes in, each tile ends in one last beat and one status.

    Parameters
    ----------
    lanes : int
        At most, of a tile: 1, 4, 16 or 64.
    depth : int
        Groups of the longest span.
    row : int
        Values of a row of a tile for each lane, where contexts come from neighbours; 0 where channels give them.
    tables : int
        Token tables that there is room for.
    channels : bool, optional
        Whether channels have weights and biases of their own.
    """

    def __init__(self, lanes: int, depth: int, row: int = 0, tables: int = TABLES, channels: bool = False) -> None:
        self._lanes, self._depth, self._row, self._tables, self._channels = lanes, depth, row, tables, channels
        super().__init__(
            {
                "tile": In(stream.Signature(TILE)),
                "table": In(stream.Signature(LOAD)),
                "body": In(beats(body_bytes(lanes))),
                "values": Out(beats(lanes)),
                "status": Out(stream.Signature(STATUS)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m = Module()
        tile, clear, start, write, error = Signal(TILE), Signal(), Signal(), Signal(), Signal(2)
        coder, expand = self._parts(m, tile, clear, start, write)
        with m.FSM():
            opening(m, self, tile, write, error.eq(Error.NONE))
            with m.State("START"):
                m.d.comb += start.eq(1)
                m.next = "DECODE"
            with m.State("DECODE"):
                m.d.comb += expand.stop.eq((coder.error != Error.NONE) & ~coder.at_end)
                with m.If(expand.stop):
                    m.d.sync += error.eq(coder.error)
                    m.next = "CLOSE"
                with m.Elif((coder.finished | (coder.error != Error.NONE)) & expand.idle):
                    m.d.sync += error.eq(Mux(expand.bad, Error.CORRUPT, coder.error))
                    m.next = "DRAIN"
            self._end(m, coder, expand, error, clear)
        return m

    def _end(self, m: Module, coder: Coder, expand: Expand, error: Any, clear: Any) -> None:
        """States behind the last value: a last beat where one is missing, the rest of the body, the status."""
        with m.State("CLOSE"):
            m.d.comb += expand.stop.eq(1)
            with m.If(~self.values.valid | self.values.ready):
                m.d.comb += expand.close.eq(1)
                m.next = "DRAIN"
        with m.State("DRAIN"):
            m.d.comb += [expand.stop.eq(1), coder.skip.eq(1)]
            with m.If(coder.ended):
                m.next = "STATUS"
        with m.State("STATUS"):
            m.d.comb += [
                expand.stop.eq(1),
                self.status.valid.eq(~self.values.valid),
                self.status.payload.error.eq(error),
                self.status.payload.place.eq(Mux(error == Error.NONE, 0, coder.place)),
                clear.eq(self.status.valid & self.status.ready),
            ]
            with m.If(clear):
                m.next = "IDLE"

    def _parts(self, m: Module, tile: Any, clear: Any, start: Any, write: Any) -> tuple[Coder, Expand]:
        """Contexts, lanes and what makes values of their symbols, reset by `clear`."""
        again = ResetInserter(clear)
        coder = Coder(self._lanes, self._depth, self._tables)
        expand = Expand(self._lanes, self._depth, companded=self._row > 0)
        contexts: ChannelContexts | NeighbourContexts
        if self._row:
            contexts = NeighbourContexts(self._lanes, self._depth, self._row, self._channels)
            m.d.comb += [
                expand.wait.eq(contexts.busy),
                contexts.tile.eq(tile),
                contexts.taken.eq(expand.taken),
                contexts.found.eq(expand.found),
            ]
        else:
            contexts = ChannelContexts(self._lanes, self._depth)
            m.d.comb += contexts.span_end.eq(coder.groups.payload.span_end)
        m.submodules.coder, m.submodules.expand, m.submodules.contexts = again(coder), again(expand), again(contexts)
        for part in (coder, expand, contexts):
            m.d.comb += [part.write.eq(write), part.load.eq(self.table.payload)]
        wiring.connect(m, wiring.flipped(self.body), coder.body)
        wiring.connect(m, contexts.contexts, coder.contexts)
        wiring.connect(m, coder.groups, expand.groups)
        wiring.connect(m, coder.tokens, expand.tokens)
        wiring.connect(m, expand.output, wiring.flipped(self.values))
        m.d.comb += [coder.tile.eq(tile), coder.start.eq(start), contexts.start.eq(start)]
        return coder, expand
