"""Which candidates there are for a feature map: families of grids, codecs and settings, each with a free step."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from fmapzip import registry
from fmapzip.codecs.base import Codec
from fmapzip.planner.candidate import Candidate
from fmapzip.planner.spectrum import Spectrum
from fmapzip.quantize import QuantParams

RANS, DCT = "context-rans", "dct-cm"
AUTO = (RANS, DCT, "zvc", "raw")

# Nominal steps, in steps of the calibrated 8-bit grid, half an octave apart.
STEPS = tuple(2.0 ** (k / 2) for k in range(-2, 12))
# How many steps of the quantizer's grid make a nominal step: more of them place reconstruction points better, and
# leave less room for large values.
_DIVISIONS = (Fraction(1), Fraction(3, 2), Fraction(2), Fraction(5, 2), *map(Fraction, (3, 4, 5, 7, 9, 13)))
_MOST_STRETCH = 2.0
# Transforms that a trial picks from: channels a group, and whether exact zeros are restored.
_TRANSFORMS = ((8, False), (8, True), (16, False), (32, False))


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
        step = _requantised_by(candidate.codec)
        if step is None:
            return None
        return (self.shaped if candidate.shaped else self.plain).damage(1 / candidate.reach, step)

    def grid(self, reach: float, shaped: bool) -> QuantParams:
        """Return the calibrated quantizer with its grid stretched."""
        if reach == 1 and not shaped:
            return self.base
        scale = self.base.scale[0] * reach
        scales = tuple(scale * stretch for stretch in self.stretch) if shaped else (scale,)
        name = f"{self.base.calibrator}*{reach:.4g}" + (":gains" if shaped else "")
        return QuantParams(self.base.dtype, scales, name)

    def division(self, step: float, shaped: bool) -> Fraction:
        """Return how many steps of the grid make the nominal `step` with the least estimated damage."""
        spectrum = self.shaped if shaped else self.plain
        return min(_DIVISIONS, key=lambda d: (spectrum.damage(float(d) / step, d), d))


@dataclass(frozen=True)
class Family:
    """Candidates of one kind, one for each nominal step."""

    name: str
    make: Callable[[float], Candidate]


def stretches(gains: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each channel's grid relative to the others': as the inverse root of its noise gain, within a factor of 2.

    At high rate, steps that give all channels the same damage a value take the fewest bits for it (reverse
    water-filling).
    """
    usual = np.exp(np.mean(np.log(gains[gains > 0]))) if (gains > 0).any() else 1.0
    wanted = np.sqrt(usual / np.maximum(gains, usual * 1e-6))
    return np.clip(wanted, 1 / _MOST_STRETCH, _MOST_STRETCH)


def codecs_of(names: Sequence[str | Codec]) -> tuple[Codec, ...]:
    """Return the codecs to choose from.

    ``auto`` stands for every built-in one. ``dct-cm`` by its name alone is coded by rANS, which takes fewer bytes than
    its bitmaps; `Codec` objects are taken as they are.

    Raises
    ------
    UnknownCodec
        No codec of that name.
    """
    found: list[Codec] = []
    for name in names:
        chosen = [each for each in AUTO if each in registry.names()] if name == "auto" else [name]
        named = [registry.make(each, **({"coding": "rans"} if each == DCT else {})) for each in chosen]
        found += [codec for codec in named if codec not in found]
    return tuple(found)


def fixed(source: Source, codecs: Iterable[Codec]) -> list[Candidate]:
    """Return the candidates on the calibrated grid itself: lossless codecs, and settings of codecs without a family."""
    found = []
    for codec in codecs:
        for option in (codec, *codec.candidates()):
            if option.lossless or codec.id != DCT:
                found.append(Candidate(source.base, option))
    return list({candidate.key: candidate for candidate in found}.values())


def families(source: Source, codecs: Sequence[Codec]) -> list[Family]:
    """Return the families of candidates; of lossless codecs only where none of the codecs can lose on its own."""
    found: list[Family] = []
    for codec in codecs:
        if codec.id == RANS and codec.lossless:
            found += _requantising(source, codec, "step")
        elif codec.id == DCT:
            found += _dct_cm(source, codec)
    for codec in codecs if not found else ():
        if codec.lossless:
            found += [_coarser(source, codec, shaped) for shaped in (False, True)]
    return found


def _requantising(source: Source, codec: Codec, setting: str) -> list[Family]:
    """Families of a codec that re-quantises by its `setting`, which takes integers and fractions."""

    def make(step: float, shaped: bool) -> Candidate:
        division = source.division(step, shaped)
        value = str(division) if setting == "step" else float(division)
        reach = step / float(division)
        changed = dataclasses.replace(codec, **{setting: value})
        return Candidate(source.grid(reach, shaped), changed, step, reach, shaped)

    kinds = ((f"{codec.id} {setting}", False), (f"{codec.id} {setting}, shaped", True))
    return [Family(name, lambda step, s=shaped: make(step, s)) for name, shaped in kinds]  # type: ignore[misc]


def _dct_cm(source: Source, codec: Codec) -> list[Family]:
    """Families of the mask path and of transforms; the path and settings that were asked for stay."""
    asked = codec.config()
    found: list[Family] = []
    if asked["path"] in ("auto", "mask"):
        found += _requantising(source, dataclasses.replace(codec, path="mask"), "mask_step")  # type: ignore[call-arg]
    if asked["path"] in ("auto", "transform"):
        kinds = _TRANSFORMS if (asked["group"], asked["zero_mask"]) == (8, False) else ()
        for group, zero_mask in kinds or ((asked["group"], asked["zero_mask"]),):
            found.append(_transform(source, codec, group, zero_mask))
    return found


def _transform(source: Source, codec: Codec, group: int, zero_mask: bool) -> Family:
    def make(step: float) -> Candidate:
        settings = {"path": "transform", "group": group, "zero_mask": zero_mask, "step": step}
        return Candidate(source.base, dataclasses.replace(codec, **settings), step)

    return Family(f"{codec.id} transform {group}" + (" zero mask" if zero_mask else ""), make)


def _coarser(source: Source, codec: Codec, shaped: bool) -> Family:
    """A lossless codec on coarser grids."""
    return Family(
        codec.id + (", shaped" if shaped else ""),
        lambda step: Candidate(source.grid(step, shaped), codec, step, step, shaped),
    )


def _requantised_by(codec: Codec) -> Fraction | None:
    """Return the step by which `codec` re-quantises, 1 where it is lossless; None where it loses otherwise."""
    config = codec.config()
    if codec.lossless:
        return Fraction(1)
    if codec.id == RANS:
        return Fraction(str(config["step"]))
    return Fraction(str(config["mask_step"])) if codec.id == DCT and config["path"] == "mask" else None
