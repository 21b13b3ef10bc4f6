"""The first half of decoding blocks of ``dct-cm``: headers, zero bitmaps and selectors, which say where codes are."""

from __future__ import annotations

from typing import Any, ClassVar

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.network import moves, ranks, spread
from fmapzip.hardware.ring import PLACE, before, choose
from fmapzip.hardware.streams import Error
from fmapzip.reference.bit_blocks import BLOCK, MAX_CODE_BITS, SPLITS

PLANES = 4
"""Bits that tell a position's class: of the zero bitmap and of three selectors."""
COUNT_BITS = 16
"""Bits of how many planes a tile has, and of how many blocks a plane."""


def word_bits(values: int) -> int:
    """Bits of a word of the body, for so many values a cycle."""
    return max(16, 8 * values)


TILE = data.StructLayout(
    {
        "planes": COUNT_BITS,
        "blocks": COUNT_BITS,
        "size": range(BLOCK + 1),
        "last_size": range(BLOCK + 1),
        "points": range(257),
        "both": 7,
        "negative": 1,
        "load": 1,
    }
)
"""What software computes of a tile: planes, blocks in each, positions in each block but the last and in the last; how
many points there are, how many magnitudes have both signs, and whether the others are negative; whether a table is
loaded before it."""

CODES = data.StructLayout(
    {
        "zero_bitmap": 1,
        "small_bits": 3,
        "selectors": 2,
        "last_bits": 4,
        "size": range(BLOCK + 1),
        "final": 1,
        "small": PLACE,
        "last": PLACE,
        "end": PLACE,
    }
)
"""What is known of a block when its classes are: its split, how many positions, whether the tile ends with it, and the
places of its small codes, its last class and its end."""


