"""Contexts of ``context-rans`` at level ``default``: the cells of a decoder's values lead to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.queues import Queue
from fmapzip.hardware.rans_memories import cell_memories
from fmapzip.hardware.rans_neighbour_cells import NeighbourCells, cells, ports
from fmapzip.hardware.rans_tile import CLASS, CONTEXT
from fmapzip.hardware.rans_zero_biases import moved_contexts


class NeighbourContexts(wiring.Component):
    """The contexts of the groups whose cells are known, which wait for as long as lanes do not take them.

    Ports are those of `NeighbourCells`, but for the cells: `contexts` follow three clocks after values.

    Parameters
    ----------
    lanes : int
    depth : int
        Groups of the longest span.
    row : int
        Values of a row of a tile for each lane.
    channels : bool, optional
        Whether channels have weights and biases of their own.
    """

    def __init__(self, lanes: int, depth: int, row: int, channels: bool = False) -> None:
        self._lanes, self._depth, self._row, self._channels = lanes, depth, row, channels
        super().__init__(
            {
                **ports(lanes),
                "contexts": Out(stream.Signature(data.ArrayLayout(CONTEXT, lanes))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m, count, fetch = Module(), self._lanes, Signal()
        m.submodules.neighbours = neighbours = NeighbourCells(count, self._depth, self._row, self._channels)
        m.submodules.queue = queue = Queue(cells(count), self._depth)
        for name, member in ports(count).items():
            if member.flow is In:
                m.d.comb += getattr(neighbours, name).eq(getattr(self, name))
        m.d.comb += [
            self.busy.eq(neighbours.busy),
            queue.input.valid.eq(neighbours.valid),
            queue.input.payload.eq(neighbours.cells),
            fetch.eq(queue.output.valid & (~self.contexts.valid | self.contexts.ready)),
            queue.output.ready.eq(fetch),
        ]
        with m.If(self.contexts.ready):
            m.d.sync += self.contexts.valid.eq(0)
        with m.If(fetch):
            m.d.sync += self.contexts.valid.eq(1)
        kind = CLASS if self._channels else CONTEXT
        reads = cell_memories(m, count, self.write, self.load, kind)
        for lane, read in enumerate(reads):
            m.d.comb += [read.addr.eq(queue.output.payload[lane]), read.en.eq(fetch)]
        found = self._moved(m, reads, fetch) if self._channels else [read.data for read in reads]
        m.d.comb += [given.as_value().eq(context) for given, context in zip(self.contexts.payload, found, strict=True)]
        return m

    def _moved(self, m: Module, reads: Sequence[Any], fetch: Any) -> list[Any]:
        """Contexts by the biases of the channels of the group that is fetched."""
        group = Signal(range(self._depth))
        with m.If(fetch):
            m.d.sync += group.eq(Mux(group + 1 == self.tile.groups, 0, group + 1))
        return moved_contexts(m, self._depth, reads, group, fetch, self.write, self.load)
