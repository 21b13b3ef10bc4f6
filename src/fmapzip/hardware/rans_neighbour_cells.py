"""Cells of ``context-rans`` at level ``default``: a mean and a spread of a value's neighbours in its channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.arithmetic import Sum
from fmapzip.hardware.rans_memories import own_memory
from fmapzip.hardware.rans_tile import LOAD, TILE, Part, Register, Target

LEVELS, CELL_BITS, WEIGHTS = 64, 7, 4
SUM_BITS = 18
"""Of four weights of 8 bits with a sign times 8 bits, of which two pairs are at most 128 each."""


def cells(lanes: int) -> Any:
    """Layout of a group's cells."""
    return data.ArrayLayout(CELL_BITS, lanes)


def ports(lanes: int) -> dict[str, Any]:
    """How a tile, its tables and the values of groups come, and when they may."""
    return {
        "write": In(1),
        "load": In(LOAD),
        "tile": In(TILE),
        "start": In(1),
        "busy": Out(1),
        "taken": In(1),
        "found": In(16 * lanes),
    }


class NeighbourCells(wiring.Component):
    """A group's values are neighbours of those at the next position, whose cells follow two clocks later.

    While `taken`, the values of the next group are asked; a clock later `found` has them, a value and above it the
    companded one. After `start` the first position's cells come by themselves; while `busy`, nothing may be taken.
    `valid` says that `cells` are the next group's.

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
                "valid": Out(1),
                "cells": Out(cells(lanes)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m = Module()
        walk = self._walk(m)
        weights = [Signal(8, name=f"weight_{i}") for i in range(2 * WEIGHTS)]
        nothing = Signal(8)
        with m.If(self.write & (self.load.target == Target.REGISTERS)), m.Switch(self.load.address[:4]):
            for i, register in enumerate([*weights, nothing]):
                with m.Case(Register.WEIGHTS + i):
                    m.d.sync += register.eq(self.load.data)
        m.d.sync += self.valid.eq(walk.valid)
        for i in range(self._lanes):
            x = Signal(8, name=f"x_{i}")
            m.d.comb += x.eq(Mux(walk.initial, nothing, self.found[16 * i + 8 : 16 * i + 16]))
            own = self._own_weights(m, walk, i) if self._channels else weights[:WEIGHTS]
            sums = self._sums(m, self._neighbours(m, walk, x, i), [*own, *weights[WEIGHTS:]])
            m.d.comb += self.cells[i].eq(self._cell(m, sums, walk, i))
        return m

    def _walk(self, m: Module) -> _Walk:
        """Go through the groups of positions, those for which contexts are made."""
        tile, walk = self.tile, _Walk(self._row, self._depth)
        initial, step, group_end = self.busy, Signal(), Signal()
        column, first_row, only, pair, at_last = Signal(16), Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            step.eq(initial | self.taken),
            group_end.eq(walk.group + 1 == tile.groups),
            only.eq(tile.spans == 1),
            pair.eq(tile.spans == 2),
            at_last.eq(column + 1 == tile.spans),
        ]
        m.d.sync += [
            walk.valid.eq(step),
            walk.initial.eq(initial),
            walk.flat.eq(first_row | only),
            walk.first.eq(column == 0),
            walk.last.eq(at_last),
            walk.pair.eq(pair),
            walk.group_before.eq(walk.group),
            walk.behind_before.eq(walk.behind),
        ]
        with m.If(self.start):
            m.d.sync += [initial.eq(1), first_row.eq(1), column.eq(0), walk.group.eq(0), walk.behind.eq(0)]
            m.d.sync += walk.ahead.eq(Mux(only, 0, tile.groups))
        with m.Elif(step):
            m.d.sync += [walk.group.eq(walk.group + 1), walk.ahead.eq(walk.ahead + 1)]
            with m.If(~initial):
                m.d.sync += walk.behind.eq(walk.behind + 1)
            with m.If(group_end):
                m.d.sync += [walk.group.eq(0), initial.eq(0), column.eq(Mux(at_last, 0, column + 1))]
                with m.If(at_last):
                    m.d.sync += first_row.eq(0)
                with m.If(only | (column + 2 == tile.spans)):
                    m.d.sync += walk.ahead.eq(0)
                with m.If(~initial & (column == 0)):
                    m.d.sync += walk.behind.eq(0)
        return walk

    def _neighbours(self, m: Module, walk: _Walk, x: Any, lane: int) -> Sequence[Any]:
        """W, N, NW and NE of a lane's value; outside the tile the nearest that is inside and known."""
        m.submodules[f"row_{lane}"] = row = Memory(shape=8, depth=self._row, init=[])
        m.submodules[f"above_{lane}"] = above = Memory(shape=16, depth=self._depth, init=[])
        row_write, row_read = row.write_port(), row.read_port()
        above_write, above_read = above.write_port(), above.read_port()
        ahead = Signal(8, name=f"ahead_{lane}")
        stored_nw, stored_n = above_read.data[:8], above_read.data[8:]
        m.d.comb += [
            row_read.addr.eq(walk.ahead),
            row_write.addr.eq(walk.behind_before),
            row_write.data.eq(x),
            row_write.en.eq(walk.valid & ~walk.initial),
            above_read.addr.eq(walk.group),
            above_write.addr.eq(walk.group_before),
            above_write.data.eq(Cat(stored_n, ahead)),
            above_write.en.eq(walk.valid),
            ahead.eq(Mux(walk.pair, x, row_read.data)),
        ]
        w, n, nw, ne = (Signal(8, name=f"{name}_{lane}") for name in ("w", "n", "nw", "ne"))
        m.d.comb += [
            w.eq(Mux(walk.first & ~walk.flat, stored_n, x)),
            n.eq(Mux(walk.flat, x, stored_n)),
            nw.eq(Mux(walk.flat, x, Mux(walk.first, stored_n, stored_nw))),
            ne.eq(Mux(walk.flat, x, Mux(walk.last, stored_n, ahead))),
        ]
        return w, n, nw, ne

    def _sums(self, m: Module, neighbours: Sequence[Any], weights: Sequence[Any]) -> Sequence[Any]:
        """Weighted neighbours and distances, summed, a clock later."""
        w, n, nw, ne = neighbours
        distances = [_distance(m, a, b) for a, b in ((w, n), (w, nw), (n, nw), (n, ne))]
        found = []
        for terms, factors in ((neighbours, weights[:WEIGHTS]), (distances, weights[WEIGHTS:])):
            kept = Signal(SUM_BITS)
            m.d.sync += kept.eq(weighted(m, terms, factors))
            found.append(kept.as_signed())
        return found

    def _cell(self, m: Module, sums: Sequence[Any], walk: _Walk, lane: int) -> Any:
        """The number of the cell that mean and spread lie in."""
        offset = self._offset(m, walk, lane)
        mean, spread = sums
        moved, found = _moved(m, mean, offset), Signal(CELL_BITS)
        if self._channels:
            bias = self._of_channel(m, walk.group_before, Part.SPREAD_BIAS, lane)
            spread = _moved(m, spread, bias.as_signed())
        levels = [self._level(m, place, half, lane) for half, place in enumerate((moved, spread))]
        m.d.comb += found.eq(levels[0] + levels[1])
        return found

    def _offset(self, m: Module, walk: _Walk, lane: int) -> Any:
        m.submodules[f"offsets_{lane}"] = memory = Memory(shape=16, depth=self._depth, init=[])
        write, read = memory.write_port(), memory.read_port()
        bits = (self._lanes - 1).bit_length()
        m.d.comb += [
            write.addr.eq(self.load.address[bits:]),
            write.data.eq(self.load.data),
            write.en.eq(self.write & (self.load.target == Target.OFFSETS) & (self.load.address[:bits] == lane)),
            read.addr.eq(walk.group_before),
        ]
        return read.data.as_signed()

    def _own_weights(self, m: Module, walk: _Walk, lane: int) -> Sequence[Any]:
        """The weights of a lane's channel."""
        both = [self._of_channel(m, walk.group, Part.WEIGHTS + half, lane) for half in range(2)]
        return [word[8 * i : 8 * i + 8] for word in both for i in range(2)]

    def _of_channel(self, m: Module, group: Any, part: int, lane: int) -> Any:
        """What a lane's channel of a group has of its own, a clock later."""
        read = own_memory(m, lane, self._lanes, self._depth, part, self.write, self.load)
        m.d.comb += read.addr.eq(group)
        return read.data

    def _level(self, m: Module, place: Any, half: int, lane: int) -> Any:
        """The level of a mean (half 0, times the levels of spreads) or of a spread."""
        m.submodules[f"levels_{half}_{lane}"] = memory = Memory(shape=CELL_BITS, depth=LEVELS, init=[])
        write, read = memory.write_port(), memory.read_port(domain="comb")
        top = len(place) - 1
        m.d.comb += [
            write.addr.eq(self.load.address),
            write.data.eq(self.load.data),
            write.en.eq(self.write & (self.load.target == Target.LEVELS) & (self.load.address[6] == half)),
            read.addr.eq(Mux(place[top], 0, place[8:14] | place[14:top].any().replicate(6))),
        ]
        return read.data


