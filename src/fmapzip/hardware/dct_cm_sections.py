"""The second pass of encoding blocks of ``dct-cm``: codes to a block's sections, and these to one stream of bits."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.dct_cm_choice import CODE_BITS
from fmapzip.hardware.network import close_up, moves, ranks
from fmapzip.hardware.ring import choose
from fmapzip.hardware.streams import beats
from fmapzip.reference.bit_blocks import BLOCK, MASK_ALL_ZEROS, MASK_MIXED, MASK_NO_ZEROS, SPLITS

SLICE, WORD = 8, 16
"""Positions of a plane, and bits of codes, that are kept together."""
PLANES = 4
SMALL_BITS = max(split[1] for split in SPLITS)
MASK_SPLIT = SPLITS.index((1, 0, 0))
"""The split that is a zero bitmap alone, where the last class has no bits."""


def words_of(code_bits: int) -> int:
    """Words of a section of codes, as a power of two."""
    return 1 << (BLOCK * code_bits // WORD - 1).bit_length()


def sections(rows: bool) -> data.StructLayout:
    """What is told of a sorted block.

    Its split and width, how many positions, whether the tile ends with it, bits of small codes and of the last class,
    and which half of the memories it is in; with `rows` whether it is a row of a zero mask, and its mode.
    """
    fields = {"split": 4, "last_bits": 4, "size": range(BLOCK + 1), "final": 1, "small": range(512)}
    of_rows = {"mask": 1, "mode": 2} if rows else {}
    return data.StructLayout({**fields, "last": range(1024), "half": 1, **of_rows})


def memories(code_bits: int) -> wiring.Signature:
    """How a sorted block is read, from the reader: planes of class bits, words of small codes and of the last class."""
    words = words_of(code_bits)
    return wiring.Signature(
        {
            "plane_address": Out(4),
            "planes": In(PLANES * SLICE),
            "small_address": Out(range(2 * words)),
            "small": In(WORD),
            "last_address": Out(range(2 * words)),
            "last": In(WORD),
        }
    )


class CodeWords(wiring.Component):
    """Codes of some bits to words in one half of a memory, and `data`, the word of `address` at the last clock."""

    def __init__(self, bits: int, words: int) -> None:
        self._bits, self._words = bits, words
        super().__init__(
            {
                "half": In(1),
                "code": In(bits),
                "width": In(range(bits + 1)),
                "add": In(1),
                "flush": In(1),
                "total": Out(range(BLOCK * bits + 1)),
                "address": In(range(2 * self._words)),
                "data": Out(WORD),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m = Module()
        m.submodules.memory = memory = Memory(shape=WORD, depth=2 * self._words, init=[])
        write, read = memory.write_port(), memory.read_port()
        held, both = Signal(WORD - 1), Signal(WORD - 1 + self._bits)
        level, reached = Signal(range(WORD)), Signal(range(WORD + self._bits))
        m.d.comb += [
            both.eq(held | self.code << level),
            level.eq(self.total),
            reached.eq(level + self.width),
            write.addr.eq(Cat((self.total >> 4)[: self._words.bit_length() - 1], self.half)),
            write.data.eq(Mux(self.flush, held, both)),
            write.en.eq((self.add & (reached >= WORD)) | (self.flush & level.any())),
            read.addr.eq(self.address),
            self.data.eq(read.data),
        ]
        with m.If(self.add):
            m.d.sync += [held.eq(Mux(reached >= WORD, both >> WORD, both)), self.total.eq(self.total + self.width)]
        with m.If(self.flush):
            m.d.sync += [held.eq(0), self.total.eq(0)]
        return m


class Sorter(wiring.Component):
    """Codes of a block, one a cycle from where `start`, to planes of class bits and words of codes.

    `next` asks for the code behind; `sections` are handed over where `done` and `free`.

    Parameters
    ----------
    code_bits : int, optional
        Of a code.
    rows : bool, optional
        Whether there are rows of a zero mask, where `mask`.
    """

    def __init__(self, code_bits: int = CODE_BITS, rows: bool = False) -> None:
        self._code_bits, self._rows = code_bits, rows
        super().__init__(
            {
                "code": In(code_bits),
                "chosen": In(1),
                "split": In(4),
                "last_bits": In(4),
                "size": In(range(BLOCK + 1)),
                "final": In(1),
                **({"mask": In(1)} if rows else {}),
                "taken": Out(1),
                "next": Out(1),
                "sections": Out(sections(rows)),
                "done": Out(1),
                "free": In(1),
                "memories": In(memories(code_bits)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m = Module()
        m.submodules.small = small = CodeWords(SMALL_BITS, words_of(self._code_bits))
        m.submodules.last = last = CodeWords(self._code_bits, words_of(self._code_bits))
        m.submodules.planes = memory = Memory(shape=PLANES * SLICE, depth=2 * BLOCK // SLICE, init=[])
        write, read = memory.write_port(), memory.read_port(domain="comb")
        half, left, at, final = Signal(), Signal(range(BLOCK + 1)), Signal(range(BLOCK)), Signal()
        split, width, size = Signal(4), Signal(4), Signal(range(BLOCK + 1))
        zero_bitmap, small_bits, selectors = (
            choose(m, {i: each[part] for i, each in enumerate(SPLITS)}, split, bits)
            for part, bits in enumerate((1, 3, 2))
        )
        reaches = [Signal(name=f"reaches_{i}") for i in range(PLANES)]
        m.d.comb += reaches[0].eq(~zero_bitmap | self.code.any())
        ends = [Signal(self._code_bits, name=f"end_{i}") for i in range(PLANES)]
        for i in range(1, PLANES):
            m.d.comb += ends[i].eq(zero_bitmap + (i << small_bits))
            m.d.comb += reaches[i].eq(self.code >= ends[i])
        end, in_last = choose(m, dict(enumerate(ends)), selectors, self._code_bits), Signal()
        m.d.comb += in_last.eq(choose(m, dict(enumerate(reaches)), selectors, 1))
        low = Signal(self._code_bits)
        m.d.comb += low.eq(self.code - zero_bitmap)
        masked = Cat(low[i] & (i < small_bits) for i in range(SMALL_BITS))
        gathered = [Signal(SLICE, name=f"gathered_{i}") for i in range(PLANES)]
        rows = [Cat(bits[1:], reach) for bits, reach in zip(gathered, reaches, strict=True)]
        m.d.comb += [
            small.half.eq(half),
            small.code.eq(masked),
            small.width.eq(small_bits),
            last.half.eq(half),
            last.code.eq(self.code - Mux(selectors == 0, zero_bitmap, end)),
            last.width.eq(width),
            small.address.eq(self.memories.small_address),
            self.memories.small.eq(small.data),
            last.address.eq(self.memories.last_address),
            self.memories.last.eq(last.data),
            write.addr.eq(Cat(at[3:], half)),
            read.addr.eq(self.memories.plane_address),
            self.memories.planes.eq(read.data),
            self.sections.split.eq(split),
            self.sections.last_bits.eq(width),
            self.sections.size.eq(size),
            self.sections.final.eq(final),
            self.sections.small.eq(small.total),
            self.sections.last.eq(last.total),
            self.sections.half.eq(half),
        ]
        if self._rows:
            self._mask_mode(m)
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [split.eq(self.split), width.eq(self.last_bits), size.eq(self.size), left.eq(self.size)]
                m.d.sync += [final.eq(self.final), at.eq(0)]
                if self._rows:
                    with m.If(self.mask):
                        m.d.sync += [split.eq(MASK_SPLIT), width.eq(0)]
                with m.If(self.chosen):
                    m.d.comb += self.taken.eq(1)
                    m.next = "SORT"
            with m.State("SORT"):
                m.d.comb += [self.next.eq(1), small.add.eq(reaches[0] & ~in_last), last.add.eq(in_last)]
                m.d.sync += [left.eq(left - 1), at.eq(at + 1)]
                full = (at[:3] == SLICE - 1) | (left == 1)
                shift = ~at[:3]
                m.d.comb += [write.en.eq(full), write.data.eq(Cat(row >> shift for row in rows))]
                m.d.sync += [bits.eq(row) for bits, row in zip(gathered, rows, strict=True)]
                with m.If(left == 1):
                    m.next = "DONE"
            with m.State("DONE"):
                m.d.comb += self.done.eq(1)
                with m.If(self.free):
                    m.d.comb += [small.flush.eq(1), last.flush.eq(1)]
                    m.d.sync += half.eq(~half)
                    m.next = "IDLE"
        return m

    def _mask_mode(self, m: Module) -> None:
        """Whether a block is a row of a zero mask, and whether all or none of its positions are zero."""
        mask, zeros, others = Signal(), Signal(), Signal()
        with m.If(self.taken):
            m.d.sync += [mask.eq(self.mask), zeros.eq(0), others.eq(0)]
        with m.If(self.next):
            m.d.sync += [zeros.eq(zeros | ~self.code.any()), others.eq(others | self.code.any())]
        mode = Mux(zeros & others, MASK_MIXED, Mux(zeros, MASK_ALL_ZEROS, MASK_NO_ZEROS))
        m.d.comb += [self.sections.mask.eq(mask), self.sections.mode.eq(mode)]


class Assembler(wiring.Component):
    """Sorted blocks to bits: header, zero bitmap and selectors of 8 positions a cycle, words of codes.

    It takes `sections` where `start` and `free`, and reads what they left in the memories. Its parameters are those of
    `Sorter`.
    """

    def __init__(self, code_bits: int = CODE_BITS, rows: bool = False) -> None:
        self._code_bits, self._rows = code_bits, rows
        super().__init__(
            {
                "sections": In(sections(rows)),
                "start": In(1),
                "free": Out(1),
                "memories": Out(memories(code_bits)),
                "output": Out(beats(WORD, 1)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m, out = Module(), self.output
        held, stage, number, left = Signal(sections(self._rows)), Signal(2), Signal(3), Signal(range(BLOCK + 1))
        word, next_word = (Signal(range(words_of(self._code_bits)), name=name) for name in ("word", "next_word"))
        zero_bitmap = choose(m, {i: split[0] for i, split in enumerate(SPLITS)}, held.split, 1)
        selectors = choose(m, {i: split[2] for i, split in enumerate(SPLITS)}, held.split, 2)
        taken = Signal()
        closed, total = self._answers(m, stage, left, zero_bitmap)
        m.d.comb += [
            taken.eq(out.valid & out.ready),
            next_word.eq(word),
            self.memories.plane_address.eq(Cat(number, held.half)),
            self.memories.small_address.eq(Cat(next_word, held.half)),
            self.memories.last_address.eq(Cat(next_word, held.half)),
        ]
        m.d.sync += word.eq(next_word)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.free.eq(1)
                m.d.sync += [held.eq(self.sections), left.eq(self.sections.size), number.eq(0)]
                m.d.comb += next_word.eq(0)
                with m.If(self.start):
                    m.next = "HEADER"
            with m.State("HEADER"):
                m.d.sync += stage.eq(~zero_bitmap)
                self._header(m, held, taken, ~zero_bitmap & (selectors == 0))
            with m.State("STAGE"):
                self._put(m, Cat(closed), total)
                with m.If(taken):
                    m.d.sync += [number.eq(number + 1), left.eq(left - SLICE)]
                    with m.If(left <= SLICE):
                        m.d.sync += [number.eq(0), left.eq(held.size), stage.eq(stage + 1)]
                        with m.If(stage == selectors):
                            m.next = "SMALL"
            for state, bits, words, following in (
                ("SMALL", held.small, self.memories.small, "LAST"),
                ("LAST", held.last, self.memories.last, "END"),
            ):
                with m.State(state):
                    self._put(m, Mux(bits.any(), words, 0), Mux(bits < WORD, bits, WORD))
                    with m.If(taken):
                        m.d.comb += next_word.eq(word + 1)
                        m.d.sync += bits.eq(bits - WORD)
                        with m.If(bits <= WORD):
                            m.d.comb += next_word.eq(0)
                            m.next = following
            with m.State("END"):
                with m.If(held.final):
                    self._put(m, 0, 0)
                    m.d.comb += out.payload.last.eq(1)
                with m.If(~held.final | taken):
                    m.next = "IDLE"
        return m

    def _header(self, m: Module, held: Any, taken: Any, one_class: Any) -> None:
        """A block's header; a row of a zero mask says in its own whether bits follow."""
        self._put(m, Cat(held.last_bits, held.split), 8)
        with m.If(taken):
            m.next = "STAGE"
            with m.If(one_class):
                m.next = "SMALL"
        if self._rows:
            with m.If(held.mask):
                self._put(m, held.mode, 2)
                with m.If(taken & (held.mode != MASK_MIXED)):
                    m.next = "END"

    def _answers(self, m: Module, stage: Any, left: Any, zero_bitmap: Any) -> tuple[list[Any], Any]:
        """Bits of a slice of a stage: those of the positions that it asks about, closed up, and how many."""
        asked = Signal(SLICE)
        above = self.memories.planes.word_select((stage - 1)[:2], SLICE)
        here = Cat(i < left for i in range(SLICE))
        m.d.comb += asked.eq(Mux(Mux(zero_bitmap, stage == 0, stage == 1), here, here & above))
        answers = self.memories.planes.word_select(stage, SLICE) & asked
        _, count = ranks(m, list(asked))
        return close_up(m, [answers[i] for i in range(SLICE)], moves(m, list(asked))), count

    def _put(self, m: Module, bits: Any, count: Any) -> None:
        """Offer some bits, those behind them 0."""
        m.d.comb += [self.output.valid.eq(1), self.output.payload.data.eq(bits), self.output.payload.count.eq(count)]
