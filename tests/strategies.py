"""Integer maps for property-based tests: the shapes and statistics that feature maps have, and the odd ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from fmapzip.quantize import QuantParams

_SIDE = st.integers(1, 19)
SHAPES = st.one_of(
    st.tuples(st.integers(1, 40), st.integers(1, 5), st.integers(1, 7), st.integers(1, 9)),
    st.tuples(st.integers(1, 80), _SIDE, _SIDE),
    st.tuples(st.integers(1, 80), st.integers(1, 40)),
    st.tuples(st.integers(1, 200)),
)
KINDS = ("sparse", "smooth", "constant", "zero", "noise", "extremes")


def make_map(shape: tuple[int, ...], kind: str, dtype: Any, seed: int) -> NDArray[Any]:
    """A map of one kind; the same arguments always give the same map."""
    rng = np.random.default_rng(seed)
    low, high = (-127, 128) if np.dtype(dtype) == np.int8 else (0, 256)
    if kind == "zero":
        return np.zeros(shape, dtype)
    if kind == "constant":
        return np.full(shape, rng.integers(low, high), dtype)
    if kind == "noise":
        return rng.integers(low, high, shape).astype(dtype)
    if kind == "extremes":
        return rng.choice(np.array([np.iinfo(dtype).min, np.iinfo(dtype).max, 0]), shape).astype(dtype)
    values = rng.gamma(0.7, 12.0, shape) * (1 if low == 0 else rng.choice([-1, 1], shape))
    if kind == "smooth":
        values = np.cumsum(values - values.mean(), axis=-1) / 4
    else:
        values *= rng.random(shape) < rng.choice([0.05, 0.3, 0.6])
    return np.clip(np.rint(values), low, high - 1).astype(dtype)


def make_quantized(
    shape: tuple[int, ...], kind: str, dtype: Any, seed: int, zero_point: int
) -> tuple[NDArray[Any], QuantParams]:
    """A map of one kind around a zero point, and its quantizer."""
    limits = np.iinfo(dtype)
    values = make_map(shape, kind, np.int8, seed).astype(int) * (2 if kind == "extremes" else 1)
    q = np.clip(values + zero_point, limits.min, limits.max).astype(dtype)
    return q, QuantParams(np.dtype(dtype).name, (0.5,), "network", zero_point)  # type: ignore[arg-type]


@st.composite
def quantized_maps(draw: st.DrawFn) -> tuple[NDArray[Any], QuantParams]:
    """Any map around any zero point, and its quantizer."""
    dtype = draw(st.sampled_from([np.uint8, np.int8]))
    zero_point = draw(st.integers(int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)))
    return make_quantized(draw(SHAPES), draw(st.sampled_from(KINDS)), dtype, draw(st.integers(0, 999)), zero_point)


@st.composite
def maps(draw: st.DrawFn) -> NDArray[Any]:
    """Any map."""
    return make_map(
        draw(SHAPES),
        draw(st.sampled_from(KINDS)),
        draw(st.sampled_from([np.uint8, np.int8])),
        draw(st.integers(0, 999)),
    )


def related(shape: tuple[int, ...], below: int, seed: int) -> NDArray[Any]:
    """Values counted from their zero point whose neighbours and channels go together."""
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.normal(0, 4, shape), -1) + 20 * rng.normal(size=(1, *shape[1:]))
    return np.clip(np.rint(x), -below, 255 - below).astype(np.int64).astype(np.int8 if below == 128 else np.uint8)
