"""Which candidates there are for a feature map: quantizers, codecs and settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmapzip import registry
from fmapzip.codecs.base import Codec
from fmapzip.planner.candidate import Candidate
from fmapzip.planner.spectrum import Spectrum
from fmapzip.quantize import QuantParams

RANS = "context-rans"
AUTO = (RANS, "dct-cm", "zvc", "raw")

# Nominal steps, in steps of the calibrated 8-bit grid, half an octave apart.
STEPS = tuple(2.0 ** (k / 2) for k in range(-2, 10))
# How many steps of the quantizer's grid make a nominal step: more of them place reconstruction points better, and
# leave less room for large values.
_DIVISIONS = tuple(Fraction(n, d) for n, d in ((1, 1), (3, 2), (2, 1), (5, 2), (3, 1), (4, 1), (5, 1), (7, 1), (9, 1)))
_LARGEST_STEP = 16
_MOST_STRETCH = 2.0


@dataclass(frozen=True)
class Source:
    """What the candidates of one feature map are made from.

    Parameters
    ----------
    base : QuantParams
        The calibrated quantizer, one scale for the tensor.
    plain, shaped : Spectrum
        Of the maps, with one grid for all channels and with each channel's stretched by `stretch`.
    stretch : tuple of float
    """

    base: QuantParams
    plain: Spectrum
    shaped: Spectrum
    stretch: tuple[float, ...]

    @classmethod
    def of(cls, maps: NDArray[np.float32], base: QuantParams, gains: NDArray[np.float64]) -> Source:
        """Look at the float maps [N, C, ...] of a tap and at its channels' noise gains."""
        stretch = stretches(gains)
        plain = Spectrum(maps, base, gains, np.ones(len(gains)))
        return cls(base, plain, Spectrum(maps, base, gains, stretch), tuple(float(value) for value in stretch))

    def estimate(self, candidate: Candidate) -> float | None:
        """Return the estimated damage of a candidate; None where only running its codec tells."""
        step = _fraction(candidate.codec)
        if step is None:
            return None
        return (self.shaped if candidate.shaped else self.plain).damage(1 / candidate.reach, step)


def _fraction(codec: Codec) -> Fraction | None:
    """Return the step by which `codec` re-quantises, 1 where it is lossless; None where it loses otherwise."""
    if codec.lossless:
        return Fraction(1)
    return Fraction(str(codec.config()["step"])) if codec.id == RANS else None


def stretches(gains: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each channel's grid relative to the others': as the inverse root of its noise gain, within a factor of 2.

    At high rate, steps that give all channels the same damage a value take the fewest bits for it (reverse
    water-filling).
    """
    usual = np.exp(np.mean(np.log(gains[gains > 0]))) if (gains > 0).any() else 1.0
    wanted = np.sqrt(usual / np.maximum(gains, usual * 1e-6))
    return np.clip(wanted, 1 / _MOST_STRETCH, _MOST_STRETCH)


def codecs_of(names: Sequence[str | Codec]) -> tuple[Codec, ...]:
    """Return the codecs to choose from; ``auto`` stands for every built-in one.

    Raises
    ------
    UnknownCodec
        No codec of that name.
    """
    found: list[Codec] = []
    for name in names:
        chosen = [each for each in AUTO if each in registry.names()] if name == "auto" else [name]
        found += [codec for codec in map(registry.make, chosen) if codec not in found]
    return tuple(found)


def lossless(source: Source, codecs: Iterable[Codec]) -> list[Candidate]:
    """Return the candidates that keep every value of the calibrated 8-bit grid."""
    every = [option for codec in codecs for option in (codec, *codec.candidates())]
    return _distinct(Candidate(source.base, codec) for codec in every if codec.lossless)


def lossy(source: Source, codecs: Sequence[Codec], steps: Sequence[float], shaped: bool) -> list[Candidate]:
    """Return the candidates with about the nominal `steps`, of all codecs.

    Where a codec can re-quantise, a nominal step is made of several steps of a finer grid: as many as the least
    estimated damage asks for.
    """
    requantise = [codec for codec in codecs if _requantises(codec)]
    others = [codec for codec in codecs if codec not in requantise]
    found = [_requantised(source, codec, step, shaped) for codec in requantise for step in steps]
    for codec in others:
        found += list(_fixed(source, codec, steps, bool(requantise)))
    return _distinct(found)


def _requantises(codec: Codec) -> bool:
    """Whether the codec has a free `step` with trained points; one that was asked for stays."""
    return codec.id == RANS and codec.lossless


def _requantised(source: Source, codec: Codec, step: float, shaped: bool) -> Candidate:
    spectrum = source.shaped if shaped else source.plain
    division = min(
        (d for d in _DIVISIONS if d <= _LARGEST_STEP), key=lambda d: (spectrum.damage(float(d) / step, d), d)
    )
    quantizer = _grid(source, step / float(division), shaped)
    settings: dict[str, Any] = {"step": str(division)}
    return Candidate(quantizer, dataclasses.replace(codec, **settings), step, step / float(division), shaped)


def _fixed(source: Source, codec: Codec, steps: Sequence[float], beside_others: bool) -> Iterable[Candidate]:
    """Candidates of a codec whose settings are its own: each on the calibrated grid, lossless ones on coarser ones."""
    for option in codec.candidates():
        yield Candidate(source.base, option)
        if option.lossless and not beside_others:
            for step in steps:
                yield Candidate(_grid(source, step, shaped=False), option, step, step)


def _grid(source: Source, reach: float, shaped: bool) -> QuantParams:
    """Return the calibrated quantizer with its grid stretched."""
    base = source.base
    if reach == 1 and not shaped:
        return base
    scale = base.scale[0] * reach
    scales = tuple(scale * stretch for stretch in source.stretch) if shaped else (scale,)
    name = f"{base.calibrator}*{reach:.4g}" + (":gains" if shaped else "")
    return QuantParams(base.dtype, scales, name)


def _distinct(candidates: Iterable[Candidate]) -> list[Candidate]:
    return list({candidate.key: candidate for candidate in candidates}.values())