class Registers:
    """What `Classes` remembers, and conditions on it that several states need.

    `planes` and `blocks` are left of the tile and of the plane, `left` positions of the block; `half` is that of the
    memory, `number` the slice. `not_zero` positions are not in the zero class, `after` passed the stage so far.
    """

    def __init__(self, width: int) -> None:
        self.codes = Signal(CODES)
        self.planes, self.blocks = Signal(COUNT_BITS), Signal(COUNT_BITS)
        self.half, self.number = Signal(), Signal(range(max(BLOCK // width, 2)))
        self.stage, self.first, self.left = Signal(range(PLANES)), Signal(), Signal(range(BLOCK + 1))
        self.not_zero, self.after = Signal(range(BLOCK + 1)), Signal(range(BLOCK + 1))
        self.room, self.truncated = Signal(PLACE), Signal()
        self.last_block = Signal()


class Classes(wiring.Component):
    """Reads the classes of one block after another, `8 values` positions a cycle.

    They go into `write_data`, a bit for each plane and position, for the memory that `Codes` reads; `read_data` is what
    stands there at `address`. A block's `codes` are handed over when all of the block is in the ring.
    """

    _source: ClassVar[dict[str, Any]] = {"tile": In(TILE)}
    """Ports that tell of the blocks to come."""

    def __init__(self, values: int) -> None:
        self._slice = 8 * values
        super().__init__(
            {
                **self._source,
                "start": In(1),
                "bits": In(self._slice),
                "ok": In(1),
                "place": In(PLACE),
                "want": Out(range(self._slice + 1)),
                "take": Out(1),
                "jump": Out(1),
                "target": Out(PLACE),
                "written": In(PLACE),
                "ended": In(1),
                "limit": In(PLACE),
                "address": Out(range(2 * BLOCK // self._slice)),
                "write": Out(PLANES),
                "write_data": Out(self._slice),
                "read_data": In(PLANES * self._slice),
                "codes": Out(CODES),
                "hand_over": Out(1),
                "free": In(1),
                "error": Out(2),
                "finished": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m, r = Module(), Registers(self._slice)
        current = self._stage_input(m, r)
        m.d.comb += [
            r.room.eq(self.limit - self.place),
            r.truncated.eq(self.ended & (r.room[PLACE - 1] | (r.room < self.want))),
            r.last_block.eq(r.blocks == 1),
            self.codes.eq(r.codes),
            self.codes.end.eq(r.codes.last + r.codes.end),
            self.address.eq(Cat(r.number, r.half) if self._slice < BLOCK else r.half),
        ]
        with m.FSM():
            with m.State("IDLE"):
                self._begin(m, r)
                with m.If(self.start):
                    m.d.comb += self.jump.eq(1)
                    m.next = "HEADER"
            with m.State("HEADER"):
                self._header(m, r)
            with m.State("STAGE"):
                self._stage(m, r, current)
            with m.State("LOCATE"):
                small = Signal(range(BLOCK + 1))
                m.d.comb += small.eq(r.not_zero - r.after)
                m.d.sync += [r.codes.small.eq(self.place), r.codes.end.eq(r.codes.last_bits * r.after)]
                m.d.sync += r.codes.last.eq(self.place + r.codes.small_bits * small)
                m.next = "WAIT"
            with m.State("WAIT"):
                self._wait(m, r)
            with m.State("TAIL"):
                self._tail(m, r.room)
            with m.State("FINISHED"):
                m.d.comb += self.finished.eq(1)
            with m.State("FAILED"):
                pass
        return m

    def _stage_input(self, m: Module, r: Registers) -> Any:
        """The positions that a slice of a stage asks about: all of the block, or those that the stage before left."""
        current = Signal(self._slice)
        above = self.read_data.word_select((r.stage - 1)[:2], self._slice)
        m.d.comb += current.eq(Mux(r.first, Cat(i < r.left for i in range(self._slice)), above))
        return current

    def _begin(self, m: Module, r: Registers) -> None:
        """Until a tile starts: what is counted in it."""
        m.d.sync += [r.planes.eq(self.tile.planes), r.blocks.eq(self.tile.blocks)]

    def _header(self, m: Module, r: Registers) -> None:
        """Take a header apart."""
        size = Mux(r.last_block, self.tile.last_size, self.tile.size)
        self._take_header(m, r, size, r.last_block & (r.planes == 1))

    def _take_header(self, m: Module, r: Registers, size: Any, final: Any) -> None:
        """That of a block of so many positions, the tile's last one or not."""
        zero_bitmap, small_bits, selectors = (
            choose(m, {i: split[part] for i, split in enumerate(SPLITS)}, self.bits[4:8], bits)
            for part, bits in enumerate((1, 3, 2))
        )
        m.d.comb += self.want.eq(8)
        m.d.sync += [r.codes.zero_bitmap.eq(zero_bitmap), r.codes.small_bits.eq(small_bits)]
        m.d.sync += [r.codes.selectors.eq(selectors), r.codes.last_bits.eq(self.bits[:4])]
        m.d.sync += [r.codes.size.eq(size), r.codes.final.eq(final)]
        m.d.sync += [r.stage.eq(~zero_bitmap), r.first.eq(1), r.left.eq(size), r.not_zero.eq(size), r.after.eq(0)]
        with m.If(r.truncated):
            self._fail(m, Error.TRUNCATED)
        with m.Elif(self.ok):
            m.d.comb += self.take.eq(1)
            m.next = "STAGE"
            with m.If(self.bits[:4] > MAX_CODE_BITS):
                self._fail(m, Error.CORRUPT)
            with m.Elif(~zero_bitmap & (selectors == 0)):
                m.d.sync += r.after.eq(size)
                m.next = "LOCATE"

    def _stage(self, m: Module, r: Registers, current: Any) -> None:
        """A slice of the zero bitmap (stage 0) or of a selector."""
        width, counted = self._slice, Signal(range(BLOCK + 1))
        fresh, total = self._answers(m, r, current)
        _, kept = ranks(m, fresh)
        m.d.comb += [self.write_data.eq(Cat(fresh)), counted.eq(r.after + kept), self.want.eq(total)]
        with m.If(r.truncated):
            self._fail(m, Error.TRUNCATED)
        with m.Elif(self.ok):
            m.d.comb += [self.take.eq(1), self.write.eq(1 << r.stage)]
            m.d.sync += [r.number.eq(r.number + 1), r.left.eq(r.left - width), r.after.eq(counted)]
            with m.If(r.left <= width):
                m.d.sync += [r.number.eq(0), r.left.eq(r.codes.size), r.stage.eq(r.stage + 1), r.first.eq(0)]
                with m.If(r.stage == 0):
                    m.d.sync += r.not_zero.eq(counted)
                with m.If(r.stage == r.codes.selectors):
                    m.next = "LOCATE"
                with m.Else():
                    m.d.sync += r.after.eq(0)

    def _answers(self, m: Module, r: Registers, current: Any) -> tuple[list[Any], Any]:
        """Which positions pass the stage, and how many bits say so."""
        _, total = ranks(m, list(current))
        return spread(m, list(self.bits), list(current), moves(m, list(current))), total

    def _wait(self, m: Module, r: Registers) -> None:
        """Hand the block over when all of it is there, and go to the next."""
        m.d.comb += self.target.eq(self.codes.end)
        with m.If(self.ended & before(self.limit, self.codes.end)):
            self._fail(m, Error.TRUNCATED)
        with m.Elif((self.ended | ~before(self.written, self.codes.end)) & self.free):
            m.d.comb += [self.hand_over.eq(1), self.jump.eq(1)]
            m.d.sync += r.half.eq(~r.half)
            m.next = "HEADER"
            self._advance(m, r)
            with m.If(r.codes.final):
                m.next = "TAIL"

    def _advance(self, m: Module, r: Registers) -> None:
        """Where a block is handed over: count it."""
        m.d.sync += r.blocks.eq(r.blocks - 1)
        with m.If(r.last_block):
            m.d.sync += [r.blocks.eq(self.tile.blocks), r.planes.eq(r.planes - 1)]

    def _tail(self, m: Module, room: Any) -> None:
        """What follows the last block: less than a byte, and zeros. Two words more are too much, whatever they are."""
        beyond = Signal(PLACE)
        m.d.comb += [beyond.eq(self.written - self.place), self.want.eq(Mux(self.ended, room[:3], 0))]
        with m.If(self.ended):
            with m.If(room[3:].any()):
                self._fail(m, Error.CORRUPT)
            with m.Elif(self.ok):
                m.next = "FINISHED"
                with m.If(Cat(self.bits[i] & (i < room[:3]) for i in range(7)).any()):
                    self._fail(m, Error.CORRUPT)
        with m.Elif(~beyond[PLACE - 1] & (beyond >= 2 * word_bits(self._slice // 8))):
            self._fail(m, Error.CORRUPT)

    def _fail(self, m: Module, error: int) -> None:
        m.d.sync += self.error.eq(error)
        m.next = "FAILED"
