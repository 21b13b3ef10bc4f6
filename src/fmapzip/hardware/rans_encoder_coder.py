"""The lanes of an encoder of ``context-rans`` side by side: symbols to the words of a body, from its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Array, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.network import close_up, moves, ranks
from fmapzip.hardware.rans_encoder_lane import QUOTIENT_BITS, RansEncoderLane
from fmapzip.hardware.rans_lane import WORD_BITS
from fmapzip.hardware.rans_symbols import symbols
from fmapzip.hardware.streams import beats

DIGITS = 8
"""Bits of a quotient that lanes find in a cycle: a group of symbols takes 24 / 8 + 1 cycles."""


def body_words(lanes: int) -> int:
    """Words in a beat of a body."""
    return max(2, lanes)


class EncoderCoder(wiring.Component):
    """The lanes side by side: groups of symbols to words, and behind the last, where `done`, the states."""

    def __init__(self, lanes: int) -> None:
        self._lanes = lanes
        super().__init__(
            {
                "symbols": In(stream.Signature(symbols(lanes))),
                "done": In(1),
                "lanes_of_tile": In(3),
                "words": Out(beats(body_words(lanes), WORD_BITS)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m, given = Module(), self.symbols.payload
        lanes = [RansEncoderLane(DIGITS) for _ in range(self._lanes)]
        step, divide = Signal(), Signal()
        for i, lane in enumerate(lanes):
            m.submodules[f"lane_{i}"] = lane
            enabled = i < given.count
            m.d.comb += [lane.symbol.eq(given.lanes[i]), lane.token.eq(given.token)]
            m.d.comb += [lane.step.eq(step & enabled), lane.divide.eq(divide & enabled)]
        shed, count = self._shed(m, lanes)
        cycles = Signal(range(QUOTIENT_BITS // DIGITS))
        with m.FSM():
            with m.State("STEP"):
                with m.If(self.symbols.valid):
                    m.d.comb += [step.eq(self.words.ready), self.words.valid.eq(1), self.words.payload.count.eq(count)]
                    m.d.comb += [self.words.payload.data[i].eq(word) for i, word in enumerate(shed)]
                    with m.If(self.words.ready):
                        m.next = "DIVIDE"
                with m.Elif(self.done):
                    m.next = "STATES"
            with m.State("DIVIDE"):
                m.d.comb += divide.eq(1)
                m.d.sync += cycles.eq(cycles + 1)
                with m.If(cycles == QUOTIENT_BITS // DIGITS - 1):
                    m.d.comb += self.symbols.ready.eq(1)
                    m.d.sync += cycles.eq(0)
                    m.next = "STEP"
            with m.State("STATES"):
                self._states(m, lanes)
            with m.State("ENDED"):
                pass
        return m

    def _shed(self, m: Module, lanes: Sequence[RansEncoderLane]) -> tuple[Sequence[Any], Any]:
        """The words of lanes that are full, those of higher lanes first, and how many."""
        full, words = [], []
        for i, lane in reversed(list(enumerate(lanes))):
            full.append(Signal(name=f"full_{i}"))
            words.append(Signal(WORD_BITS, name=f"word_{i}"))
            m.d.comb += full[-1].eq(lane.full & (i < self.symbols.payload.count))
            m.d.comb += words[-1].eq(lane.word & full[-1].replicate(WORD_BITS))
        _, count = ranks(m, full)
        return close_up(m, words, moves(m, full)), count

    def _states(self, m: Module, lanes: Sequence[RansEncoderLane]) -> None:
        """The states of the tile's lanes, the last one first, a state a cycle."""
        left, state = Signal(range(len(lanes))), Signal(32)
        places = Signal(range(len(lanes)))
        m.d.comb += [
            places.eq((1 << self.lanes_of_tile) - 1 - left),
            state.eq(Array(lane.state for lane in lanes)[places] if len(lanes) > 1 else lanes[0].state),
            self.words.valid.eq(1),
            self.words.payload.count.eq(2),
            self.words.payload.data[0].eq(state[WORD_BITS:]),
            self.words.payload.data[1].eq(state[:WORD_BITS]),
            self.words.payload.last.eq(places == 0),
        ]
        with m.If(self.words.ready):
            m.d.sync += left.eq(left + 1)
            with m.If(places == 0):
                m.next = "ENDED"
