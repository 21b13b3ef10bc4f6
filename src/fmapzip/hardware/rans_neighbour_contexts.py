"""Contexts of ``context-rans`` at level ``default``: the cells of a decoder's values lead to them."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.queues import Queue
from fmapzip.hardware.rans_memories import cell_memories
from fmapzip.hardware.rans_neighbour_cells import NeighbourCells, cells, ports
from fmapzip.hardware.rans_tile import CONTEXT


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
    """

    def __init__(self, lanes: int, depth: int, row: int) -> None:
        self._lanes, self._depth, self._row = lanes, depth, row
        super().__init__(
            {
                **ports(lanes),
                "contexts": Out(stream.Signature(data.ArrayLayout(CONTEXT, lanes))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m, count, fetch = Module(), self._lanes, Signal()
        m.submodules.neighbours = neighbours = NeighbourCells(count, self._depth, self._row)
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
        for lane, read in enumerate(cell_memories(m, count, self.write, self.load)):
            m.d.comb += [
                read.addr.eq(queue.output.payload[lane]),
                read.en.eq(fetch),
                self.contexts.payload[lane].as_value().eq(read.data),
            ]
        return m
