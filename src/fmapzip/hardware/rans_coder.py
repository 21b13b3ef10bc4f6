"""The lanes of ``context-rans`` side by side: contexts and a body to zero flags and tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.network import close_up, moves, ranks, spread
from fmapzip.hardware.packing import Window
from fmapzip.hardware.queues import Queue
from fmapzip.hardware.rans_lane import STATE_BITS, WORD_BITS, RansLane
from fmapzip.hardware.rans_memories import table_memories
from fmapzip.hardware.rans_regroup import Regroup
from fmapzip.hardware.rans_spans import Spans
from fmapzip.hardware.rans_tile import CONTEXT, LOAD, TABLE_NUMBER_BITS, TILE
from fmapzip.hardware.streams import PLACE_BITS, Error, beat, beats


def body_bytes(lanes: int) -> int:
    """Bytes in a beat of a body."""
    return max(2, lanes)


def group(lanes: int) -> Any:
    """Layout of a group's zero flags: whose values are not zero, how many there are, and what ends with it."""
    return data.StructLayout({"nonzero": lanes, "count": 7, "span_end": 1, "row_end": 1, "end": 1})


class Coder(wiring.Component):
    """Decodes a group of symbols a cycle: the zero flags of a span, then its tokens.

    `contexts` come in the order of groups. After the last symbol `finished` says that the body ended with it; after an
    `error` nothing more is decoded (`at_end` where that was all). `place` counts the spans that were.

    Parameters
    ----------
    lanes : int
        At most, of a tile.
    depth : int
        Groups of the longest span.
    tables : int
        Token tables.
    """

    def __init__(self, lanes: int, depth: int, tables: int) -> None:
        self._lanes, self._depth, self._tables = lanes, depth, tables
        super().__init__(
            {
                "tile": In(TILE),
                "start": In(1),
                "write": In(1),
                "load": In(LOAD),
                "body": In(beats(body_bytes(lanes))),
                "skip": In(1),
                "contexts": In(stream.Signature(data.ArrayLayout(CONTEXT, lanes))),
                "groups": Out(stream.Signature(group(lanes))),
                "tokens": Out(beats(lanes)),
                "ended": Out(1),
                "finished": Out(1),
                "at_end": Out(1),
                "error": Out(2),
                "place": Out(PLACE_BITS),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m, count = Module(), self._lanes
        m.submodules.spans = spans = Spans()
        lanes = [RansLane() for _ in range(count)]
        for i, lane in enumerate(lanes):
            m.submodules[f"lane_{i}"] = lane
        words, ragged = self._words(m)
        c = _Controls(count)
        needed = self._refill(m, lanes, c.enabled, words)
        m.d.comb += [spans.tile.eq(self.tile), c.enough.eq(needed <= words.level), self.ended.eq(words.ended)]
        for i, lane in enumerate(lanes):
            m.d.comb += [lane.token.eq(c.asks_token), lane.step.eq(c.step & c.enabled[i])]
            m.d.comb += lane.zero.eq(self.contexts.payload[i].zero)
            m.d.comb += [lane.loaded.eq(words.items), self.tokens.payload.data[i].eq(Mux(c.enabled[i], lane.index, 0))]
        regroup, tokens, flags_free = self._groups(m, lanes, spans)
        m.d.comb += self.tokens.payload.count.eq(tokens.count)
        truncated = words.ended & ~c.enough
        with m.If(c.step):
            m.d.comb += words.take.eq(needed)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += spans.start.eq(self.start)
                with m.If(self.start):
                    m.next = "STATES"
            with m.State("STATES"):
                self._states(m, lanes, words)
            with m.State("FLAGS"):
                m.d.comb += c.enabled.eq(Cat(i < spans.count for i in range(count)))
                with m.If(self.contexts.valid & c.enough & flags_free):
                    m.d.comb += [c.step.eq(1), spans.step.eq(1), self.contexts.ready.eq(1)]
                    m.d.comb += [self.groups.valid.eq(1), regroup.valid.eq(1)]
                    with m.If(spans.span_end):
                        m.next = "TOKENS"
                with m.Elif(self.contexts.valid & truncated):
                    self._fail(m, Mux(ragged, Error.CORRUPT, Error.TRUNCATED))
            with m.State("TOKENS"):
                m.d.comb += [c.asks_token.eq(1), c.enabled.eq(Cat(i < tokens.count for i in range(count)))]
                with m.If(tokens.valid & c.enough & self.tokens.ready):
                    m.d.comb += [c.step.eq(1), self.tokens.valid.eq(1), tokens.taken.eq(1)]
                    with m.If(tokens.last):
                        m.d.sync += self.place.eq(self.place + 1)
                        m.next = "FLAGS"
                        with m.If(tokens.end):
                            m.next = "END"
                with m.Elif(tokens.valid & truncated):
                    self._fail(m, Mux(ragged, Error.CORRUPT, Error.TRUNCATED))
            with m.State("END"):
                self._end(m, lanes, words, ragged)
            with m.State("FINISHED"):
                m.d.comb += self.finished.eq(1)
            with m.State("FAILED"):
                pass
        return m

    def _states(self, m: Module, lanes: Sequence[RansLane], words: Window) -> None:
        """Load the lanes, one a cycle."""
        loading, bad, out_of_range = Signal(range(len(lanes) + 1)), Signal(), Signal()
        high = words.items[STATE_BITS - WORD_BITS : STATE_BITS]
        m.d.comb += out_of_range.eq(words.items[STATE_BITS] | ~high.any())
        with m.If(words.level >= 2):
            m.d.comb += [words.take.eq(2), *(lane.load.eq(loading == i) for i, lane in enumerate(lanes))]
            m.d.sync += [loading.eq(loading + 1), bad.eq(bad | out_of_range)]
            with m.If(loading + 1 == 1 << self.tile.lanes):
                m.next = "FLAGS"
                with m.If(bad | out_of_range):
                    self._fail(m, Error.CORRUPT)
        with m.Elif(words.ended):
            self._fail(m, Error.TRUNCATED)

    def _end(self, m: Module, lanes: Sequence[RansLane], words: Window, ragged: Any) -> None:
        """Whether the body ends here, and all states of the tile are where encoders begin."""
        unsettled = Signal(len(lanes))
        m.d.comb += unsettled.eq(Cat(~lane.settled & (i < 1 << self.tile.lanes) for i, lane in enumerate(lanes)))
        m.d.sync += self.at_end.eq(1)
        with m.If(words.level.any()):
            self._fail(m, Error.CORRUPT)
        with m.Elif(words.ended):
            m.next = "FINISHED"
            with m.If(unsettled.any() | ragged):
                self._fail(m, Error.CORRUPT)

    def _fail(self, m: Module, error: Any) -> None:
        m.d.sync += self.error.eq(error)
        m.next = "FAILED"

    def _words(self, m: Module) -> tuple[Window, Any]:
        """The body's words, and whether it ends in half of one."""
        given, size, ragged = self.body.payload, body_bytes(self._lanes), Signal()
        m.submodules.words = words = Window(size // 2, WORD_BITS, max(2, self._lanes))
        m.d.comb += [
            words.input.valid.eq(self.body.valid),
            self.body.ready.eq(words.input.ready),
            words.input.payload.data.as_value().eq(given.data.as_value()),
            words.input.payload.count.eq(given.count >> 1),
            words.input.payload.last.eq(given.last),
            words.skip.eq(self.skip),
        ]
        with m.If(self.body.valid & self.body.ready & given.count[0]):
            m.d.sync += ragged.eq(1)
        return words, ragged

    def _refill(self, m: Module, lanes: Sequence[RansLane], enabled: Any, words: Window) -> Any:
        """Give words to the lanes that need one, lower lanes first; returns how many do."""
        need = [Signal(name=f"need_{i}") for i in range(len(lanes))]
        m.d.comb += [need[i].eq(lane.need & enabled[i]) for i, lane in enumerate(lanes)]
        _, needed = ranks(m, need)
        items = [words.items.word_select(i, WORD_BITS) for i in range(len(lanes))]
        given = spread(m, items, need, moves(m, need))
        m.d.comb += [lane.word.eq(word) for lane, word in zip(lanes, given, strict=True)]
        return needed

    def _groups(self, m: Module, lanes: Sequence[RansLane], spans: Spans) -> tuple[Any, _Tokens, Any]:
        """Flags to the table numbers of tokens, and these to the tables; whether flags can be decoded."""
        count = self._lanes
        found = [Signal(name=f"nonzero_{i}") for i in range(count)]
        m.d.comb += [found[i].eq(lane.nonzero & (i < spans.count)) for i, lane in enumerate(lanes)]
        m.d.comb += [
            self.groups.payload.nonzero.eq(Cat(found)),
            self.groups.payload.count.eq(spans.count),
            self.groups.payload.span_end.eq(spans.span_end),
            self.groups.payload.row_end.eq(spans.row_end),
            self.groups.payload.end.eq(spans.end),
        ]
        m.submodules.regroup = regroup = Regroup(count, TABLE_NUMBER_BITS)
        _, total = ranks(m, found)
        numbers = [Mux(found[i], self.contexts.payload[i].table, 0) for i in range(count)]
        named = [Signal(TABLE_NUMBER_BITS, name=f"number_{i}") for i in range(count)]
        m.d.comb += [signal.eq(number) for signal, number in zip(named, numbers, strict=True)]
        closed = close_up(m, named, moves(m, found))
        m.d.comb += [
            regroup.shift.eq(self.tile.lanes),
            regroup.input.payload.data.eq(Cat(closed)),
            regroup.input.payload.count.eq(total),
            regroup.input.payload.last.eq(spans.span_end),
        ]
        ending = Signal()
        with m.If(spans.step):
            m.d.sync += ending.eq(spans.end)
        m.submodules.queue = queue = Queue(beat(count, TABLE_NUMBER_BITS), self._depth)
        wiring.connect(m, regroup.output, queue.input)
        tokens = _Tokens(count, ending)
        self._fetch(m, lanes, queue, tokens)
        return regroup.input, tokens, regroup.input.ready & self.groups.ready

    def _fetch(self, m: Module, lanes: Sequence[RansLane], queue: Queue, tokens: _Tokens) -> None:
        """The tables of the next tokens, one memory for each lane."""
        fetch = Signal()
        m.d.comb += [fetch.eq(queue.output.valid & (~tokens.valid | tokens.taken)), queue.output.ready.eq(fetch)]
        with m.If(tokens.taken):
            m.d.sync += tokens.valid.eq(0)
        with m.If(fetch):
            m.d.sync += [tokens.valid.eq(1), tokens.count.eq(queue.output.payload.count)]
            m.d.sync += tokens.last.eq(queue.output.payload.last)
        ports = table_memories(m, len(lanes), self._tables, self.write, self.load)
        for i, (lane, read) in enumerate(zip(lanes, ports, strict=True)):
            m.d.comb += [
                read.addr.eq(queue.output.payload.data[i]),
                read.en.eq(fetch),
                lane.table.eq(read.data),
            ]


class _Controls:
    """Which lanes decode a symbol, whether it is a token, whether words suffice for it, and whether it is taken."""

    def __init__(self, lanes: int) -> None:
        self.enabled, self.asks_token = Signal(lanes), Signal()
        self.enough, self.step = Signal(), Signal()


class _Tokens:
    """The group of tokens that is next: how many, whether they end their span, and whether that ends the tile."""

    def __init__(self, lanes: int, end: Any) -> None:
        self.valid, self.taken, self.last, self.end = Signal(), Signal(), Signal(), end
        self.count = Signal(range(lanes + 1))
