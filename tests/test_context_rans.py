"""What context-rans promises beyond the battery: plans, steps, levels, sizes, and refusals."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import fmapzip
from fmapzip import Plan, QuantParams, TapPlan, _core, registry
from fmapzip.errors import CorruptFrame, FrameError, InvalidInput
from fmapzip.reference import decode as reference_decode
from fmapzip.reference import encode as reference_encode
from strategies import KINDS, make_map

LEVELS = ("fast", "default", "max")
every_level = pytest.mark.parametrize("level", LEVELS)


def correlated(shape: tuple[int, int, int], dtype: Any, seed: int) -> NDArray[Any]:
    """A map whose neighbours and channels go together, as a network's do."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape) + 1.5 * rng.normal(size=(1, *shape[1:]))
    for axis in (1, 2):
        x = x + np.roll(x, 1, axis)
    x = 9 * x * rng.random((shape[0], 1, 1))
    low = 0 if dtype == np.uint8 else -127
    return np.clip(np.rint(x), low, 255 if low == 0 else 127).astype(dtype)


def plan_for(codec: Any, maps: NDArray[Any]) -> Plan:
    dtype = "int8" if maps.dtype == np.int8 else "uint8"
    return Plan((TapPlan("t", maps.shape[1:], QuantParams(dtype, (1.0,)), codec, codec.train(maps)),))


@every_level
@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("channels", [1, 33, 64, 96])
def test_with_a_plan_core_and_reference_write_the_same_bytes(level: str, dtype: Any, channels: int) -> None:
    maps = np.stack([correlated((channels, 11, 9), dtype, seed) for seed in range(4)])
    codec = registry.make("context-rans", level=level)
    plan = plan_for(codec, maps)
    frame = fmapzip.encode(maps[0], plan=plan, tap="t")
    assert reference_encode(maps[0], codec.number, plan["t"].parameters, plan=(plan.hash8, 0)) == frame
    assert np.array_equal(fmapzip.decode(frame, plan=plan), maps[0])
    assert np.array_equal(reference_decode(frame, plan["t"].parameters), maps[0])


@every_level
def test_training_is_deterministic(level: str) -> None:
    maps = np.stack([correlated((64, 8, 8), np.uint8, seed) for seed in range(3)])
    codec = registry.make("context-rans", level=level)
    assert codec.train(maps) == codec.train(maps.copy())


def test_a_plan_makes_frames_smaller_and_channels_help_each_other() -> None:
    maps = np.stack([correlated((64, 24, 24), np.uint8, seed) for seed in range(8)])
    sizes = {}
    for level in LEVELS:
        plan = plan_for(registry.make("context-rans", level=level), maps[1:])
        sizes[level] = len(fmapzip.encode(maps[0], plan=plan, tap="t"))
    alone = len(fmapzip.encode(maps[0], "context-rans"))
    assert sizes["max"] < sizes["default"] < min(alone, sizes["fast"])


STEPS = st.sampled_from(["1", "2", "3", "4", "3/2", "7/3", "9.5", "64", "200"])


@given(
    shape=st.tuples(st.integers(1, 20), st.integers(1, 9), st.integers(1, 9)),
    kind=st.sampled_from(KINDS),
    dtype=st.sampled_from([np.uint8, np.int8]),
    seed=st.integers(0, 99),
    step=STEPS,
    planned=st.booleans(),
)
@settings(max_examples=120)
def test_a_step_keeps_zeros_and_its_bound(
    shape: tuple[int, int, int], kind: str, dtype: Any, seed: int, step: str, planned: bool
) -> None:
    q = make_map(shape, kind, dtype, seed)
    codec = registry.make("context-rans", step=step)
    plan = plan_for(codec, q[None]) if planned else None
    frame = fmapzip.encode(q, plan=plan, tap="t") if planned else fmapzip.encode(q, codec)
    decoded = fmapzip.decode(frame, plan=plan)
    error = np.abs(decoded.astype(int) - q)
    assert not decoded[q == 0].any()
    assert (np.sign(decoded) * np.sign(q) >= 0).all()
    bound = Fraction(step)
    assert error.max() <= bound
    if not planned:
        assert error.max() <= ceil(bound / 2)
    if bound == 1:
        assert not error.any()


