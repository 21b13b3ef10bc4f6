"""Channels of context-rans have weights and biases of their own: exact, fitted where they pay, refused if wrong."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import fmapzip
from fmapzip import Plan, QuantParams, TapPlan, _core, registry
from fmapzip.codecs import context_rans_training as training
from fmapzip.codecs.context_rans import PLAN_SIZE
from fmapzip.codecs.context_rans_channels import fit_zero_biases, integer_weights, regress
from fmapzip.codecs.context_rans_parameters import ChannelParameters, ContextParameters
from fmapzip.errors import CorruptFrame, InvalidInput
from fmapzip.reference import decode as reference_decode
from fmapzip.reference import encode as reference_encode
from fmapzip.reference.context_parameters import read

OWN = 128  # the flag


def arbitrary(channels: int, below: int, seed: int, most: int = 64, **others: Any) -> ContextParameters:
    """Parameters of no training, but for `others`: cells that differ, weights and biases up to their limits."""
    rng = np.random.default_rng(seed)
    own = ChannelParameters(
        weights=rng.integers(-most, most + 1, (channels, 4)),
        spread_biases=rng.integers(-1023, 1024, channels),
        zero_biases=rng.integers(-64, 64, channels),
    )
    numbers = {"weights": own.weights, "spread_biases": own.spread_biases, "zero_biases": own.zero_biases, **others}
    return ContextParameters(
        below=below,
        table_of=rng.integers(0, 2, 48),
        zero_class_of=rng.integers(0, 64, 48),
        raw_bits=np.array([[4] * 16, [1, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 5, 5, 5, 5]]),
        log_frequencies=rng.integers(20, 60, (2, 16)),
        weights=(20, 20, 10, 14),
        spread_weights=(60, 20, -10, 40),
        channel_offsets=rng.integers(-500, 500, channels),
        of_channels=ChannelParameters(**numbers),
        thresholds=(4, 9, 15, 20, 31),
        spread_thresholds=(1, 2, 3, 5, 9, 17, 30),
    )


def smooth(shape: tuple[int, ...], dtype: Any, seed: int) -> NDArray[Any]:
    """Maps whose channels differ in smoothness, scale and share of zeros."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    rough = np.linspace(0, 1, shape[-3])[:, None, None]
    for axis in (-2, -1):
        x = x + (1 - rough) * (np.roll(x, 1, axis) + np.roll(x, 2, axis))
    x = (2 + 20 * rng.random((shape[-3], 1, 1))) * (x + 2 * rng.random((shape[-3], 1, 1)) - 1)
    return np.clip(np.rint(x), *((0, 255) if dtype == np.uint8 else (-127, 127))).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("channels", [1, 20, 33, 64, 129])
def test_core_and_reference_write_the_same_bytes(dtype: Any, channels: int) -> None:
    below = 128 if dtype == np.int8 else 0
    parameters = arbitrary(channels, below, channels).to_bytes()
    assert parameters[0] & OWN
    for rows, columns in ((1, 1), (5, 2), (9, 21)):
        q = smooth((channels, rows, columns), dtype, rows)
        frame = _core.encode(q, _core.Codec(4, parameters), b"", False, 0, b"", 0, 1)
        assert frame == reference_encode(q, 4, parameters)
        assert np.array_equal(fmapzip.decode(frame), q)
        assert np.array_equal(reference_decode(frame, parameters), q)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_a_plan_takes_what_pays(dtype: Any) -> None:
    maps = smooth((12, 48, 20, 20), dtype, 3)
    sizes = {}
    for weights in ("channel", "shared"):
        codec = registry.make("context-rans", weights=weights)
        plan = Plan((TapPlan("t", maps.shape[1:], QuantParams(str(maps.dtype), (1.0,)), codec, codec.train(maps[1:])),))
        assert bool(plan["t"].parameters[0] & OWN) == (weights == "channel")
        frame = fmapzip.encode(maps[0], plan=plan, tap="t")
        assert np.array_equal(fmapzip.decode(frame, plan=plan), maps[0])
        sizes[weights] = len(frame)
    assert sizes["channel"] < 0.985 * sizes["shared"]
    few = maps[:1, :, :2, :2]
    assert not registry.make("context-rans").train(few)[0] & OWN


