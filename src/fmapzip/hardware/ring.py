"""A ring of words that a tile's body is written into, and readers that take bits from any place in it.

Places are counted in bits from where the ring was cleared, modulo four times its size: two of them that are less than
twice the size apart are ordered by the sign of their difference.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.network import masked
from fmapzip.hardware.streams import beats

RING_BITS = 2048
"""Size of a ring: more than the longest block, 8 + 64 + 3 x 64 + 64 x 14 bits."""
PLACE = RING_BITS.bit_length() + 1
"""Bits of a place."""


class Ring(wiring.Component):
    """The body's beats as words, and what its readers must know of them.

    Parameters
    ----------
    word_bits : int
        Bits of a beat and a word.
    readers : int
        Read ports: `address_0` and `data_0`, the word of the address that stood there at the last clock, and so on.
    """

    def __init__(self, word_bits: int, readers: int) -> None:
        self._word_bits, self._readers = word_bits, readers
        self._depth = RING_BITS // word_bits
        ports: dict[str, Any] = {
            "body": In(beats(word_bits // 8)),
            "freed": In(PLACE),
            "clear": In(1),
            "skip": In(1),
            "written": Out(PLACE),
            "readable": Out(PLACE),
            "ended": Out(1),
            "limit": Out(PLACE),
        }
        for i in range(readers):
            ports |= {f"address_{i}": In(range(self._depth)), f"data_{i}": Out(word_bits)}
        super().__init__(ports)

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m, bits = Module(), self._word_bits
        shift = bits.bit_length() - 1
        m.submodules.memory = memory = Memory(shape=bits, depth=self._depth, init=[])
        written, readable = Signal(PLACE - shift), Signal(PLACE - shift)
        used = Signal(PLACE - shift)
        payload, write = self.body.payload, memory.write_port()
        m.d.comb += [
            used.eq(written - self.freed[shift:]),
            self.body.ready.eq(~self.ended & (self.skip | (used != self._depth))),
            write.addr.eq(written),
            write.data.eq(masked(m, [payload.data[i] for i in range(bits // 8)], payload.count)),
            write.en.eq(self.body.valid & self.body.ready & ~self.skip),
            self.written.eq(written << shift),
            self.readable.eq(readable << shift),
        ]
        m.d.sync += readable.eq(written)
        with m.If(self.body.valid & self.body.ready):
            m.d.sync += [written.eq(written + 1), self.ended.eq(payload.last)]
            m.d.sync += self.limit.eq(self.written + (payload.count << 3))
        with m.If(self.clear):
            m.d.sync += [written.eq(0), readable.eq(0), self.ended.eq(0)]
        for i in range(self._readers):
            read = memory.read_port()
            m.d.comb += [read.addr.eq(getattr(self, f"address_{i}")), getattr(self, f"data_{i}").eq(read.data)]
        return m


class BitReader(wiring.Component):
    """The next bits from a place on: `want` are there where `ok`, taken with `take`; `jump` goes to `target`."""

    def __init__(self, word_bits: int, bits: int) -> None:
        self._word_bits, self._bits = word_bits, bits
        super().__init__(
            {
                "address": Out(range(RING_BITS // word_bits)),
                "data": In(word_bits),
                "readable": In(PLACE),
                "jump": In(1),
                "target": In(PLACE),
                "want": In(range(bits + 1)),
                "take": In(1),
                "bits": Out(bits),
                "ok": Out(1),
                "place": Out(PLACE),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m, bits = Module(), self._word_bits
        shift = bits.bit_length() - 1
        first, has_first = Signal(bits), Signal()
        word, offset = Signal(PLACE - shift), Signal(shift)
        next_word = Signal(PLACE - shift)
        end = Signal(range(bits + self._bits))
        has_next = Signal()
        m.d.comb += [
            has_next.eq(word != self.readable[shift:]),
            end.eq(offset + self.want),
            self.bits.eq(Cat(first, self.data) >> offset),
            self.ok.eq((self.want == 0) | (has_first & ((end <= bits) | has_next))),
            self.place.eq(Cat(offset, word - has_first)),
            self.address.eq(next_word),
            next_word.eq(word),
        ]
        with m.If(self.jump):
            m.d.comb += next_word.eq(self.target[shift:])
            m.d.sync += [offset.eq(self.target), has_first.eq(0)]
        with m.Elif(self.take & (self.want != 0)):
            m.d.sync += offset.eq(end)
            with m.If(end >= bits):
                m.d.sync += [first.eq(self.data), has_first.eq(has_next)]
                m.d.comb += next_word.eq(word + has_next)
        with m.Elif(~has_first & has_next):
            m.d.sync += [first.eq(self.data), has_first.eq(1)]
            m.d.comb += next_word.eq(word + 1)
        m.d.sync += word.eq(next_word)
        return m


def before(place: Any, other: Any) -> Any:
    """Whether a place is before another."""
    return (place - other)[PLACE - 1]


def connect_reader(m: Module, ring: Ring, reader: BitReader, port: int) -> None:
    """Give a reader one of the ring's ports."""
    m.d.comb += [
        getattr(ring, f"address_{port}").eq(reader.address),
        reader.data.eq(getattr(ring, f"data_{port}")),
        reader.readable.eq(ring.readable),
    ]


def choose(m: Module, cases: dict[int, Any], index: Any, width: int) -> Any:
    """The entry of a table at an index; 0 where it has none."""
    found = Signal(width)
    with m.Switch(index):
        for key, value in cases.items():
            with m.Case(key):
                m.d.comb += found.eq(value)
    return found
