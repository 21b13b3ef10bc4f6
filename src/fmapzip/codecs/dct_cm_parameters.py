"""The parameter bytes of dct-cm: docs/FORMAT.md, "dct-cm: parameters"."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from fmapzip.errors import InvalidInput

GROUPS = (4, 8, 16, 32)

TRANSFORM, ZERO_MASK, ORDER, POINTS = 1, 2, 4, 8
MIN_STEP, MAX_STEP = 4, 4096
MAX_ORDERED_CHANNELS = 65536

# A coefficient of an N-point transform is kept as 128 / sqrt(N) times the orthonormal one.
_SCALE = 128


def mask_parameters(points: NDArray[np.int64] | None) -> bytes:
    """Parameters of the mask path; without points it is lossless."""
    if points is None:
        return bytes([0])
    bits = np.zeros(256, bool)
    bits[points & 0xFF] = True
    return bytes([POINTS]) + np.packbits(bits, bitorder="little").tobytes()


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
) -> bytes:
    """Parameters of the transform path.

    Parameters
    ----------
    channels, group : the map's channels, and how many of them one transform takes
    steps_of : steps of the orthonormal coefficients of a transform of N points; None where a frequency is dropped
    order : permutation of the channels; None for the natural one
    zero_mask : whether exact zeros are kept
    """
    if channels < group:
        group = group_length(channels, group)
    tail = group_length(channels, group)
    flags = TRANSFORM | ZERO_MASK * zero_mask | ORDER * (order is not None)
    lengths = GROUPS.index(group)
    steps = _step_bytes(group, steps_of(group))
    if tail != group:
        lengths |= (GROUPS.index(tail) + 1) << 2
        steps += _step_bytes(tail, steps_of(tail))
    channel_order = b"" if order is None else np.array(order, "<u2").tobytes()
    return bytes([flags, lengths]) + steps + channel_order


def _step_bytes(length: int, steps: Sequence[float | None]) -> bytes:
    scaled = [0 if step is None else round(step * _SCALE / sqrt(length)) for step in steps]
    for step, value in zip(steps, scaled, strict=True):
        if step is not None and not MIN_STEP <= value <= MAX_STEP:
            low, high = (limit * sqrt(length) / _SCALE for limit in (MIN_STEP, MAX_STEP))
            raise InvalidInput(f"steps of {length} points lie between {low:.3g} and {high:.4g}, not at {step:.4g}")
    return np.array(scaled, "<u2").tobytes()
