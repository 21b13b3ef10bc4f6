"""Interleaved rANS, from docs/format/context-rans.md: lanes with 31-bit states that exchange 16-bit words."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmapzip.errors import CorruptFrame, TruncatedFrame

FLOOR = 1 << 15
STATE_BYTES = 4
WORD_BYTES = 2

Ints = NDArray[np.int64]


class LaneDecoder:
    """Takes symbols off the lanes of one tile body."""

    def __init__(self, body: bytes, lanes: int) -> None:
        if len(body) < STATE_BYTES * lanes:
            raise TruncatedFrame("the tile ends inside its states")
        self.states: Ints = np.frombuffer(body[: STATE_BYTES * lanes], "<u4").astype(np.int64)
        if (self.states < FLOOR).any() or (self.states >= FLOOR << 16).any():
            raise CorruptFrame("a coder state is out of range")
        if len(body) % WORD_BYTES:
            raise CorruptFrame("the tile ends in half a word")
        self.words: Ints = np.frombuffer(body[STATE_BYTES * lanes :], "<u2").astype(np.int64)
        self.position = 0

    def slots(self, lanes: int, bits: int) -> Ints:
        """What the first lanes' states say modulo 2^bits."""
        return self.states[:lanes] & ((1 << bits) - 1)

    def advance(self, frequencies: Ints, offsets: Ints, bits: int, raw_bits: Ints) -> Ints:
        """Step the first lanes by their symbols, take raw bits off them and refill them; returns the raw bits."""
        lanes = len(frequencies)
        states = frequencies * (self.states[:lanes] >> bits) + offsets
        raw = states & ((1 << raw_bits) - 1)
        states >>= raw_bits
        low = np.flatnonzero(states < FLOOR)
        words = self.words[self.position : self.position + len(low)]
        if len(words) < len(low):
            raise TruncatedFrame("the tile ends before its last value")
        states[low] = states[low] << 16 | words
        self.position += len(low)
        self.states[:lanes] = states
        return raw

    def close(self) -> None:
        """Every word was used and every state is back where encoders begin."""
        if self.position != len(self.words) or (self.states != FLOOR).any():
            raise CorruptFrame("the tile does not end with its last value")


class LaneEncoder:
    """Puts symbols on lanes, the last one first."""

    def __init__(self, lanes: int) -> None:
        self.states: Ints = np.full(lanes, FLOOR, np.int64)
        self._words: list[NDArray[Any]] = []

    def advance(self, frequencies: Ints, starts: Ints, bits: int, raw: Ints, raw_bits: Ints) -> None:
        """Undo what `LaneDecoder.advance` does for the first lanes."""
        lanes = len(frequencies)
        states = self.states[:lanes]
        full = states >= frequencies << (31 - bits - raw_bits)
        self._words.append(states[full] & 0xFFFF)
        states = np.where(full, states >> 16, states) << raw_bits | raw
        self.states[:lanes] = (states // frequencies << bits) + states % frequencies + starts

    def to_bytes(self) -> bytes:
        """The states, then the words in the order in which a decoder takes them."""
        words = np.concatenate([*reversed(self._words), np.zeros(0, np.int64)])
        return self.states.astype("<u4").tobytes() + words.astype("<u2").tobytes()