def test_weights_and_biases_that_do_not_fit_are_refused() -> None:
    q = smooth((3, 4, 4), np.uint8, 0)
    wrong = [
        {"weights": np.array([[65, 64, 0, 0], [0] * 4, [0] * 4])},
        {"weights": np.array([[0] * 4, [0, 0, -65, 64], [0] * 4])},
        {"weights": np.array([[0] * 4, [0] * 4, [0, 128, 0, 0]])},
        {"spread_biases": np.array([0, 1024, 0])},
        {"zero_biases": np.array([0, 0, 64])},
        {"zero_biases": np.array([-65, 0, 0])},
    ]
    for others in wrong:
        parameters = arbitrary(3, 0, 1, **others).to_bytes()
        with pytest.raises(CorruptFrame):
            read(parameters)
        with pytest.raises(CorruptFrame, match="the channels' weights are malformed"):
            _core.encode(q, _core.Codec(4, parameters), b"", False, 0, b"", 0, 1)
    without_offsets = bytearray(arbitrary(3, 0, 1).to_bytes())
    without_offsets[0] &= ~4
    for refuse in (read, _core.ContextStatistics):
        with pytest.raises(CorruptFrame):
            refuse(bytes(without_offsets))


def test_only_level_default_has_shared_weights() -> None:
    for level in ("fast", "max"):
        with pytest.raises(InvalidInput, match="weights"):
            registry.make("context-rans", level=level, weights="shared")


def test_regressions_are_of_each_channel_and_drawn_towards_all() -> None:
    rng = np.random.default_rng(0)
    truth = np.array([[0.5, 0.25, 0, 0], [0.1, 0.8, -0.2, 0.3]])
    for positions, error in ((20_000, 0.03), (20, 0.5)):
        x = rng.integers(0, 200, (2, positions, 4))
        y = np.rint((x * truth[:, None]).sum(-1)).astype(np.int64) + 7
        rows = np.concatenate([x, np.ones((2, positions, 1), np.int64), y[..., None]], -1)
        found = regress(rows.transpose(0, 2, 1) @ rows)
        assert np.abs(found.weights - truth).max() < error
        assert np.abs(found.weights - found.shared).max() <= np.abs(truth - found.shared).max() + error
    assert found.weights == pytest.approx(np.broadcast_to(found.shared, (2, 4)), abs=0.1)
    assert found.intercepts(found.weights) == pytest.approx(
        found.means[:, -1] - (found.weights * found.means[:, :4]).sum(1)
    )


def test_integer_weights_keep_pairs_within_16_bits() -> None:
    weights = integer_weights(np.random.default_rng(0).normal(0, 2, (500, 4)))
    assert np.abs(weights.reshape(500, 2, 2)).sum(-1).max() <= 128


def test_channels_of_more_zeros_get_higher_classes() -> None:
    zeros = np.array([50, 90, 10])
    counts = np.stack([np.stack([zeros * 10, 1000 - zeros * 10], -1)] * 4, 1)
    classes, biases = fit_zero_biases(counts, 2)
    assert biases[1] > biases[0] > biases[2]
    assert len(set(classes.tolist())) == 1


def test_the_trainer_counts_what_a_decoder_sees() -> None:
    maps = smooth((3, 20, 9, 9), np.uint8, 5)
    draft = arbitrary(20, 0, 2)
    p = read(draft.to_bytes())
    counts = np.frombuffer(_core.ContextStatistics(draft.to_bytes()).count_zeros(maps), np.int64).reshape(20, 128, 2)
    assert counts.sum() == maps.size
    assert np.array_equal(counts.sum(1)[:, 1], (maps != 0).sum((0, 2, 3)))
    assert p.channel_weights is not None
    products = np.frombuffer(_core.ContextStatistics(draft.to_bytes()).channel_moments(maps), np.int64)
    totals = np.frombuffer(_core.ContextStatistics(draft.to_bytes()).moments(maps)[1], np.int64)
    assert np.array_equal(products.reshape(20, 36).sum(0), totals)
    spreads = _core.ContextStatistics(draft.to_bytes()).channel_spread_moments(maps, 48)
    total = _core.ContextStatistics(draft.to_bytes()).spread_moments(maps, 48)
    assert np.array_equal(np.frombuffer(spreads, np.int64).reshape(20, 36).sum(0), np.frombuffer(total, np.int64))


def test_a_step_and_channels_go_together() -> None:
    maps = smooth((6, 32, 12, 12), np.uint8, 1)
    trained = training.train_channel_weights(maps, training.Requantizer(0, Fraction(2)), PLAN_SIZE).to_bytes()
    frame = reference_encode(maps[0], 4, trained)
    assert np.abs(fmapzip.decode(frame).astype(int) - maps[0]).max() <= 1
