"""A lane of interleaved rANS that encodes: a symbol becomes part of a state by a division, some bits a cycle."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.rans_lane import FLAG_BITS, FLOOR_BITS, STATE_BITS, TOKEN_BITS, WORD_BITS

QUOTIENT_BITS = 24
"""Of a state by a frequency of 256: 23 bits, and one for whole cycles."""
RAW_BITS = 7

SYMBOL = data.StructLayout({"frequency": FLAG_BITS, "start": FLAG_BITS, "raw": RAW_BITS, "raw_bits": 3})
"""Frequency and start of a symbol, raw bits and how many there are."""


class RansEncoderLane(wiring.Component):
    """A coder state that takes up one symbol after another, those that a decoder gives last first.

    At `step` the state sheds `word` where `full`, and takes raw bits up; then its quotient and remainder by the
    frequency are found, `digits` bits of the quotient at each `divide`, 24 in all, while `symbol` stands. `token` says
    whether it is a token; `state` is where the lane stands between symbols.
    """

    def __init__(self, digits: int) -> None:
        self._digits = digits
        super().__init__(
            {
                "symbol": In(SYMBOL),
                "token": In(1),
                "step": In(1),
                "divide": In(1),
                "full": Out(1),
                "word": Out(WORD_BITS),
                "state": Out(STATE_BITS),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m, symbol = Module(), self.symbol
        rest, quotient = Signal(FLAG_BITS), Signal(QUOTIENT_BITS, init=1 << FLOOR_BITS - FLAG_BITS)
        start, token, slot = Signal(FLAG_BITS), Signal(), Signal(FLAG_BITS)
        m.d.comb += [
            slot.eq(rest + start),
            self.state.eq(Mux(token, Cat(slot[:TOKEN_BITS], quotient), Cat(slot, quotient))),
        ]
        longer = Signal(STATE_BITS + RAW_BITS)
        shed = Signal(STATE_BITS - WORD_BITS + RAW_BITS)
        low = self.state[:WORD_BITS]
        reach = Mux(self.token, longer[STATE_BITS - TOKEN_BITS :], longer[STATE_BITS - FLAG_BITS :])
        dividend = Signal(STATE_BITS)
        m.d.comb += [
            longer.eq(self.state << symbol.raw_bits | symbol.raw),
            shed.eq(self.state[WORD_BITS:] << symbol.raw_bits | symbol.raw),
            self.full.eq(reach >= symbol.frequency),
            self.word.eq(low),
            dividend.eq(Mux(self.full, shed, longer)),
        ]
        with m.If(self.step):
            m.d.sync += [rest.eq(dividend[QUOTIENT_BITS:]), quotient.eq(dividend), start.eq(symbol.start)]
            m.d.sync += token.eq(self.token)
        with m.Elif(self.divide):
            left, bits = self._divided(m, rest, quotient)
            m.d.sync += [rest.eq(left), quotient.eq(Cat(*bits, quotient[: QUOTIENT_BITS - self._digits]))]
        return m

    def _divided(self, m: Module, rest: Any, dividend: Any) -> tuple[Any, list[Any]]:
        """The remainder after some bits of the dividend, and bits of the quotient, the lowest first."""
        bits = []
        for digit in range(self._digits):
            longer, less = Signal(FLAG_BITS + 1), Signal(FLAG_BITS + 2)
            left = Signal(FLAG_BITS)
            m.d.comb += [
                longer.eq(Cat(dividend[QUOTIENT_BITS - 1 - digit], rest)),
                less.eq(longer - self.symbol.frequency),
                left.eq(Mux(less[-1], longer, less)),
            ]
            bits.append(~less[-1])
            rest = left
        return rest, bits[::-1]
