"""APack's parts: the cut into ranges, and the arithmetic coder below it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmapzip import baselines
from fmapzip.baselines import range_coder
from fmapzip.baselines.apack import RANGES, Ranges, best_ranges
from strategies import make_map


def bits_of(counts: np.ndarray, first: np.ndarray) -> float:
    """Entropy of the ranges and offsets of a cut."""
    inside = np.add.reduceat(counts, first).astype(float)
    widths = np.diff(np.append(first, 256))
    shares = np.maximum(inside / inside.sum(), 1 / range_coder.TOTAL)
    return float((inside * (np.ceil(np.log2(widths)) - np.log2(shares))).sum())


@given(seed=st.integers(0, 999), scale=st.floats(0.5, 60))
def test_no_other_cut_takes_fewer_bits(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    counts = np.bincount(np.minimum(rng.exponential(scale, 3000), 255).astype(int), minlength=256)
    found = best_ranges(counts)
    assert found.first[0] == 0
    assert (np.diff(np.append(found.first, 256)) <= 1 << found.bits).all()
    assert found.shares.sum() == range_coder.TOTAL
    assert found.shares.min() >= 1
    others = [np.append(0, np.sort(rng.choice(np.arange(1, 256), RANGES - 1, replace=False))) for _ in range(50)]
    for other in [*others, np.arange(RANGES) * 16, np.arange(RANGES)]:
        assert bits_of(counts, found.first) <= bits_of(counts, other) + 1e-6


def test_a_table_survives_its_bytes() -> None:
    found = best_ranges(np.bincount(make_map((8, 9, 9), "sparse", np.uint8, 1).reshape(-1), minlength=256))
    again = Ranges.from_bytes(found.to_bytes())
    assert all((a == b).all() for a, b in zip(vars(found).values(), vars(again).values(), strict=True))
    assert len(found.to_bytes()) == 44


@given(data=st.data())
def test_every_string_of_symbols_comes_back(data: st.DataObject) -> None:
    shares = np.array(data.draw(st.sampled_from([[1, 1022, 1], [512, 512], [1024], [341, 342, 341], [1, 2, 4, 1017]])))
    symbols = np.array(data.draw(st.lists(st.integers(0, len(shares) - 1), min_size=1, max_size=300)), np.int64)
    streams = data.draw(st.integers(1, 5))
    codes = range_coder.encode(symbols, shares, streams)
    assert (range_coder.decode(codes, shares, symbols.size) == symbols).all()


def test_bounds_may_stay_on_both_sides_of_the_middle_for_long() -> None:
    # The middle third of what is left lies about the middle again: no bit is settled, and all of them are pending.
    shares, symbols = np.array([341, 342, 341]), np.append(np.ones(400, np.int64), [2, 0, 1])
    (code,) = range_coder.encode(symbols, shares, 1)
    assert (range_coder.decode([code], shares, symbols.size) == symbols).all()
    assert abs(8 * len(code) - 403 * np.log2(3)) < 24


def test_it_comes_within_a_twentieth_of_the_entropy_of_a_map() -> None:
    q = make_map((64, 56, 56), "sparse", np.uint8, 5)
    shares = np.bincount(q.reshape(-1)) / q.size
    entropy = -(shares[shares > 0] * np.log2(shares[shares > 0])).sum() * q.size / 8
    method = baselines.make("apack")
    assert len(method.encode(q, method.train(q[None]))) < 1.05 * entropy


def test_what_profiling_did_not_see_is_coded_too() -> None:
    method = baselines.make("apack")
    side = method.train(np.zeros((1, 4, 8, 8), np.uint8))
    q = make_map((4, 8, 8), "noise", np.uint8, 3)
    assert (method.decode(method.encode(q, side), q.shape, q.dtype, side) == q).all()


@pytest.mark.parametrize("size", [3, 300])
def test_a_truncated_map_is_an_error(size: int) -> None:
    method, q = baselines.make("apack"), make_map((8, 9, 9), "noise", np.uint8, 2)
    side = method.train(q[None])
    with pytest.raises(ValueError, match="early"):
        method.decode(method.encode(q, side)[:size], q.shape, q.dtype, side)
