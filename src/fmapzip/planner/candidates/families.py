"""Which candidates there are for a feature map: families of grids, codecs and settings, each with a free step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from fmapzip import registry
from fmapzip.codecs.base import Codec, Tradeoff
from fmapzip.planner.candidate import Candidate
from fmapzip.planner.candidates.tap_model import TapModel
from fmapzip.quantize import QuantParams

# Nominal steps, in steps of the calibrated 8-bit grid, half an octave apart.
STEPS = tuple(2.0 ** (k / 2) for k in range(-2, 12))


@dataclass(frozen=True)
class Family:
    """Candidates of one kind, one for each nominal step."""

    make: Callable[[float], Candidate]


def codecs_of(names: Sequence[str | Codec]) -> tuple[Codec, ...]:
    """Return the codecs to choose from.

    ``auto`` stands for the variants of every built-in one, the newest first: the first of equals is taken. A name
    stands for that codec's first variant. `Codec` objects are taken as they are.

    Raises
    ------
    UnknownCodec
        No codec of that name.
    """
    found: list[Codec] = []
    for name in names:
        if name == "auto":
            named = [
                each for builtin in reversed(registry.builtin_names()) for each in registry.get(builtin).variants()
            ]
        else:
            named = [name if isinstance(name, Codec) else registry.get(name).variants()[0]]
        found += [codec for codec in named if codec not in found]
    return tuple(found)


def fixed(model: TapModel, codecs: Iterable[Codec]) -> list[Candidate]:
    """Return the candidates on the calibrated grid itself: lossless codecs, and lossy ones without a step to choose."""
    found = []
    for codec in codecs:
        for option in (codec, *codec.candidates()):
            if option.lossless or not codec.tradeoffs():
                found.append(Candidate(model.base, option))
    return list({candidate.key: candidate for candidate in found}.values())


def families(model: TapModel, codecs: Sequence[Codec]) -> list[Family]:
    """Return the families of candidates; of lossless codecs only where none of the codecs can lose on its own."""
    found: list[Family] = []
    for tradeoff in (each for codec in codecs for each in codec.tradeoffs()):
        if tradeoff.requantizes:
            found += [_requantizing(model, tradeoff, shaped) for shaped in (False, True)]
        else:
            found.append(_on_the_calibrated_grid(model, tradeoff))
    for codec in codecs if not found else ():
        if codec.lossless:
            found += [_coarser(model, codec, shaped) for shaped in (False, True)]
    return found


def _requantizing(model: TapModel, tradeoff: Tradeoff, shaped: bool) -> Family:
    """Whole steps on finer grids; only grids of nominal steps below 1 clip values."""

    def make(step: float) -> Candidate:
        division = model.division(step, shaped, tradeoff)
        codec, clip_ratio = tradeoff.at(division, model.values), step / division
        return Candidate(_grid(model, codec, step, clip_ratio, shaped), codec, step, clip_ratio, shaped)

    return Family(make)


def _on_the_calibrated_grid(model: TapModel, tradeoff: Tradeoff) -> Family:
    return Family(lambda step: Candidate(model.base, tradeoff.at(step, model.values), step))


def _coarser(model: TapModel, codec: Codec, shaped: bool) -> Family:
    """A lossless codec on coarser grids."""
    return Family(lambda step: Candidate(_grid(model, codec, step, step, shaped), codec, step, step, shaped))


def _grid(model: TapModel, codec: Codec, step: float, clip_ratio: float, shaped: bool) -> QuantParams:
    """A grid as fine as the step asks for; where channels have their own, what seems better of clipping and not."""
    if step >= 1 or not shaped:
        return model.grid(clip_ratio, shaped, 1.0)
    grids = [model.grid(clip_ratio, shaped, least) for least in (step, 1.0)]
    estimates = [model.distortion(grid, codec) for grid in grids]
    known = [(estimate, i) for i, estimate in enumerate(estimates) if estimate is not None]
    return grids[min(known)[1]] if known else grids[0]
