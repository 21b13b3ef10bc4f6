"""Channels predict channels: the core predicts what the reference does, whatever the parameters; training holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import fmapzip
from fmapzip import Plan, QuantParams, TapPlan, _core, registry
from fmapzip.codecs import context_rans_training as training
from fmapzip.codecs.context_rans_samples import Axis, sample
from fmapzip.errors import CorruptFrame
from fmapzip.reference import encode as reference_encode
from fmapzip.reference.context_parameters import read
from fmapzip.reference.context_rans import Predictions
from strategies import related
from untrained import arbitrary_prediction as arbitrary
from untrained import mild_numbers

SHAPES = [(16, 16, 0, 5, 5), (33, 4, 16, 7, 9), (64, 16, 32, 9, 3), (64, 8, 64, 6, 1), (100, 12, 48, 1, 8)]
"""Channels, width of a span, rank, rows, columns."""


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("below", [0, 37, 128])
@pytest.mark.parametrize("large", [False, True])
def test_the_core_predicts_what_the_reference_does(
    shape: tuple[int, int, int, int, int], below: int, large: bool
) -> None:
    channels, width, rank, rows, columns = shape
    parameters = arbitrary(channels, width, rank, below, large, seed=channels)
    check_predictions(parameters, related((channels, rows, columns), below, seed=rank))


@pytest.mark.parametrize("shape", [*SHAPES, (200, 20, 64, 5, 6), (72, 8, 32, 16, 16), (48, 16, 48, 1, 3)])
@pytest.mark.parametrize("below", [0, 128])
def test_frames_of_arbitrary_parameters_are_those_of_the_reference(
    shape: tuple[int, int, int, int, int], below: int
) -> None:
    """An encoder, which knows all values, predicts several positions at once; a decoder step by step."""
    channels, width, rank, rows, columns = shape
    q = related((channels, rows, columns), below, seed=rank)
    q[np.random.default_rng(rows).random(q.shape) < 0.7] = 0
    codec, quantizer = registry.make("context-rans", level="max"), QuantParams("int8" if below else "uint8", (1.0,))
    parameters = arbitrary(channels, width, rank, below, False, seed=channels, **mild_numbers(channels, 2000))
    plan = Plan((TapPlan("t", q.shape, quantizer, codec, parameters),))
    frame = fmapzip.encode(q, plan=plan, tap="t")
    assert len(frame) < 0.9 * q.size + 60
    assert np.array_equal(fmapzip.decode(frame, plan=plan), q)
    assert frame == reference_encode(q, codec.number, parameters, plan=(plan.hash8, 0))


def check_predictions(parameters: bytes, q: NDArray[Any]) -> None:
    symbols, zeros = _core.ContextStatistics(parameters).count_predicted(q[None])
    p = read(parameters)
    assert p.prediction is not None
    # Cells that tell every pair of steps apart, and classes that are the numbers without correction.
    p.levels, p.spread_levels, p.table_of = 64 * np.arange(64), np.arange(64), np.arange(4096)
    p.zero_class_of = np.full(4096, 64)
    predictions = Predictions(p, p.prediction, q.shape)
    tile = np.ascontiguousarray(q.view(np.uint8).transpose(1, 2, 0)).astype(np.int64)
    expected, classes = np.zeros((4096, 256), np.int64), np.zeros((4096, 64, 2), np.int64)
    for place in predictions.places():
        pairs, zero = predictions.of(place)
        here = predictions.select(tile, place)
        np.add.at(expected, (pairs, here), 1)
        np.add.at(classes, (pairs, zero, (here != 0).astype(int)), 1)
        predictions.put(place, here)
    assert np.array_equal(np.frombuffer(symbols, np.int64).reshape(4096, 256), expected)
    numbers = np.frombuffer(zeros, np.int64).reshape(4096, 128, 2)
    numbers = np.concatenate([numbers[:, :63], numbers[:, 63:].sum(1, keepdims=True)], 1)
    assert np.array_equal(numbers, classes)


@pytest.mark.parametrize("sign", [-1, 1])
def test_means_are_predicted_alike_up_to_their_limit_and_refused_beyond(sign: int) -> None:
    """Of the second of two spans, whose factors are at their ends; the numbers leave 112 for a weight."""
    bias = np.full(8, sign * 32767)
    loadings = {"gather": np.full((8, 64), -127), "spread": np.full((8, 64), 121)}
    large = {"offsets": bias, "shifts": bias, "zero_of_mean": bias, "spread_of_mean": 32767, **loadings}

    def weighing(weight: int) -> bytes:
        own = np.zeros((8, 7), np.int64)
        own[:, 6] = sign * weight
        return arbitrary(8, 4, 64, 0, False, 5, own=own, gather_shift=0, spread_shift=0, **large)

    check_predictions(weighing(112), np.full((8, 2, 2), 255, np.uint8))
    for refuse in (read, _core.ContextStatistics):
        with pytest.raises(CorruptFrame):
            refuse(weighing(113))


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 1), (16, 1, 40), (5000, 1, 1), (24, 13, 2)])
@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_training_takes_maps_of_any_shape(shape: tuple[int, int, int], dtype: Any) -> None:
    below = 128 if dtype == np.int8 else 0
    maps = np.stack([related(shape, below, seed) for seed in range(3)])
    codec = registry.make("context-rans", level="max")
    plan = Plan((TapPlan("t", shape, QuantParams(str(maps.dtype), (1.0,)), codec, codec.train(maps)),))
    for q in (maps[0], related(shape, below, 9)):
        frame = fmapzip.encode(q, plan=plan, tap="t")
        assert np.array_equal(fmapzip.decode(frame, plan=plan), q)
    assert frame == reference_encode(q, codec.number, plan["t"].parameters, plan=(plan.hash8, 0))


@pytest.mark.parametrize("value", [0, 7])
def test_training_takes_maps_that_never_vary(value: int) -> None:
    maps = np.full((2, 32, 6, 6), value, np.uint8)
    codec = registry.make("context-rans", level="max")
    plan = Plan((TapPlan("t", (32, 6, 6), QuantParams("uint8", (1.0,)), codec, codec.train(maps)),))
    frame = fmapzip.encode(maps[0], plan=plan, tap="t")
    assert np.array_equal(fmapzip.decode(frame, plan=plan), maps[0])
    assert len(frame) < maps[0].size / 4


def test_samples_are_neighbours_as_the_reference_has_them() -> None:
    maps = np.stack([related((5, 4, 6), 0, seed) for seed in range(2)])
    axis = Axis.of(0)
    companded = axis.companded(np.arange(256))
    samples = sample(maps, np.arange(256), companded, most=1000)
    parameters = arbitrary(5, 4, 0, 0, False, 1)
    p = read(parameters)
    assert p.prediction is not None
    for n, q in enumerate(maps):
        predictions = Predictions(p, p.prediction, q.shape)
        predictions.companded[:] = companded[q.reshape(5, -1).T]
        for position in range(24):
            found = [neighbour[24 * n + position] for neighbour in samples.neighbours]
            assert np.array_equal(found, predictions._neighbours(position))


def test_ranks_and_spans_follow_what_they_cost() -> None:
    assert training.prediction_rank(512, 40 * 28 * 28) > training.prediction_rank(512, 40 * 7 * 7)
    assert training.prediction_rank(16, 1 << 20) < training.prediction_rank(256, 1 << 20)
    assert all(-(-c // training.prediction_width(c)) <= 64 for c in (1, 17, 300, 5000, 65000))


def test_channels_that_share_a_cause_take_fewer_bytes() -> None:
    rng = np.random.default_rng(0)
    cause = rng.normal(0, 30, (9, 1, 16, 16))
    maps = np.clip(np.rint(60 + cause + rng.normal(0, 1, (9, 64, 16, 16))), 0, 255).astype(np.uint8)
    sizes = {}
    for level in ("default", "max"):
        codec = registry.make("context-rans", level=level)
        tables = codec.train(maps[1:])
        plan = Plan((TapPlan("t", maps.shape[1:], QuantParams("uint8", (1.0,)), codec, tables),))
        sizes[level] = len(fmapzip.encode(maps[0], plan=plan, tap="t"))
    assert sizes["max"] < 0.95 * sizes["default"]
