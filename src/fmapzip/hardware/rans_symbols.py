"""A tile's values from its last to its first, as symbols for the lanes of an encoder of ``context-rans``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.network import close_up, moves, ranks
from fmapzip.hardware.rans_channel_contexts import fast_depth
from fmapzip.hardware.rans_encoder_lane import SYMBOL
from fmapzip.hardware.rans_lane import TABLE, token_of
from fmapzip.hardware.rans_memories import cell_memories, channel_memories, table_memories
from fmapzip.hardware.rans_neighbour_cells import CELL_BITS
from fmapzip.hardware.rans_regroup import Regroup
from fmapzip.hardware.rans_spans_back import SpansBack
from fmapzip.hardware.rans_tile import CLASS, CONTEXT, LOAD, TABLE_NUMBER_BITS, TILE
from fmapzip.hardware.rans_zero_biases import moved_contexts
from fmapzip.hardware.streams import beat

TOKEN = data.StructLayout({"index": 8, "table": TABLE_NUMBER_BITS})
"""A value that is not zero, and the table that codes it."""


def symbols(lanes: int) -> Any:
    """Layout of a group's symbols: whether they are tokens, how many there are, and one for each lane."""
    return data.StructLayout({"token": 1, "count": range(lanes + 1), "lanes": data.ArrayLayout(SYMBOL, lanes)})