class _Walk:
    """The group whose contexts are made: its number now, what is known of it a clock later, and places in the row.

    `ahead` is the place of the column behind the next, `behind` that of the values that come.
    """

    def __init__(self, row: int, depth: int) -> None:
        self.valid, self.initial, self.flat = Signal(), Signal(), Signal()
        self.first, self.last, self.pair = Signal(), Signal(), Signal()
        self.group, self.group_before = Signal(range(depth)), Signal(range(depth))
        self.ahead, self.behind, self.behind_before = Signal(range(row)), Signal(range(row)), Signal(range(row))


def _moved(m: Module, number: Any, offset: Any) -> Any:
    """A number, saturated to 16 bits, and an offset."""
    saturated, moved = Signal(range(-(1 << 15), 1 << 15)), Signal(range(-(1 << 16), 1 << 16))
    with m.If(number[15:] == number[17].replicate(3)):
        m.d.comb += saturated.eq(number)
    with m.Else():
        m.d.comb += saturated.eq(Cat((~number[17]).replicate(15), number[17]).as_signed())
    m.d.comb += moved.eq(saturated + offset)
    return moved


def _distance(m: Module, a: Any, b: Any) -> Any:
    """How far two bytes are apart."""
    less, found = Signal(9), Signal(8)
    m.d.comb += [less.eq(a - b), found.eq(Mux(less[8], -less, less))]
    return found


def weighted(m: Module, values: Sequence[Any], weights: Sequence[Any]) -> Any:
    """The sum of bytes times weights with a sign, modulo 2^18."""
    found = Sum(m, SUM_BITS)
    for value, weight in zip(values, weights, strict=True):
        for i in range(7):
            for j in range(8):
                found.add_bit(weight[i] & value[j], i + j)
        found.add(Cat(Cat(weight[7] & value[j] for j in range(8)), Const(0, 1)), 7, -1)
    return found.result()
