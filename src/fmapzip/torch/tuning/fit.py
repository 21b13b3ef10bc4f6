"""From a codec and integer maps to what it does to them, differentiably, and what they take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from math import prod
from typing import Any, Literal, NamedTuple, Protocol, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fmapzip.api import decode_batch, encode_batch
from fmapzip.codecs.base import Codec, IntegerMap
from fmapzip.codecs.context_rans import PLAN_SIZE, ContextRans
from fmapzip.codecs.context_rans_requantizer import step_indices
from fmapzip.codecs.context_rans_requantizer import trained_points as requantized_points
from fmapzip.codecs.context_rans_training import Requantizer, train_neighbours
from fmapzip.codecs.dct_cm import DctCm
from fmapzip.codecs.dct_cm_symbols import coefficient_maps, index_maps
from fmapzip.codecs.dct_cm_training import correlation_order, nearest_points, trained_points, uniform_points
from fmapzip.errors import InvalidInput
from fmapzip.geometry import worked_shape
from fmapzip.plan import Plan, TapPlan
from fmapzip.quantize import QuantParams
from fmapzip.torch.tuning.codings import Coding, RoundTrip, Transformed, ValueByValue
from fmapzip.torch.tuning.context_rate import ContextRate
from fmapzip.torch.tuning.penalties import PENALTIES, SUMS, Penalty, PenaltyName
from fmapzip.zero_point import below_zero

RateName = Literal["codec"] | PenaltyName
RATES: tuple[str, ...] = ("codec", *get_args(PenaltyName))


class Rate(Protocol):
    """What the symbols of maps take."""

    def bits(self, v: Tensor, first: int) -> Tensor:
        """Return the bits of each sample of symbols [N, C, H, W] from a row on; a row before it is context."""

    def to(self, device: torch.device) -> Rate:
        """Move what it knows to a device."""


class Fitted(NamedTuple):
    """What a codec does to maps, and what the symbols of each sample take.

    `exact` says whether `rate` counts code lengths of the codec, else only their scale is to be found; `by_rows`,
    whether the bits of a map are the sum of those of its rows.
    """

    coding: Coding
    rate: Rate
    exact: bool
    by_rows: bool


def settled(codec: Codec, maps: IntegerMap) -> Codec:
    """Return the codec with its path and its order of channels as they are for these maps, to stay."""
    if not isinstance(codec, DctCm):
        return codec
    path = codec.path_taken(codec.train(maps))
    order = codec.order
    if path == "transform" and order == "correlation":
        order = correlation_order(maps, codec.group) if maps.shape[1] > 1 else "natural"
    return replace(codec, path=path, order=order)


def trained_as(codec: Codec) -> Codec:
    """Return the codec that stands for another while a network trains: its draft, whose tables have code lengths."""
    draft = codec.draft()
    return replace(draft, weights="shared") if isinstance(draft, ContextRans) and draft.level == "default" else draft


def without_step(codec: Codec) -> Codec:
    """Return the codec with its steps open, for a planner to choose."""
    if isinstance(codec, ContextRans):
        return replace(codec, step=1)
    if isinstance(codec, DctCm):
        return replace(codec, step=1.0, slope=0.0, steps=None, mask_step=1.0, order="correlation")
    return codec


def coding_of(codec: Codec, maps: IntegerMap) -> Coding:
    """What a settled codec does to integer maps [N, C, ...]."""
    return _known(codec, maps.reshape(len(maps), *worked_shape(maps.shape[1:])))[0]


def fitted(codec: Codec, maps: IntegerMap, rate: str = "codec") -> Fitted:
    """Fit to integer maps [N, C, ...] what a settled codec does to them, and what it takes.

    Raises
    ------
    InvalidInput
        There is no rate of that name.
    """
    if rate not in RATES:
        raise InvalidInput(f"there is no rate {rate!r}; there are {', '.join(RATES)}")
    batch = maps.reshape(len(maps), *worked_shape(maps.shape[1:]))
    coding, contexts = _known(codec, batch)
    if rate == "codec" and contexts is not None:
        return Fitted(coding, contexts(), True, True)
    name = "logarithm" if rate == "codec" else rate
    return Fitted(coding, _Penalized(PENALTIES[name]), False, name in SUMS)


class _Penalized:
    """A penalty as a rate."""

    def __init__(self, penalty: Penalty) -> None:
        self._penalty = penalty

    def bits(self, v: Tensor, first: int) -> Tensor:
        return self._penalty(v[..., first:, :])

    def to(self, device: torch.device) -> _Penalized:
        del device
        return self


_Contexts = Callable[[], ContextRate]  # training them takes long


def _known(codec: Codec, maps: IntegerMap) -> tuple[Coding, _Contexts | None]:
    if isinstance(codec, ContextRans):
        return _context_rans(codec, maps)
    if isinstance(codec, DctCm):
        return _transform(codec, maps) if codec.path == "transform" else _mask(codec, maps)
    return ValueByValue() if codec.lossless else _round_trip(codec, maps), None


def _round_trip(codec: Codec, maps: IntegerMap) -> RoundTrip:
    quantizer = QuantParams("uint8" if maps.dtype == np.uint8 else "int8", (1.0,))
    plan = Plan((TapPlan("map", maps.shape[1:], quantizer, codec, codec.train(maps)),))

    def coder(integers: NDArray[Any]) -> NDArray[Any]:
        return decode_batch(encode_batch(integers, plan=plan, tap=0), plan=plan)

    return RoundTrip(coder, getattr(torch, quantizer.dtype))


def _context_rans(codec: ContextRans, maps: IntegerMap) -> tuple[Coding, _Contexts | None]:
    step = Fraction(str(codec.step))
    points = requantized_points(maps, below_zero(maps.dtype, 0), step) if step != 1 else ()
    values, lowest = _index_values(maps.dtype, step, points)
    coding = ValueByValue()
    if step != 1:
        integers = _all(maps.dtype).astype(np.int64)
        indices = np.sign(integers) * step_indices(np.abs(integers), step)
        coding = ValueByValue(float(step), values[indices - lowest], int(integers[0]))
    if codec.level == "fast":
        return coding, None
    requantizer = Requantizer(below_zero(maps.dtype, 0), step, points)
    return coding, lambda: ContextRate(train_neighbours(maps, requantizer, PLAN_SIZE), values, lowest)


def _all(dtype: np.dtype[np.generic]) -> IntegerMap:
    """All values in rising order."""
    return np.arange(256, dtype=np.uint8) if dtype == np.uint8 else np.arange(-128, 128).astype(np.int8)


def _index_values(
    dtype: np.dtype[np.generic], step: Fraction, points: tuple[int, ...]
) -> tuple[NDArray[np.int64], int]:
    """The value of each index in rising order, and the first index."""
    if step == 1:
        values = _all(dtype).astype(np.int64)
        return values, int(values[0])
    largest = 255 if dtype == np.uint8 else 127
    count = int(step_indices(np.array([largest]), step)[0])
    values = np.array([*(-each for each in reversed(points[count:])), 0, *points[:count]], np.int64)
    return values, count - len(points)


def _mask(codec: DctCm, maps: IntegerMap) -> tuple[Coding, _Contexts | None]:
    points, coding, below = None, ValueByValue(), below_zero(maps.dtype, 0)
    if codec.mask_step != 1:
        trained = codec.points == "trained"
        points = trained_points(maps, below, codec.mask_step) if trained else uniform_points(codec.mask_step, below)
        values = _all(maps.dtype).astype(np.int64)
        coding = ValueByValue(codec.mask_step, nearest_points(points, values), int(values[0]))
    if codec.coding != "rans":
        return coding, None
    return coding, lambda: _symbol_rate(index_maps(maps, below, points))


def _transform(codec: DctCm, maps: IntegerMap) -> tuple[Coding, _Contexts | None]:
    order = None if isinstance(codec.order, str) else codec.order
    limits = (0, 255) if maps.dtype == np.uint8 else (-128, 127)
    coding = Transformed(maps.shape[1], codec.group, order, codec.steps_of, codec.zero_mask, limits)
    if codec.coding != "rans":
        return coding, None
    made = (maps, codec.group, codec.steps_of, order, codec.zero_mask)
    return coding, lambda: _symbol_rate(coefficient_maps(*made))


def _symbol_rate(symbols: IntegerMap) -> ContextRate:
    """The rate of symbols that stand for themselves."""
    requantizer = Requantizer(below_zero(symbols.dtype, 0), Fraction(1))
    values = _all(symbols.dtype).astype(np.int64)
    return ContextRate(train_neighbours(symbols, requantizer, PLAN_SIZE), values, int(values[0]))


def mask_bits(codec: Codec, shape: tuple[int, ...]) -> int:
    """Bits of a bitmap of zeros that a codec stores beside its symbols, for one map."""
    return prod(shape) if isinstance(codec, DctCm) and codec.path == "transform" and codec.zero_mask else 0