class Symbols(wiring.Component):
    """Holds a tile's indices; after `start` gives the symbols of its spans, the last first, until `done`.

    The groups of a span are read forwards, and the indices that are not zero closed up into groups of tokens, which are
    stacked: so the last one comes off first. After them come the zero flags, as the groups are read backwards.

    Parameters
    ----------
    lanes : int
    depth : int
        Groups of the longest span.
    groups : int
        Groups of the longest tile.
    tables : int
        Token tables.
    neighbours : bool
        Whether the cells of values are held and lead to contexts; else the places of values in their span do.
    channels : bool, optional
        Whether channels have zero biases of their own.
    """

    def __init__(
        self, lanes: int, depth: int, groups: int, tables: int, neighbours: bool, channels: bool = False
    ) -> None:
        self._lanes, self._depth, self._groups, self._tables = lanes, depth, groups, tables
        self._neighbours, self._channels = neighbours, channels
        held = {"put_cells": In(1), "cells": In(CELL_BITS * lanes)} if neighbours else {}
        super().__init__(
            {
                "write": In(1),
                "load": In(LOAD),
                "tile": In(TILE),
                "put": In(1),
                "indices": In(8 * lanes),
                **held,
                "start": In(1),
                "symbols": Out(stream.Signature(symbols(lanes))),
                "done": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m = Module()
        m.submodules.spans = spans = SpansBack(self._groups)
        held, written = self._held(m, "indices", self.put, self.indices, spans.at)
        walk = _Walk(m, spans, held)
        m.d.comb += [spans.tile.eq(self.tile), spans.groups.eq(written)]
        contexts = self._contexts(m, spans)
        gathered, reading = self._gathered(m, walk, contexts)
        stack = _Stack(m, self._lanes, self._depth, gathered)
        flags, tokens = self._flags(m, walk, contexts), self._tokens(m, stack)
        with m.If(self.symbols.ready):
            m.d.sync += self.symbols.valid.eq(0)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += spans.start.eq(self.start)
                with m.If(self.start):
                    m.next = "SPAN"
            with m.State("SPAN"):
                m.d.comb += spans.enter.eq(1)
                m.next = "GATHER"
                with m.If(~spans.more):
                    m.next = "DONE"
            with m.State("GATHER"):
                m.d.comb += [reading.eq(1), spans.on.eq(~spans.last)]
                with m.If(spans.last):
                    m.next = "GATHERED"
            with m.State("GATHERED"), m.If(gathered.valid & gathered.payload.last):
                m.next = "POP"
            self._code(m, spans, stack, flags, tokens)
            with m.State("DONE"):
                m.d.comb += self.done.eq(~self.symbols.valid)
        return m

    def _code(self, m: Module, spans: SpansBack, stack: _Stack, flags: Any, tokens: Any) -> None:
        """States that give a span's tokens, as they come off the stack, and then its zero flags, backwards."""
        out, free = self.symbols, Signal()
        m.d.comb += free.eq(~out.valid | out.ready)
        with m.State("POP"):
            m.next = "TABLE"
            with m.If(stack.empty):
                m.next = "GROUP"
        with m.State("TABLE"):
            m.next = "TOKENS"
        with m.State("TOKENS"), m.If(free):
            m.d.sync += [out.valid.eq(1), out.payload.eq(tokens)]
            m.d.comb += stack.pop.eq(1)
            m.next = "POP"
        with m.State("GROUP"):
            m.next = "CONTEXT"
        with m.State("CONTEXT"):
            m.next = "FLAGS"
        with m.State("FLAGS"), m.If(free):
            m.d.sync += [out.valid.eq(1), out.payload.eq(flags)]
            m.d.comb += spans.back.eq(~spans.first)
            m.next = "GROUP"
            with m.If(spans.first):
                m.next = "SPAN"

    def _held(self, m: Module, name: str, put: Any, row: Any, at: Any) -> tuple[Any, Any]:
        """What a memory of groups holds at a place, a clock later, and how many there are; no more than fit."""
        m.submodules[name] = memory = Memory(shape=len(row), depth=self._groups, init=[])
        write, read = memory.write_port(), memory.read_port()
        written = Signal(range(self._groups + 1), name=f"written_{name}")
        m.d.comb += [
            write.addr.eq(written),
            write.data.eq(row),
            write.en.eq(put & (written != self._groups)),
            read.addr.eq(at),
        ]
        m.d.sync += written.eq(written + write.en)
        return read.data, written

    def _contexts(self, m: Module, spans: SpansBack) -> list[Any]:
        """The contexts of the group that the walk was at two clocks before."""
        inside = Signal(12)
        if self._channels or not self._neighbours:
            m.d.sync += inside.eq(spans.inside)
        if self._neighbours:
            cells, _ = self._held(m, "cells_held", self.put_cells, self.cells, spans.at)
            ports = cell_memories(m, self._lanes, self.write, self.load, CLASS if self._channels else CONTEXT)
            addresses = [cells.word_select(i, CELL_BITS) for i in range(self._lanes)]
        else:
            depth, addresses = self._depth, [inside] * self._lanes
            ports = channel_memories(m, self._lanes, lambda lane: fast_depth(lane, depth), self.write, self.load)
        m.d.comb += [read.addr.eq(address) for read, address in zip(ports, addresses, strict=True)]
        if self._channels:
            return moved_contexts(m, self._depth, ports, inside, 1, self.write, self.load)
        return [data.View(CONTEXT, read.data) for read in ports]

    def _gathered(self, m: Module, walk: _Walk, contexts: Sequence[Any]) -> tuple[Any, Any]:
        """The span's tokens in groups, and what says that the walk's groups are to be gathered."""
        m.submodules.regroup = regroup = Regroup(self._lanes, TOKEN.size)
        reading, read_before, read = Signal(), Signal(), Signal()
        _, total = ranks(m, walk.present)
        tokens = [Signal(TOKEN, name=f"token_{i}") for i in range(self._lanes)]
        for token, bit, index, context in zip(tokens, walk.present, walk.indices, contexts, strict=True):
            m.d.comb += [token.index.eq(index), token.table.eq(Mux(bit, context.table, 0))]
        closed = close_up(m, [token.as_value() for token in tokens], moves(m, walk.present))
        m.d.sync += [read_before.eq(reading), read.eq(read_before)]
        m.d.comb += [
            regroup.shift.eq(self.tile.lanes),
            regroup.input.valid.eq(read),
            regroup.input.payload.data.eq(Cat(closed)),
            regroup.input.payload.count.eq(total),
            regroup.input.payload.last.eq(walk.last),
            regroup.output.ready.eq(1),
        ]
        return regroup.output, reading

    def _flags(self, m: Module, walk: _Walk, contexts: Sequence[Any]) -> Any:
        """The symbols of the walk's zero flags."""
        found = Signal(symbols(self._lanes))
        m.d.comb += found.count.eq(walk.count)
        for symbol, nonzero, context in zip(found.lanes, walk.present, contexts, strict=True):
            m.d.comb += symbol.frequency.eq(Mux(nonzero, -context.zero, context.zero))
            m.d.comb += symbol.start.eq(Mux(nonzero, context.zero, 0))
        return found

    def _tokens(self, m: Module, stack: _Stack) -> Any:
        """The symbols of the stack's tokens, whose tables are read a clock later."""
        found = Signal(symbols(self._lanes))
        m.d.comb += [found.token.eq(1), found.count.eq(stack.top.count)]
        ports = table_memories(m, self._lanes, self._tables, self.write, self.load)
        for symbol, item, read in zip(found.lanes, stack.top.data, ports, strict=True):
            token = data.View(TOKEN, item)
            start, following, base, raw_bits = token_of(m, data.View(TABLE, read.data), token.index, "base")
            m.d.comb += [
                read.addr.eq(token.table),
                symbol.frequency.eq((following - start)[:8]),
                symbol.start.eq(start),
                symbol.raw.eq(token.index - base),
                symbol.raw_bits.eq(raw_bits),
            ]
        return found


class _Walk:
    """The group that the walk was at two clocks before: its indices, which are not zero, how many, whether the last."""

    def __init__(self, m: Module, spans: SpansBack, held: Any) -> None:
        lanes = len(held) // 8
        self.indices = [Signal(8, name=f"index_{i}") for i in range(lanes)]
        self.present = [Signal(name=f"present_{i}") for i in range(lanes)]
        self.count, self.last = Signal(7), Signal()
        count_before, last_before = Signal(7), Signal()
        m.d.sync += [
            count_before.eq(spans.count),
            self.count.eq(count_before),
            last_before.eq(spans.last),
            self.last.eq(last_before),
        ]
        for i, (index, present) in enumerate(zip(self.indices, self.present, strict=True)):
            m.d.sync += index.eq(held.word_select(i, 8))
            m.d.comb += present.eq(index.any())


class _Stack:
    """Groups of tokens, of which the last comes off first: `top` is known a clock after it is put or uncovered."""

    def __init__(self, m: Module, lanes: int, depth: int, given: Any) -> None:
        layout = beat(lanes, TOKEN.size)
        m.submodules.stack = memory = Memory(shape=layout.size, depth=depth, init=[])
        write, read = memory.write_port(), memory.read_port()
        level = Signal(range(depth + 1))
        self.top, self.pop, self.empty = data.View(layout, read.data), Signal(), Signal()
        m.d.comb += [
            write.en.eq(given.valid & given.payload.count.any()),
            write.addr.eq(level),
            write.data.eq(given.payload),
            read.addr.eq(level - 1),
            self.empty.eq(level == 0),
        ]
        m.d.sync += level.eq(level + write.en - self.pop)
