"""The options that change how an image becomes what the network reads."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, cast

from fmapzip.errors import InvalidInput
from fmapzip.eval.preprocess import (
    INTERPOLATIONS,
    PROTOCOLS,
    Channels,
    Interpolation,
    Preprocessing,
    Size,
    protocol,
)
from fmapzip.eval.user_code import user_function

MAX_SIDE = 16_384


@dataclass(frozen=True)
class InputOptions:
    """What was typed; None where an option was not given.

    Attributes
    ----------
    size, resize, crop, letterbox
        Pixels: a number, or HEIGHTxWIDTH.
    interpolation, channels, range, mean, std
        As the `Preprocessing` has them; several numbers with commas between them.
    """

    size: str | None = None
    resize: str | None = None
    crop: str | None = None
    letterbox: str | None = None
    interpolation: Interpolation | None = None
    channels: Channels | None = None
    range: str | None = None
    mean: str | None = None
    std: str | None = None

    @property
    def given(self) -> tuple[str, ...]:
        """Names of the options that were given."""
        return tuple(field.name for field in fields(self) if getattr(self, field.name) is not None)

    def applied(self, base: Preprocessing) -> Preprocessing:
        """The preprocessing `base`, changed as is asked for.

        Raises
        ------
        InvalidInput
            An option that is not understood, or options that exclude each other; the message names them.

        Examples
        --------
        >>> from fmapzip.eval.preprocess import IMAGENET
        >>> options = InputOptions(letterbox="416", channels="bgr", range="255")
        >>> print(options.applied(IMAGENET).words)
        imagenet, changed: BGR, fitted into 416 x 416 (bilinear), padded with 114 at the right and bottom, 0 to 255
        """
        changes = self._framing() | self._values(base)
        if not changes:
            return base
        if base.function is not None:
            others = ", ".join(f"--{name}" for name in self.given)
            raise InvalidInput(f"{base.name} is a function of its own, which {others} cannot change")
        return replace(base, name=f"{base.name}, changed", **changes)

    def _framing(self) -> dict[str, Any]:
        ways = [name for name in ("size", "letterbox") if getattr(self, name) is not None]
        if self.resize is not None or self.crop is not None:
            ways.append("resize" if self.resize is not None else "crop")
        if len(ways) > 1:
            raise InvalidInput(f"--{ways[0]} and --{ways[1]} exclude each other: each says what becomes of the size")
        if self.size is not None:
            return {"resize": _size("size", self.size), "crop": None, "letterbox": None}
        if self.letterbox is not None:
            return {"letterbox": _size("letterbox", self.letterbox), "resize": None, "crop": None}
        found: dict[str, Any] = {}
        if self.resize is not None:
            sides = _size("resize", self.resize)
            found |= {"resize": sides[0] if "x" not in self.resize else sides, "letterbox": None}
        if self.crop is not None:
            found |= {"crop": _size("crop", self.crop), "letterbox": None}
        return found

    def _values(self, base: Preprocessing) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.interpolation is not None:
            if self.interpolation not in INTERPOLATIONS:
                raise InvalidInput(f"--interpolation {self.interpolation}: there are {', '.join(INTERPOLATIONS)}")
            found["interpolation"] = self.interpolation
        if self.channels is not None:
            if self.channels not in ("rgb", "bgr", "grey"):
                raise InvalidInput(f"--channels {self.channels}: there are rgb, bgr, grey")
            found["channels"] = self.channels
            if "grey" in (self.channels, base.channels):
                found |= {"mean": None, "std": None}
            elif self.channels != base.channels:
                found |= {"mean": base.mean and base.mean[::-1], "std": base.std and base.std[::-1]}
        if self.range is not None:
            ends = _numbers("range", self.range)
            low, high = (0.0, ends[0]) if len(ends) == 1 else ends[:2]
            if len(ends) > 2 or low >= high:
                raise InvalidInput(f"--range {self.range}: expected HIGH, or LOW,HIGH with LOW below HIGH")
            found |= {"range": (low, high), "mean": None, "std": None}
        for name in ("mean", "std"):
            text = getattr(self, name)
            if text is not None:
                found[name] = _numbers(name, text)
        return found


UNCHANGED = InputOptions()


def named(text: str) -> Preprocessing:
    """The preprocessing that ``--preprocess`` names: a protocol, or ``path/to/file.py:function``.

    Raises
    ------
    InvalidInput
        There is none of that name, no such function, or its file failed.
    """
    if text in PROTOCOLS or ":" not in text:
        return protocol(text)
    return Preprocessing(text, function=cast("Callable[[Any], Any]", user_function(text, "--preprocess")))


def _size(option: str, text: str) -> Size:
    found = re.fullmatch(r"(\d{1,6})(?:x(\d{1,6}))?", text)
    if found is None:
        raise InvalidInput(f"--{option} {text}: expected a number of pixels, or HEIGHTxWIDTH")
    height = int(found[1])
    width = int(found[2]) if found[2] else height
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
        raise InvalidInput(f"--{option} {text}: a side has 1 to {MAX_SIDE} pixels")
    return height, width


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or not all(map(math.isfinite, found)):
        raise InvalidInput(f"--{option} {text}: expected numbers with commas between them")
    return found
