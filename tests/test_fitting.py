"""Plans in one line, and what is fitted to one map without a plan."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import fmapzip
from fmapzip import _core, registry
from fmapzip.codecs import context_rans_training as training
from fmapzip.codecs.context_rans import ContextRans
from fmapzip.errors import InvalidInput, InvalidType
from fmapzip.reference import decode as reference_decode
from strategies import make_map


def smooth(shape: tuple[int, int, int], dtype: Any, seed: int, scale: float = 30.0) -> np.ndarray[Any, Any]:
    """A map whose neighbours are alike, as those of networks are."""
    x = np.random.default_rng(seed).normal(0, 1, shape)
    for axis in (1, 2):
        for _ in range(2):
            x = (x + np.roll(x, 1, axis)) / 2
    limits = np.iinfo(dtype)
    return np.clip(x / x.std() * scale, max(limits.min, -127), limits.max).astype(dtype)


def test_fit_makes_a_plan_whose_frames_are_smaller_than_those_without() -> None:
    maps = np.stack([smooth((32, 20, 20), np.uint8, seed) for seed in range(6)])
    plan = fmapzip.fit(maps[:4], "context-rans")
    for q in maps[4:]:
        frame = fmapzip.encode(q, plan=plan)
        assert len(frame) < len(fmapzip.encode(q, "context-rans"))
        assert np.array_equal(fmapzip.decode(frame, plan=plan), q)


def test_fit_takes_settings_names_and_a_quantizer() -> None:
    maps = smooth((8, 6, 6), np.int8, 1)[None]
    quantizer = fmapzip.QuantParams("int8", (0.25,))
    plan = fmapzip.fit({"a": maps, "b": maps[:, :4]}, "context-rans", quantizer=quantizer, step=2)
    assert [tap.name for tap in plan] == ["a", "b"]
    assert plan["b"].codec == registry.make("context-rans", step=2)
    assert plan["a"].quantizer == quantizer
    frame = fmapzip.encode(maps[0], plan=plan, tap="a")
    assert np.abs(fmapzip.decode(frame, plan=plan, dequantize=True) - maps[0] * 0.25).max() <= 0.25 * 2


@pytest.mark.parametrize(
    ("maps", "error"),
    [
        (np.zeros((2, 3), np.float32), InvalidType),
        (np.zeros(4, np.uint8), InvalidInput),
        (np.zeros((0, 4, 4), np.uint8), InvalidInput),
        ("maps", InvalidType),
    ],
)
def test_what_are_no_maps_is_refused(maps: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        fmapzip.fit(maps)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("shape", [(64, 32, 32), (1024, 8, 8), (16, 90, 91)])
def test_a_fit_to_one_map_costs_at_most_one_percent_against_training_on_it(
    shape: tuple[int, int, int], dtype: Any
) -> None:
    q = smooth(shape, dtype, 3)
    size = training.ModelSize(levels=21, spread_levels=6, tables=24)
    trained = training.train_neighbours(
        q[None], training.Requantizer(128 * (q.dtype == np.int8), ContextRans()._step), size
    ).to_bytes()
    by_training = _core.encode(q, _core.Codec(ContextRans.number, trained), b"", False, 0, b"", 0, 1)
    assert len(fmapzip.encode(q, "context-rans")) <= 1.01 * len(by_training)


def test_peaks_of_the_distribution_cost_no_more_than_in_training() -> None:
    q = np.abs(smooth((32, 64, 64), np.int8, 9, 40.0)).astype(np.uint8)
    flat = np.random.default_rng(2).random(q.shape) < 0.6
    for peak in (33, 77, 141):
        q[flat & (np.abs(q.astype(int) - peak) < 5)] = peak
    size = training.ModelSize(levels=21, spread_levels=6, tables=24)
    trained = training.train_neighbours(q[None], training.Requantizer(0, ContextRans()._step), size).to_bytes()
    by_training = _core.encode(q, _core.Codec(ContextRans.number, trained), b"", False, 0, b"", 0, 1)
    assert len(fmapzip.encode(q, "context-rans")) <= 1.01 * len(by_training)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_a_fit_of_channels_costs_at_most_one_percent_against_training_on_it(dtype: Any) -> None:
    q = smooth((64, 32, 32), dtype, 3)
    requantizer = training.Requantizer(128 if dtype is np.int8 else 0, ContextRans()._step)
    trained = training.train_channels(q[None], requantizer, 16).to_bytes()
    by_training = _core.encode(q, _core.Codec(ContextRans.number, trained), b"", False, 0, b"", 0, 1)
    assert len(fmapzip.encode(q, "context-rans", level="fast")) <= 1.01 * len(by_training)


@pytest.mark.parametrize("level", ["default", "fast"])
@pytest.mark.parametrize("step", [1, 2, "7/3", 40])
@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("kind", ["sparse", "noise"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (300, 1, 1), (3, 1, 700), (2, 900, 310), (600, 30, 40)])
def test_fitted_parameters_are_valid_for_maps_of_any_shape(
    shape: tuple[int, int, int], kind: str, dtype: Any, step: Any, level: str
) -> None:
    q = make_map(shape, kind, dtype, 4)
    frame = fmapzip.encode(q, "context-rans", step=step, level=level)
    decoded = fmapzip.decode(frame)
    if step == 1:
        assert np.array_equal(decoded, q)
    assert fmapzip.encode(np.asfortranarray(q), "context-rans", step=step, level=level) == frame


def test_maps_of_one_value_and_of_extremes_are_fitted() -> None:
    for value in (0, 1, 255):
        q = np.full((16, 30, 30), value, np.uint8)
        assert np.array_equal(fmapzip.decode(fmapzip.encode(q, "context-rans")), q)
    q = np.where(np.arange(30 * 30 * 8).reshape(8, 30, 30) % 3 == 0, -128, 127).astype(np.int8)
    frame = fmapzip.encode(q, "context-rans")
    assert np.array_equal(reference_decode(frame), q)


def test_a_fit_gives_the_same_bytes_on_every_instruction_set() -> None:
    code = (
        "import sys, zlib, numpy as np, fmapzip; sys.path.insert(0, 'tests'); from test_fitting import smooth;"
        "print([zlib.crc32(fmapzip.encode(smooth(s, d, 5), 'context-rans', step=t))"
        " for s in ((64, 20, 21), (7, 300, 300)) for d in (np.uint8, np.int8) for t in (1, '5/2')])"
    )
    found = set()
    for simd in _core.simd_available():
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "FMAPZIP_SIMD": simd},
            cwd=os.path.dirname(os.path.dirname(__file__)),
            capture_output=True,
            text=True,
            check=True,
        )
        found.add(done.stdout)
    assert len(found) == 1


def test_a_plan_of_level_max_takes_no_more_of_its_maps_than_it_may() -> None:
    few = {
        f"t{i}": np.stack([smooth((48, 6 + 6 * i, 6), np.uint8, 9 * i + seed) for seed in range(3)]) for i in (0, 1, 2)
    }
    of_maps = sum(maps.nbytes for maps in few.values())

    def sizes(plan: fmapzip.Plan) -> dict[str, int]:
        return {tap.name: len(tap.parameters) for tap in plan}

    free = fmapzip.fit(few, "context-rans", level="max", plan_bytes=1.0)
    assert all(tap.parameters == tap.codec.train(few[tap.name]) for tap in free)
    default = fmapzip.fit(few, "context-rans")
    allowed = (sum(sizes(free).values()) - 1) / of_maps
    within = fmapzip.fit(few, "context-rans", level="max", plan_bytes=allowed)
    assert sum(sizes(within).values()) <= allowed * of_maps
    # The smallest maps, whose parameters weigh most, are the first to have fewer.
    assert sizes(within) == {**sizes(free), "t0": sizes(default)["t0"]}
    assert [tap.codec for tap in within] == [ContextRans(level="max", plan_bytes=allowed)] * 3
    for name, maps in few.items():
        frame = fmapzip.encode(maps[0], plan=within, tap=name)
        assert np.array_equal(fmapzip.decode(frame, plan=within), maps[0])
    # Less than level default takes is not to be had.
    assert sizes(fmapzip.fit(few, "context-rans", level="max")) == sizes(default)


@pytest.mark.parametrize(
    "settings", [{"level": "max", "plan_bytes": 0.0}, {"level": "max", "plan_bytes": 1.5}, {"plan_bytes": 0.5}]
)
def test_a_bound_of_a_plan_that_is_none_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="plan_bytes"):
        registry.make("context-rans", **settings)
