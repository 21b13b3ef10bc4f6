"""The parameter bytes of dct-cm: docs/format/dct-cm.md, "Parameters"."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from fmapzip.codecs.varint import varint
from fmapzip.errors import InvalidInput
from fmapzip.zero_point import SIGNED, UNSIGNED

GROUPS = (4, 8, 16, 32)

TRANSFORM, ZERO_MASK, ORDER, POINTS, RANS, ZERO_POINT = 1, 2, 4, 8, 16, 32
MIN_STEP, MAX_STEP = 4, 4096
MAX_ORDERED_CHANNELS = 65536

# A coefficient of an N-point transform is kept as 128 / sqrt(N) times the orthonormal one.
_SCALE = 128


def mask_parameters(points: NDArray[np.int64] | None, below: int, model: bytes | None = None) -> bytes:
    """Parameters of the mask path; without points it is lossless, with a model it is coded by rANS."""
    flags = POINTS * (points is not None) | RANS * (model is not None)
    listed = b""
    if points is not None:
        bits = np.zeros(256, bool)
        bits[points & 0xFF] = True
        listed = np.packbits(bits, bitorder="little").tobytes()
    return _head(flags, below) + listed + _model_bytes(model)


def _head(flags: int, below: int) -> bytes:
    """The flags, and how many values are negative where that is not as in uint8 or int8."""
    return bytes([flags]) if below in (UNSIGNED, SIGNED) else bytes([flags | ZERO_POINT, below])


def _model_bytes(model: bytes | None) -> bytes:
    """A model behind its length as a varint; nothing where there is none."""
    return b"" if model is None else varint(len(model)) + model


def group_length(channels: int, longest: int) -> int:
    """Length of the transform of the last group: the shortest that holds the channels that are left."""
    rest = channels % longest
    return longest if rest == 0 else min(n for n in GROUPS if n >= rest)


def transform_parameters(
    channels: int,
    group: int,
    steps_of: Callable[[int], Sequence[float | None]],
    order: Sequence[int] | None,
    zero_mask: bool,
    below: int,
    models: Sequence[bytes] = (),
) -> bytes:
    """Parameters of the transform path.

    Parameters
    ----------
    channels, group : the map's channels, and how many of them one transform takes
    steps_of : steps of the orthonormal coefficients of a transform of N points; None where a frequency is dropped
    order : permutation of the channels; None for the natural one
    zero_mask : whether exact zeros are kept
    below : how many values are negative
    models : for rANS, the models of the coefficients and of the zero mask if there is one
    """
    group = first_length(channels, group)
    tail = group_length(channels, group)
    flags = TRANSFORM | ZERO_MASK * zero_mask | ORDER * (order is not None) | RANS * bool(models)
    lengths = GROUPS.index(group)
    steps = _step_bytes(group, steps_of(group))
    if tail != group:
        lengths |= (GROUPS.index(tail) + 1) << 2
        steps += _step_bytes(tail, steps_of(tail))
    channel_order = b"" if order is None else np.array(order, "<u2").tobytes()
    return _head(flags, below) + bytes([lengths]) + steps + b"".join(map(_model_bytes, models)) + channel_order


def first_length(channels: int, longest: int) -> int:
    """Length of the transform of all groups but the last: shorter than asked where one holds all channels."""
    return group_length(channels, longest) if channels < longest else longest


def scaled_step(length: int, step: float) -> int:
    """A step of an orthonormal coefficient in the units of the format."""
    return round(step * _SCALE / sqrt(length))


def _step_bytes(length: int, steps: Sequence[float | None]) -> bytes:
    scaled = [0 if step is None else scaled_step(length, step) for step in steps]
    for step, value in zip(steps, scaled, strict=True):
        if step is not None and not MIN_STEP <= value <= MAX_STEP:
            low, high = (limit * sqrt(length) / _SCALE for limit in (MIN_STEP, MAX_STEP))
            raise InvalidInput(f"steps of {length} points lie between {low:.3g} and {high:.4g}, not at {step:.4g}")
    return np.array(scaled, "<u2").tobytes()
