"""DCT along the channels, masks and a bitmap coding format: the method that fmapzip is built around."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from math import isfinite
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fmapzip.codecs.base import LATER, Codec, IntegerMap, Tradeoff
from fmapzip.codecs.context_rans import ContextRans
from fmapzip.codecs.context_rans_requantizer import requantized
from fmapzip.codecs.dct_cm_frequencies import worth_keeping
from fmapzip.codecs.dct_cm_parameters import (
    GROUPS,
    MAX_ORDERED_CHANNELS,
    TRANSFORM,
    mask_parameters,
    transform_parameters,
)
from fmapzip.codecs.dct_cm_sections import sections
from fmapzip.codecs.dct_cm_symbols import coefficient_maps, index_maps, zero_masks
from fmapzip.codecs.dct_cm_training import MOST_COMPARED_CHANNELS, correlation_order, trained_points, uniform_points
from fmapzip.codecs.settings import check_tile_values
from fmapzip.errors import InvalidInput
from fmapzip.zero_point import SIGNED, UNSIGNED, below_zero, value_bytes, values

PATHS = ("auto", "transform", "mask")
ORDERS = ("natural", "correlation")
POINTS = ("trained", "centred")
CODINGS = ("bitmap", "rans")

# "auto" leaves vectors and very small planes to the mask path: a block of a few coefficients is mostly header.
_LEAST_POSITIONS = 16

_SEARCHED = ("path", "group", "order", "step", "slope", "steps", "keep", "zero_mask", "mask_step")


@dataclass(frozen=True, repr=False)
class DctCm(Codec):
    """DCT-CM: dense maps take a DCT along the channels, sparse maps a bitmap and their nonzero values.

    After "DCT-CM" (ISCAS 2021) and CN112906874A; docs/METHODS.md says for every setting what they say, what they
    leave open, and what our default was measured to do. With all settings at their defaults a plan takes the smallest
    of `candidates` that does no harm; used alone, the defaults are close to lossless.

    Parameters
    ----------
    path : "auto", "transform" or "mask"
        Which way a tap goes. "auto": the transform where its share of zeros is below `threshold` and a channel has at
        least 16 positions.
    threshold : float
        A share of zeros, 0 to 1.
    group : 4, 8, 16 or 32
        Channels of one transform.
    order : "natural", "correlation" or a permutation of the channels
        How channels are put into groups; "correlation" finds an order in the maps, for up to 4096 channels.
    step, slope : float
        Step of the orthonormal coefficient k of N: ``step * (1 + slope * k / N)``.
    steps : sequence of `group` floats, optional
        The steps themselves.
    keep : int or sequence of frequency indices, optional
        The frequency mask: how many of the lowest frequencies are kept, or which ones. All by default.
    zero_mask : bool
        Store where exact zeros are, and restore them after the inverse transform.
    mask_step : float
        Step of the mask path; 1 is lossless.
    points : "trained" or "centred"
        Where the mask path reconstructs: at the calibrated mean of the values of a step, or at its centre.
    coding : "bitmap" or "rans"
        How coefficients, zero masks and values become bits: bitmaps and packed nonzeros, or the entropy stage of
        `context-rans`, whose tables then are part of the parameters.
    tile_values : int, optional
        How many values a tile may have, unless a row of the map has more: smaller tiles want less memory on a chip and
        take more bytes. By default 65536 or a few more, in rows that fill whole blocks; with rans 1048576.

    Examples
    --------
    >>> import numpy as np, fmapzip
    >>> q = np.add.outer(np.arange(16), 3 * np.arange(36)).reshape(16, 6, 6).astype(np.uint8)
    >>> frame = fmapzip.encode(q, "dct-cm", path="transform", order="natural", step=2)
    >>> error = fmapzip.decode(frame).astype(int) - q
    >>> len(frame) < q.size / 2, int(abs(error).max()) <= 3
    (True, True)
    """

    id: ClassVar[str] = "dct-cm"
    number: ClassVar[int] = 3

    path: str = "auto"
    threshold: float = 0.05
    group: int = 8
    order: str | tuple[int, ...] = "correlation"
    step: float = 1.0
    slope: float = 0.0
    steps: tuple[float, ...] | None = None
    keep: int | tuple[int, ...] | None = None
    zero_mask: bool = False
    mask_step: float = 1.0
    points: str = "trained"
    coding: str = "bitmap"
    tile_values: int | None = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        _one_of("path", self.path, PATHS)
        _one_of("group", self.group, GROUPS)
        _one_of("points", self.points, POINTS)
        _one_of("coding", self.coding, CODINGS)
        if isinstance(self.order, str):
            _one_of("order", self.order, ORDERS)
        elif sorted(self.order) != list(range(len(self.order))):
            raise InvalidInput("order is not a permutation of the channels")
        _in_range("threshold", self.threshold, 0, 1)
        _in_range("mask_step", self.mask_step, 1, 255)
        _in_range("slope", self.slope, 0, 1000)
        if self.steps is not None and len(self.steps) != self.group:
            raise InvalidInput(f"steps are {self.group} numbers, one for each frequency of a group")
        check_tile_values(self.tile_values)
        self._kept(self.group)
        self.steps_of(self.group)

    @property
    def lossless(self) -> bool:
        """Whether every map is sure to take the mask path at step 1."""
        return self.path == "mask" and self.mask_step == 1

    def parameters(self, q: IntegerMap, zero_point: int = 0) -> bytes:
        """Parameters fitted to one map."""
        fit = ContextRans().parameters_of_values
        return self._fitted(q[None], zero_point, lambda symbols, below: fit(symbols[0], below))

    def train(self, maps: IntegerMap, zero_point: int = 0) -> bytes:
        """Parameters for a plan: the path by the share of zeros, then that path's order, points and models."""
        return self._fitted(maps, zero_point, ContextRans().train_values)

    def path_taken(self, parameters: bytes) -> str:
        """Either "transform" or "mask"."""
        return "transform" if parameters and parameters[0] & TRANSFORM else "mask"

    def sections(self, body: bytes, shape: tuple[int, int, int], parameters: bytes) -> dict[str, int]:
        """Bytes of headers, zero mask, bitmaps and packed values, or of the parts that are entropy-coded."""
        return sections(body, shape, parameters)

    def candidates(self) -> Sequence[Codec]:
        """Settings to choose from where the searched ones are all at their defaults; else this codec alone."""
        defaults = {f.name: f.default for f in dataclasses.fields(self)}
        if any(getattr(self, name) != defaults[name] for name in _SEARCHED):
            return (self,)
        return tuple(replace(self, **settings) for settings in _GRID)

    @classmethod
    def variants(cls) -> Sequence[Codec]:
        """Coded by rANS, which takes fewer bytes than bitmaps."""
        return (cls(coding="rans"),)

    def tradeoffs(self) -> Sequence[Tradeoff]:
        """Steps of the mask path and of transforms: the usual groups of channels, unless others are set."""
        found: list[Tradeoff] = []
        if self.path in ("auto", "mask"):
            mask = replace(self, path="mask")
            found.append(Tradeoff(lambda step, _: replace(mask, mask_step=float(step)), requantizes=True))
        if self.path in ("auto", "transform"):
            usual = (self.group, self.zero_mask, self.steps, self.keep) == (8, False, None, None)
            for group, zero_mask in _TRANSFORMS if usual else ((self.group, self.zero_mask),):
                transform = replace(self, path="transform", group=group, zero_mask=zero_mask)
                found.append(Tradeoff(partial(_at_step, transform)))
                if self.keep is None and not zero_mask:
                    found.append(Tradeoff(partial(_at_step_of_worthwhile_frequencies, transform)))
        return found

    def approximation(self, maps: IntegerMap, zero_point: int = 0) -> IntegerMap | None:
        """Values re-quantized by the step of the mask path; of transforms only coding tells."""
        if self.path != "mask":
            return None
        return maps if self.lossless else requantized(maps, zero_point, Fraction(str(self.mask_step)))

    def _transforms(self, maps: NDArray[Any]) -> bool:
        if self.path != "auto":
            return self.path == "transform"
        positions = maps[0, 0].size
        return bool(positions >= _LEAST_POSITIONS and np.count_nonzero(maps) > (1 - self.threshold) * maps.size)

    def _fitted(self, integers: IntegerMap, zero_point: int, model_of: Callable[[NDArray[Any], int], bytes]) -> bytes:
        below, maps = below_zero(integers.dtype, zero_point), values(integers, zero_point)
        if not self._transforms(maps):
            coded = value_bytes(integers, zero_point)
            points = self._points(coded, below)
            model = model_of(index_maps(coded, below, points), below) if self.coding == "rans" else None
            return mask_parameters(points, below, model)
        channels = maps.shape[1]
        order = self._channel_order(maps)
        if order is not None and len(order) != channels:
            raise InvalidInput(f"order is a permutation of {len(order)} channels, the map has {channels}")
        if order is not None and channels > MAX_ORDERED_CHANNELS:
            raise InvalidInput(f"at most {MAX_ORDERED_CHANNELS} channels can be ordered, not {channels}")
        models = []
        if self.coding == "rans":
            symbols = coefficient_maps(maps, self.group, self.steps_of, order, self.zero_mask)
            models.append(model_of(symbols, SIGNED))
            if self.zero_mask:
                models.append(model_of(zero_masks(maps), UNSIGNED))
        return transform_parameters(channels, self.group, self.steps_of, order, self.zero_mask, below, models)

    def _points(self, coded: NDArray[Any], below: int) -> NDArray[np.int64] | None:
        """Reconstruction points of the mask path; None where it is lossless."""
        if self.mask_step == 1:
            return None
        if self.points == "trained":
            return trained_points(coded, below, self.mask_step)
        return uniform_points(self.mask_step, below)

    def _channel_order(self, maps: NDArray[Any]) -> tuple[int, ...] | None:
        compared = 1 < maps.shape[1] <= MOST_COMPARED_CHANNELS
        if self.order == "natural" or (self.order == "correlation" and not compared):
            return None
        return correlation_order(maps, self.group) if isinstance(self.order, str) else self.order

    def _kept(self, length: int) -> frozenset[int]:
        """Frequencies kept by a transform of `length` points, which may be a shorter last one."""
        if self.keep is None:
            return frozenset(range(length))
        asked = range(self.keep) if isinstance(self.keep, int) else self.keep
        if not asked or not all(isinstance(k, int) and 0 <= k < self.group for k in asked):
            raise InvalidInput(f"keep is 1 to {self.group} frequencies, or which ones, below {self.group}")
        return frozenset(k * length // self.group for k in asked)

    def steps_of(self, length: int) -> list[float | None]:
        """Steps by frequency of a transform of `length` points; those of a shorter last one are interpolated."""
        kept, ratio = self._kept(length), self.group / length
        steps: list[float | None] = []
        for k in range(length):
            step = self.step * (1 + self.slope * k / length) if self.steps is None else self.steps[int(k * ratio)]
            if not isfinite(step) or step <= 0:
                raise InvalidInput(f"a step is a positive number, not {step}")
            steps.append(step if k in kept else None)
        return steps


# Settings that `dct-cm` without settings chooses from: docs/METHODS.md, "dct-cm: the default".
# Steps of the transform go with steps of the mask path of about the same squared error.
_GRID: tuple[dict[str, Any], ...] = (
    {"path": "mask", "mask_step": 1.0},
    {"mask_step": 1.5, "step": 1.75},
    {"mask_step": 2.0, "step": 2.25},
    {"mask_step": 2.5, "step": 2.5},
    {"mask_step": 3.0, "step": 2.75},
    {"mask_step": 4.0, "step": 4.0},
)


# Transforms that a planner picks from: channels a group, and whether exact zeros are restored.
_TRANSFORMS = ((4, False), (8, False), (8, True), (16, False), (32, False))


def _at_step(codec: DctCm, step: float, maps: NDArray[Any]) -> DctCm:
    del maps
    return replace(codec, step=step)


def _at_step_of_worthwhile_frequencies(codec: DctCm, step: float, maps: NDArray[Any]) -> DctCm:
    order = codec.order
    if isinstance(order, str):
        order = tuple(range(maps.shape[1])) if order == "natural" else correlation_order(maps, codec.group)
    return replace(codec, step=step, keep=worth_keeping(maps, codec.group, step, order))


def _one_of(name: str, value: object, allowed: Sequence[object]) -> None:
    if value not in allowed:
        raise InvalidInput(f"{name} is one of {', '.join(map(str, allowed))}, not {value!r}")


def _in_range(name: str, value: float, low: float, high: float) -> None:
    if not isfinite(value) or not low <= value <= high:
        raise InvalidInput(f"{name} lies between {low} and {high}, not at {value}")
