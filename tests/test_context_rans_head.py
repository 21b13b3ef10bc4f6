"""Level `ultra`: the core hears and tells what the reference does, whatever the parameters; training holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import fmapzip
from fmapzip import Plan, QuantParams, TapPlan, _core, registry
from fmapzip.errors import CorruptFrame
from fmapzip.reference import encode as reference_encode
from fmapzip.reference.context_parameters import read
from fmapzip.reference.context_rans import Predictions
from strategies import related
from untrained import arbitrary_head as arbitrary

SHAPES = [(16, 16, 0, 5, 5), (33, 4, 16, 7, 9), (64, 16, 32, 9, 3), (40, 8, 64, 6, 1), (100, 12, 48, 1, 8)]
"""Channels, width of a span, rank, rows, columns."""


def planned(codec: fmapzip.Codec, maps: NDArray[Any]) -> Plan:
    return Plan((TapPlan("t", maps.shape[1:], QuantParams(str(maps.dtype), (1.0,)), codec, codec.train(maps)),))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("below", [0, 37, 128])
@pytest.mark.parametrize("large", [False, True])
def test_the_core_tells_what_the_reference_does(shape: tuple[int, int, int, int, int], below: int, large: bool) -> None:
    channels, width, rank, rows, columns = shape
    parameters = arbitrary(channels, width, rank, below, large, seed=channels).to_bytes()
    q = related((channels, rows, columns), below, seed=rank)
    counted = np.frombuffer(_core.ContextStatistics(parameters).count_head(q[None], []), np.int64).reshape(2048, 256)
    p = read(parameters)
    assert p.prediction is not None
    assert p.prediction.head is not None
    p.prediction.head.table_of = np.arange(2048)  # so that pairs of steps are told apart
    predictions = Predictions(p, p.prediction, q.shape)
    tile = np.ascontiguousarray(q.view(np.uint8).transpose(1, 2, 0)).astype(np.int64)
    expected = np.zeros((2048, 256), np.int64)
    for place in predictions.places():
        pairs, _ = predictions.of(place)
        here = predictions.select(tile, place)
        np.add.at(expected, (pairs, here), 1)
        predictions.put(place, here)
    assert np.array_equal(counted, expected)


@pytest.mark.parametrize("large", [False, True])
def test_frames_of_arbitrary_parameters_are_those_of_the_reference(large: bool) -> None:
    q = np.sort(related((33, 9, 7), 0, 1) // 8, axis=-1)
    codec, parameters = registry.make("context-rans", level="ultra"), arbitrary(33, 8, 32, 0, large, 3).to_bytes()
    plan = Plan((TapPlan("t", q.shape, QuantParams("uint8", (1.0,)), codec, parameters),))
    frame = fmapzip.encode(q, plan=plan, tap="t")
    assert np.array_equal(fmapzip.decode(frame, plan=plan), q)
    assert frame == reference_encode(q, codec.number, parameters, plan=(plan.hash8, 0))


def test_loadings_that_would_overflow_means_are_refused() -> None:
    large = arbitrary(8, 4, 64, 0, True, 5, spread_shift=0).to_bytes()
    for refuse in (read, _core.ContextStatistics):
        with pytest.raises(CorruptFrame):
            refuse(large)


@pytest.mark.parametrize("shape", [(1, 1, 1), (16, 1, 40), (500, 1, 1), (24, 13, 2)])
@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_training_takes_maps_of_any_shape(shape: tuple[int, int, int], dtype: Any) -> None:
    below = 128 if dtype == np.int8 else 0
    maps = np.stack([related(shape, below, seed) for seed in range(3)])
    codec = registry.make("context-rans", level="ultra")
    plan = planned(codec, maps)
    for q in (maps[0], related(shape, below, 9)):
        frame = fmapzip.encode(q, plan=plan, tap="t")
        assert np.array_equal(fmapzip.decode(frame, plan=plan), q)
    assert frame == reference_encode(q, codec.number, plan["t"].parameters, plan=(plan.hash8, 0))


def test_training_takes_maps_that_never_vary_and_is_deterministic() -> None:
    maps = np.full((2, 32, 6, 6), 7, np.uint8)
    codec = registry.make("context-rans", level="ultra")
    plan = planned(codec, maps)
    frame = fmapzip.encode(maps[0], plan=plan, tap="t")
    assert np.array_equal(fmapzip.decode(frame, plan=plan), maps[0])
    assert plan["t"].parameters == codec.train(maps)


def test_a_step_is_as_far_as_a_value_goes() -> None:
    maps = np.stack([related((24, 9, 8), 0, seed) for seed in range(4)])
    plan = planned(registry.make("context-rans", level="ultra", step=3), maps)
    decoded = fmapzip.decode(fmapzip.encode(maps[0], plan=plan, tap="t"), plan=plan)
    assert int(abs(decoded.astype(int) - maps[0]).max()) <= 3


def test_causes_that_move_on_take_fewer_bytes() -> None:
    """Values that channels of the positions before foretell."""
    rng = np.random.default_rng(0)
    cause = rng.normal(0, 30, (9, 1, 16, 17))
    late = np.where(np.arange(64)[:, None, None] < 32, cause[..., 1:], cause[..., :-1])
    maps = np.clip(np.rint(60 + late + rng.normal(0, 1, (9, 64, 16, 16))), 0, 255).astype(np.uint8)
    sizes = {}
    for level in ("max", "ultra"):
        plan = planned(registry.make("context-rans", level=level), maps[1:])
        sizes[level] = len(fmapzip.encode(maps[0], plan=plan, tap="t"))
    assert sizes["ultra"] < 0.97 * sizes["max"]


def test_a_plan_that_would_be_too_large_falls_back_level_by_level() -> None:
    maps = np.stack([related((24, 9, 8), 0, seed) for seed in range(4)])
    sizes = {
        level: len(registry.make("context-rans", level=level).train(maps)) for level in ("default", "max", "ultra")
    }
    for level in ("max", "default"):
        share = (sizes[level] + 1) / maps.nbytes
        plan = fmapzip.fit(maps, registry.make("context-rans", level="ultra", plan_bytes=share))
        assert len(plan["map"].parameters) == sizes[level]
        assert np.array_equal(fmapzip.decode(fmapzip.encode(maps[0], plan=plan), plan=plan), maps[0])


def test_without_a_plan_it_is_the_default() -> None:
    q = related((16, 8, 8), 0, 2)
    assert fmapzip.encode(q, registry.make("context-rans", level="ultra")) == fmapzip.encode(q, "context-rans")
