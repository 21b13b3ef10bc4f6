"""What the first steps of a tile of ``context-rans`` do to its lanes: where another design departs from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fmapzip.errors import InvalidInput
from fmapzip.hardware.tiles import Tile
from fmapzip.reference import context_rans
from fmapzip.reference.context_rans import ZERO_BITS, Ints
from fmapzip.reference.rans import LaneDecoder


@dataclass(frozen=True)
class Step:
    """A lane after one symbol.

    Attributes
    ----------
    symbol : {"start", "flag", "token"}
        What it took; at the start nothing.
    frequency : int
        Of the symbol: of 4096 for a flag, of 256 for a token.
    raw_bits : int
        Bits that it shed behind the symbol.
    state : int
        Its state then, a word taken up where it needed one.
    """

    symbol: Literal["start", "flag", "token"]
    frequency: int
    raw_bits: int
    state: int


def lane_steps(tile: Tile, count: int) -> list[list[Step]]:
    """The start and the first steps, at most so many, of each lane of a tile that is decoded.

    An encoder goes through the same states in the other order.

    Raises
    ------
    InvalidInput
        The tile is of another codec.

    Examples
    --------
    >>> import numpy as np, fmapzip
    >>> from fmapzip.hardware.tiles import tiles
    >>> q = np.random.default_rng(0).poisson(0.3, (8, 6, 6)).astype(np.uint8)
    >>> (tile,) = tiles(fmapzip.encode(q, "context-rans", level="fast"))
    >>> [[step.symbol for step in lane] for lane in lane_steps(tile, 3)]
    [['start', 'flag', 'flag', 'flag']]
    """
    if tile.codec != "context-rans":
        raise InvalidInput(f"a tile of {tile.codec} has no lanes")
    noted: list[list[Step]] = []

    class Noting(LaneDecoder):
        """Notes the first steps."""

        def __init__(self, body: bytes, lanes: int) -> None:
            super().__init__(body, lanes)
            noted.extend([Step("start", 0, 0, int(state))] for state in self.states)

        def advance(self, frequencies: Ints, offsets: Ints, bits: int, raw_bits: Ints) -> Ints:
            raw = super().advance(frequencies, offsets, bits, raw_bits)
            symbol: Literal["flag", "token"] = "flag" if bits == ZERO_BITS else "token"
            for lane, (frequency, shed) in enumerate(zip(frequencies, raw_bits, strict=True)):
                if len(noted[lane]) <= count:
                    noted[lane].append(Step(symbol, int(frequency), int(shed), int(self.states[lane])))
            return raw

    channels, rows, width = tile.values.shape
    context_rans.decode(tile.body, (channels, rows, width), tile.below, tile.parameters, Noting)
    return noted


def trace_table(lanes: list[list[Step]]) -> str:
    """Steps as comma-separated values."""
    lines = ["lane,step,symbol,frequency,raw_bits,state"]
    for lane, steps in enumerate(lanes):
        lines += [f"{lane},{i},{s.symbol},{s.frequency},{s.raw_bits},{s.state}" for i, s in enumerate(steps)]
    return "\n".join(lines) + "\n"


def trace_words(lanes: list[list[Step]], count: int) -> str:
    """The states for ``$readmemh``: for each lane ``count + 1`` words, 0 behind its last step."""
    states = [[step.state for step in steps] for steps in lanes]
    return "".join(f"{state:08x}\n" for each in states for state in each + [0] * (count + 1 - len(each)))
