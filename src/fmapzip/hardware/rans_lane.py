"""A lane of interleaved rANS (docs/format/context-rans.md): one symbol a cycle, a zero flag or a token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.arithmetic import Sum

STATE_BITS, FLOOR_BITS, WORD_BITS = 31, 15, 16
FLAG_BITS, TOKEN_BITS = 12, 8
TOKENS = 16

TOKEN = data.StructLayout({"start": 8, "base": 8, "raw_bits": 3})
"""One token of a table: where its interval starts, the first byte of its run, and its raw bits."""
TABLE = data.ArrayLayout(TOKEN, TOKENS)
"""A token table."""


class RansLane(wiring.Component):
    """A coder state and what one symbol makes of it.

    `token` says which symbol is asked for; `nonzero` and `index` are its flag and its byte. Where `need`, the state
    takes `word` up. `step` makes the next state the current one; `load` replaces it by `loaded`.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "token": In(1),
                "zero": In(FLAG_BITS),
                "table": In(TABLE),
                "word": In(WORD_BITS),
                "step": In(1),
                "load": In(1),
                "loaded": In(STATE_BITS),
                "nonzero": Out(1),
                "index": Out(8),
                "need": Out(1),
                "settled": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m = Module()
        x = Signal(STATE_BITS)
        flag_slot, slot = x[:FLAG_BITS], x[:TOKEN_BITS]
        start, following, base, raw_bits = token_of(m, self.table, slot, "start")
        of_flag, of_token, within, offset = Signal(FLAG_BITS), Signal(TOKEN_BITS), Signal(TOKEN_BITS), Signal(FLAG_BITS)
        m.d.comb += [
            self.nonzero.eq(flag_slot >= self.zero),
            of_flag.eq(Mux(self.nonzero, -self.zero, self.zero)),
            of_token.eq(following - start),
            within.eq(slot - start),
        ]
        frequency, quotient = Signal(FLAG_BITS), Signal(STATE_BITS - TOKEN_BITS)
        m.d.comb += [
            offset.eq(Mux(self.token, within, flag_slot - Mux(self.nonzero, self.zero, 0))),
            frequency.eq(Mux(self.token, of_token, of_flag)),
            quotient.eq(Mux(self.token, x[TOKEN_BITS:], x[FLAG_BITS:])),
        ]
        whole = product(m, frequency, quotient, offset)
        shift = Signal(3)
        y, raw = Signal(STATE_BITS), Signal(7)
        m.d.comb += [
            shift.eq(Mux(self.token, raw_bits, 0)),
            y.eq(whole >> shift),
            raw.eq(Cat(whole[i] & (shift > i) for i in range(7))),
            self.index.eq(base + raw),
            self.need.eq(~y[FLOOR_BITS:].any()),
            self.settled.eq(x == 1 << FLOOR_BITS),
        ]
        with m.If(self.step):
            m.d.sync += x.eq(Mux(self.need, Cat(self.word, y[:FLOOR_BITS]), y))
        with m.If(self.load):
            m.d.sync += x.eq(self.loaded)
        return m


def token_of(m: Module, table: Any, slot: Any, by: str) -> Sequence[Any]:
    """Of the token that a number lies in, the last whose field `by` (``start`` or ``base``) is at most that.

    Gives its start, the next one's, its first byte and its raw bits.
    """
    reached = Signal(TOKENS + 1)
    m.d.comb += reached.eq(Cat(Const(1, 1), *(slot >= table[t][by] for t in range(1, TOKENS)), Const(0, 1)))
    chosen = Signal(TOKENS)
    m.d.comb += chosen.eq(Cat(reached[t] & ~reached[t + 1] for t in range(TOKENS)))
    starts = [Const(0, 8), *(table[t].start for t in range(1, TOKENS)), Const(0, 8)]
    bases = [Const(1, 8), *(table[t].base for t in range(1, TOKENS))]
    found = starts[:-1], starts[1:], bases, [table[t].raw_bits for t in range(TOKENS)]
    return [_one_of(m, chosen, entries) for entries in found]


def _one_of(m: Module, chosen: Any, entries: Sequence[Any]) -> Any:
    """The entry whose bit is set."""
    found = Signal(len(entries[0]))
    m.d.comb += found.eq(
        Cat(Cat(chosen[i] & entry[bit] for i, entry in enumerate(entries)).any() for bit in range(len(found)))
    )
    return found


def product(m: Module, frequency: Any, quotient: Any, offset: Any) -> Any:
    """Frequency * quotient + offset: a frequency above 8 bits, of a flag, has a quotient of 19."""
    of_flag = STATE_BITS - FLAG_BITS
    found = Sum(m, STATE_BITS)
    for i in range(FLAG_BITS):
        for j in range(of_flag if i >= TOKEN_BITS else len(quotient)):
            found.add_bit(frequency[i] & quotient[j], i + j)
    for i in range(FLAG_BITS):
        found.add_bit(offset[i], i)
    return found.result()
