"""Which candidates there are for a feature map: families of grids, codecs and settings, each with a free step."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from fmapzip import registry
from fmapzip.codecs.base import Codec
from fmapzip.planner.candidate import Candidate
from fmapzip.planner.candidates.tap_model import TapModel

RANS, DCT = "context-rans", "dct-cm"
AUTO: tuple[tuple[str, dict[str, str]], ...] = (
    (RANS, {}),
    (RANS, {"level": "max"}),
    (DCT, {"coding": "rans"}),
    ("zvc", {}),
    ("raw", {}),
)

# Nominal steps, in steps of the calibrated 8-bit grid, half an octave apart.
STEPS = tuple(2.0 ** (k / 2) for k in range(-2, 12))
# Transforms that a trial picks from: channels a group, and whether exact zeros are restored.
_TRANSFORMS = ((4, False), (8, False), (8, True), (16, False), (32, False))


@dataclass(frozen=True)
class Family:
    """Candidates of one kind, one for each nominal step."""

    make: Callable[[float], Candidate]


def codecs_of(names: Sequence[str | Codec]) -> tuple[Codec, ...]:
    """Return the codecs to choose from.

    ``auto`` stands for every built-in one, ``context-rans`` at the levels ``default`` and ``max``. ``dct-cm`` by its
    name alone is coded by rANS, which takes fewer bytes than its bitmaps; `Codec` objects are taken as they are.

    Raises
    ------
    UnknownCodec
        No codec of that name.
    """
    found: list[Codec] = []
    for name in names:
        if name == "auto":
            named = [registry.make(each, **settings) for each, settings in AUTO if each in registry.names()]
        else:
            named = [registry.make(name, **({"coding": "rans"} if name == DCT else {}))]
        found += [codec for codec in named if codec not in found]
    return tuple(found)


def fixed(model: TapModel, codecs: Iterable[Codec]) -> list[Candidate]:
    """Return the candidates on the calibrated grid itself: lossless codecs, and settings of codecs without a family."""
    found = []
    for codec in codecs:
        for option in (codec, *codec.candidates()):
            if option.lossless or codec.id != DCT:
                found.append(Candidate(model.base, option))
    return list({candidate.key: candidate for candidate in found}.values())


def families(model: TapModel, codecs: Sequence[Codec]) -> list[Family]:
    """Return the families of candidates; of lossless codecs only where none of the codecs can lose on its own."""
    found: list[Family] = []
    for codec in codecs:
        if codec.id == RANS and codec.lossless:
            found += _requantising(model, codec, "step")
        elif codec.id == DCT:
            found += _dct_cm(model, codec)
    for codec in codecs if not found else ():
        if codec.lossless:
            found += [_coarser(model, codec, shaped) for shaped in (False, True)]
    return found


def _requantising(model: TapModel, codec: Codec, setting: str) -> list[Family]:
    """Families of a codec that re-quantises by its `setting`; only grids of nominal steps below 1 clip values."""

    def make(step: float, shaped: bool) -> Candidate:
        division = model.division(step, shaped)
        clip_ratio = step / division
        value = division if setting == "step" else float(division)
        changed = dataclasses.replace(codec, **{setting: value})
        return Candidate(model.grid(clip_ratio, shaped, min(1.0, step)), changed, step, clip_ratio, shaped)

    return [Family(lambda step, s=shaped: make(step, s)) for shaped in (False, True)]  # type: ignore[misc]


def _dct_cm(model: TapModel, codec: Codec) -> list[Family]:
    """Families of the mask path and of transforms; the path and settings that were asked for stay."""
    asked = codec.config()
    found: list[Family] = []
    if asked["path"] in ("auto", "mask"):
        found += _requantising(model, dataclasses.replace(codec, path="mask"), "mask_step")  # type: ignore[call-arg]
    if asked["path"] in ("auto", "transform"):
        kinds = _TRANSFORMS if (asked["group"], asked["zero_mask"]) == (8, False) else ()
        for group, zero_mask in kinds or ((asked["group"], asked["zero_mask"]),):
            found.append(_transform(model, codec, group, zero_mask, False))
            if asked["keep"] is None and not zero_mask:
                found.append(_transform(model, codec, group, zero_mask, True))
    return found


def _transform(model: TapModel, codec: Codec, group: int, zero_mask: bool, masked: bool) -> Family:
    """Transforms of one kind; `masked`: of the frequencies that are worth their bits."""

    def make(step: float) -> Candidate:
        settings = {"path": "transform", "group": group, "zero_mask": zero_mask, "step": step}
        if masked:
            settings["keep"] = model.frequencies(group, step, codec.config()["order"])
        return Candidate(model.base, dataclasses.replace(codec, **settings), step)

    return Family(make)


def _coarser(model: TapModel, codec: Codec, shaped: bool) -> Family:
    """A lossless codec on coarser grids."""
    return Family(lambda step: Candidate(model.grid(step, shaped, min(1.0, step)), codec, step, step, shaped))


def requantised_by(codec: Codec) -> Fraction | None:
    """Return the step by which `codec` re-quantises, 1 where it is lossless; None where it loses otherwise."""
    config = codec.config()
    if codec.lossless:
        return Fraction(1)
    if codec.id == RANS:
        return Fraction(str(config["step"]))
    return Fraction(str(config["mask_step"])) if codec.id == DCT and config["path"] == "mask" else None
