"""What coding a value would take in our blocks: gates of the synthesis, times their activity.

An 8-bit addition takes 0.03 pJ in 45 nm at 0.9 V (M. Horowitz, "Computing's energy problem", ISSCC 2014). It is eight
full adders of six gate equivalents of which half change: 1.25 fJ for a gate that changes. Areas are those of Yosys on
osu018 (docs/RESULTS.md), counts of gates that hardly depend on the technology. Memories are left out: it is an
estimate, of logic alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from fmapzip.codecs.base import Codec
from fmapzip.codecs.context_rans import ContextRans
from fmapzip.codecs.dct_cm import DctCm

GATE_FJ = 1.25
"""Femtojoules of a gate that changes."""


@dataclass(frozen=True)
class Logic:
    """A block as it was measured.

    Attributes
    ----------
    block : str
        Its name, as `fmapzip rtl` takes it.
    values : int
        Values a cycle, or lanes, that it is made for.
    kge : float
        Thousand gate equivalents, without memories.
    rate : float
        Values a cycle on tiles of real maps.
    activity : float
        Share of its signals' bits that change in a cycle.
    """

    block: str
    values: int
    kge: float
    rate: float
    activity: float

    def picojoules(self, gate_fj: float = GATE_FJ) -> float:
        """Of a value.

        Examples
        --------
        >>> round(Logic("zvc-decoder", 8, 4.79, 7.95, 0.1).picojoules(), 3)
        0.075
        """
        return self.kge * self.activity * gate_fj / self.rate


ENCODERS = {
    "zvc": Logic("zvc-encoder", 8, 2.56, 7.97, 0.238),
    "dct-cm": Logic("dct-cm-points-encoder", 1, 8.34, 0.75, 0.066),
}
DECODERS = {
    "zvc": Logic("zvc-decoder", 8, 4.79, 7.95, 0.212),
    "dct-cm": Logic("dct-cm-points-decoder", 1, 6.22, 0.93, 0.035),
}


def family(codec: Codec) -> str | None:
    """The key of its blocks in the tables above; None where there are none.

    Examples
    --------
    >>> from fmapzip.registry import make
    >>> family(make("zvc")), family(make("dct-cm", path="mask")), family(make("context-rans", level="max"))
    ('zvc', 'dct-cm', None)
    """
    if isinstance(codec, ContextRans):
        return None if codec.level == "max" else f"context-rans:level={codec.level}"
    if isinstance(codec, DctCm):
        return "dct-cm" if codec.path == "mask" and codec.coding == "bitmap" else None
    return "zvc" if codec.id == "zvc" else None


def estimate(codec: Codec, gate_fj: float) -> tuple[float | None, float | None]:
    """Picojoules of encoding and of decoding a value; None where no block was measured, 0 of `raw`."""
    if codec.id == "raw":
        return 0.0, 0.0
    found = (blocks.get(family(codec) or "") for blocks in (ENCODERS, DECODERS))
    encode, decode = (None if logic is None else logic.picojoules(gate_fj) for logic in found)
    return encode, decode
