"""Ranks of points to values and back, computed where every value is a point, or looked up in a table."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.dct_cm_classes import TILE
from fmapzip.hardware.dct_cm_codes import CODE_BITS
from fmapzip.hardware.streams import beat, beats


class Table(wiring.Component):
    """A table of bytes, which `write` fills; `found` is where it was asked with `ask`, a clock later."""

    def __init__(self, readers: int) -> None:
        self._readers = readers
        super().__init__(
            {
                "write": In(1),
                "address": In(8),
                "entry": In(8),
                "ask": In(1),
                "asked": In(8 * readers),
                "found": Out(8 * readers),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m = Module()
        m.submodules.memory = memory = Memory(shape=8, depth=256, init=[])
        write = memory.write_port()
        m.d.comb += [write.addr.eq(self.address), write.data.eq(self.entry), write.en.eq(self.write)]
        for i in range(self._readers):
            read = memory.read_port()
            m.d.comb += [read.en.eq(self.ask), read.addr.eq(self.asked.word_select(i, 8))]
            m.d.comb += self.found.word_select(i, 8).eq(read.data)
        return m


class Values(wiring.Component):
    """Beats of ranks to beats of values.

    `bad` is 1 where a rank has no point; nothing is taken then, and `close` makes the last beat that is missing.
    """

    def __init__(self, values: int, points: bool) -> None:
        self._values, self._points = values, points
        super().__init__(
            {
                "codes": In(stream.Signature(beat(values, CODE_BITS))),
                "tile": In(TILE),
                "output": Out(beats(values)),
                "bad": Out(1),
                "idle": Out(1),
                "free": Out(1),
                "waiting": Out(1),
                "close": In(1),
                "closed": Out(1),
                "write": In(1),
                "address": In(8),
                "entry": In(8),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m, found, out = Module(), self.codes, self.output
        codes = [found.payload.data[i] for i in range(self._values)]
        m.d.comb += [
            self.bad.eq(found.valid & Cat(code >= self.tile.points for code in codes).any()),
            self.free.eq(~out.valid | out.ready),
        ]
        with m.If(out.ready):
            m.d.sync += out.valid.eq(0)
        if self._points:
            self._look_up(m, codes)
        else:
            m.d.comb += [found.ready.eq(self.free & ~self.bad), self.idle.eq(~found.valid)]
            with m.If(found.valid & found.ready):
                self._emit(m, Cat(self._computed(m, code) for code in codes), found.payload.count, found.payload.last)
        with m.If(self.close & self.free):
            self._emit(m, 0, 0, 1)
        return m

    def _emit(self, m: Module, items: Any, count: Any, last: Any) -> None:
        out = self.output
        m.d.sync += [
            out.payload.data.eq(items),
            out.payload.count.eq(count),
            out.payload.last.eq(last),
            out.valid.eq(1),
        ]
        with m.If(last):
            m.d.sync += self.closed.eq(1)

    def _look_up(self, m: Module, codes: list[Any]) -> None:
        """Values from the table, a clock after the ranks were taken."""
        m.submodules.table = table = Table(self._values)
        waiting, count, last = self.waiting, Signal(range(self._values + 1)), Signal()
        found = self.codes
        m.d.comb += [
            table.write.eq(self.write),
            table.address.eq(self.address),
            table.entry.eq(self.entry),
            table.asked.eq(Cat(code[:8] for code in codes)),
            table.ask.eq(found.valid & found.ready),
            found.ready.eq((~waiting | self.free) & ~self.bad),
            self.idle.eq(~found.valid & ~waiting),
        ]
        with m.If(waiting & self.free):
            self._emit(m, table.found, count, last)
            m.d.sync += waiting.eq(0)
        with m.If(table.ask):
            m.d.sync += [waiting.eq(1), count.eq(found.payload.count), last.eq(found.payload.last)]

    def _computed(self, m: Module, code: Any) -> Any:
        """Ranks go by ascending magnitude, the positive one of two first."""
        value, far, one_sided = Signal(8), Signal(8), Signal()
        m.d.comb += [far.eq(code - self.tile.both), one_sided.eq(code > self.tile.both << 1)]
        magnitude = Mux(one_sided, far, code[1:8] + code[0])
        m.d.comb += value.eq(Mux(Mux(one_sided, self.tile.negative, ~code[0]), -magnitude, magnitude))
        return value


class Ranks(wiring.Component):
    """Values to ranks: the next one is `rank` while `valid`, until it is `taken`.

    `running` says that a tile is under way, `at_end` that its last value is the next that is taken: none of another
    tile is looked up before the table may have changed.
    """

    def __init__(self, points: bool) -> None:
        self._points = points
        super().__init__(
            {
                "values": In(beats(1)),
                "tile": In(TILE),
                "rank": Out(8),
                "valid": Out(1),
                "taken": In(1),
                "running": In(1),
                "at_end": In(1),
                "write": In(1),
                "address": In(8),
                "entry": In(8),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m, value = Module(), self.values.payload.data[0]
        if not self._points:
            m.d.comb += [self.valid.eq(self.values.valid), self.values.ready.eq(self.taken)]
            m.d.comb += self.rank.eq(self._computed(m, value))
            return m
        m.submodules.table = table = Table(1)
        m.d.comb += [
            table.write.eq(self.write),
            table.address.eq(self.address),
            table.entry.eq(self.entry),
            table.asked.eq(value),
            table.ask.eq(self.values.valid & self.values.ready),
            self.values.ready.eq(self.running & (~self.valid | (self.taken & ~self.at_end))),
            self.rank.eq(table.found),
        ]
        with m.If(self.taken):
            m.d.sync += self.valid.eq(0)
        with m.If(table.ask):
            m.d.sync += self.valid.eq(1)
        return m

    def _computed(self, m: Module, value: Any) -> Any:
        tile = self.tile
        below, negative, magnitude, rank = Signal(8), Signal(), Signal(8), Signal(8)
        two_sided = (magnitude << 1) - (~negative & magnitude.any())
        m.d.comb += [
            below.eq(Mux(tile.negative, 255 - tile.both, tile.both)),
            negative.eq((~value)[:8] < below),
            magnitude.eq(Mux(negative, -value, value)),
            rank.eq(Mux(magnitude > tile.both, magnitude + tile.both, two_sided)),
        ]
        return rank