def test_trained_points_are_the_means_of_what_they_stand_for() -> None:
    q = np.array([6, 6, 6, 7, 4, 8, 1, 2, 0], np.uint8).repeat(300)
    codec = registry.make("context-rans", step=4)
    plan = plan_for(codec, q[None])
    decoded = fmapzip.decode(fmapzip.encode(q, plan=plan, tap="t"), plan=plan)
    # 3 to 5 have index 1, 6 to 10 index 2, and 1 and 2 index 0: halves go to the even one.
    assert set(decoded[q == 4]) == {4}
    assert set(decoded[q == 6]) == {round((3 * 6 + 7 + 8) / 5)}
    assert not decoded[q <= 2].any()


def test_a_step_is_written_in_one_way() -> None:
    assert registry.make("context-rans", step="4/2") == registry.make("context-rans", step=2)
    assert registry.make("context-rans", step=1.5) == registry.make("context-rans", step="3/2")


@pytest.mark.parametrize(
    "setting",
    [{"step": 0.5}, {"step": "x"}, {"step": "1/0"}, {"step": 256}, {"level": "best"}, {"tables": 0}, {"cells": 3}],
)
def test_settings_that_do_not_exist_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        registry.make("context-rans", **setting)


def test_parameters_of_another_map_are_refused() -> None:
    maps = np.stack([correlated((32, 8, 8), np.uint8, seed) for seed in range(2)])
    parameters = registry.make("context-rans").train(maps)
    codec = _core.Codec(4, parameters)
    wrong = [np.zeros((31, 8, 8), np.uint8), np.zeros((32, 8, 8), np.int8)]
    for q in wrong:
        with pytest.raises(InvalidInput):
            _core.encode(q, codec, b"", False, 0, b"", 0, 1)


@every_level
def test_missing_and_cut_parameters_are_refused(level: str) -> None:
    maps = np.stack([correlated((64, 6, 6), np.uint8, seed) for seed in range(2)])
    parameters = registry.make("context-rans", level=level).train(maps)
    for size in range(len(parameters)):
        with pytest.raises(FrameError):
            _core.Codec(4, parameters[:size])
    with pytest.raises(CorruptFrame):
        _core.Codec(4, parameters + b"\0")


def test_a_changed_payload_is_noticed_without_its_checksum() -> None:
    q = correlated((64, 20, 20), np.uint8, 1)
    frame = fmapzip.encode(q, "context-rans")
    parsed = _core.Frame(frame, 0, 1 << 20, 1 << 20, True)
    rng = np.random.default_rng(0)
    unnoticed = 0
    for _ in range(3000):
        forged = bytearray(frame[:-4])
        forged[int(rng.integers(parsed.payload_offset, len(forged)))] ^= 1 << int(rng.integers(8))
        forged += _core.crc32c(bytes(forged)).to_bytes(4, "little")
        try:
            fmapzip.decode(bytes(forged))
            unnoticed += 1
        except FrameError:
            pass
    assert unnoticed < 300  # raw bits whose change touches no context


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_sparse_maps_take_little_more_than_nothing(dtype: Any) -> None:
    assert len(fmapzip.encode(np.zeros((64, 56, 56), dtype), "context-rans")) < 64 * 56 * 56 / 400


@every_level
def test_inspect_tells_states_from_words(level: str) -> None:
    q = correlated((64, 30, 30), np.uint8, 3)
    info = fmapzip.inspect(fmapzip.encode(q, "context-rans", level=level))
    assert info.sections["states"] == 4 * 32
    assert info.sections["words"] > 50 * info.sections["states"]


@pytest.mark.parametrize("level", ["fast", "default"])
def test_a_plan_has_no_more_tables_than_it_may(level: str) -> None:
    rng = np.random.default_rng(4)
    maps = rng.poisson(rng.choice([0.3, 2, 9, 30], (24, 1, 1)), (3, 24, 12, 12)).astype(np.uint8)
    found = {tables: fmapzip.fit(maps, "context-rans", level=level, tables=tables) for tables in (2, 5)}
    for tables, plan in found.items():
        assert plan[0].parameters[1] + 1 <= tables
        frame = fmapzip.encode(maps[0], plan=plan)
        assert np.array_equal(fmapzip.decode(frame, plan=plan), maps[0])
    with pytest.raises(InvalidInput, match="tables"):
        fmapzip.fit(maps, "context-rans", tables=65)
