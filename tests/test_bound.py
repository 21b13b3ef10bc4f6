"""A codec bound to a tap of a plan, or to none."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import fmapzip
from fmapzip import registry
from fmapzip.errors import CorruptFrame, InvalidType, MissingCodec, PlanMismatch
from strategies import make_map
from test_api import SPARSE, Halves


def plan_of(taps: int, codec: str = "context-rans") -> fmapzip.Plan:
    made = registry.make(codec)
    quantizer = fmapzip.QuantParams("uint8", (0.5,))
    return fmapzip.Plan(
        tuple(
            fmapzip.TapPlan(f"conv{i}", SPARSE.shape, quantizer, made, made.train(make_batch(i))) for i in range(taps)
        )
    )


def make_batch(seed: int) -> np.ndarray[Any, Any]:
    return np.stack([make_map(SPARSE.shape, "sparse", np.uint8, seed + i) for i in range(2)])


def test_a_plan_makes_each_bound_codec_once_however_many_taps_it_has() -> None:
    plan = plan_of(140, "zvc")
    made = [plan.bound(i) for i in range(len(plan))]
    assert all(plan.bound(f"conv{i}") is bound for i, bound in enumerate(made))


def test_a_bound_codec_gives_the_bytes_of_encode_and_takes_them_back() -> None:
    plan = plan_of(3)
    bound = plan.bound("conv1")
    frame = bound.encode(SPARSE)
    assert frame == fmapzip.encode(SPARSE, plan=plan, tap="conv1")
    assert bound.encode_batch(SPARSE[None]) == [frame]
    out = np.zeros(fmapzip.frame_bound(SPARSE.shape), np.uint8)
    assert out[: bound.encode_into(SPARSE, out)].tobytes() == frame
    assert np.array_equal(fmapzip.decode(frame, plan=plan), SPARSE)


def test_a_plan_that_was_used_can_be_copied_and_pickled() -> None:
    plan = plan_of(2)
    frame = plan.bound(1).encode(SPARSE)
    for twin in (copy.deepcopy(plan), pickle.loads(pickle.dumps(plan))):
        assert twin == plan
        assert twin.bound("conv1").encode(SPARSE) == frame


def test_a_plan_has_no_bound_codec_for_a_tap_that_it_lacks() -> None:
    plan = plan_of(1)
    for tap in ("conv9", 1, -1):
        with pytest.raises(PlanMismatch):
            plan.bound(tap)


def test_a_codec_encodes_and_decodes_by_its_own_methods() -> None:
    codec = Halves()
    q = np.arange(120, dtype=np.uint8).reshape(6, 4, 5) % 16
    frame = codec.encode(q)
    assert np.array_equal(codec.decode(frame), q)
    zvc = registry.make("zvc")
    assert np.array_equal(zvc.decode(registry.make("context-rans").encode(SPARSE)), SPARSE)
    with pytest.raises(MissingCodec, match="test-halves"):
        zvc.decode(frame)


def test_a_frame_that_names_a_built_in_codec_as_a_third_partys_is_corrupt() -> None:
    class Posing(Halves):
        id = "zvc"

    frame = Posing().encode(np.zeros((2, 2, 2), np.uint8))
    with pytest.raises(CorruptFrame, match="third parties"):
        fmapzip.decode(frame)


def test_frames_with_tables_of_their_own_are_verified_in_a_batch() -> None:
    frame = fmapzip.encode(SPARSE, "context-rans")
    with pytest.raises(CorruptFrame, match="checksum"):
        fmapzip.decode_batch([frame, frame[:-1] + bytes([frame[-1] ^ 1])])


def test_many_maps_may_be_none_and_of_codecs_in_python_among_them() -> None:
    quantizer = fmapzip.QuantParams("uint8", (0.5,))
    codecs = [registry.make("zvc"), Halves(), registry.make("raw")]
    plan = fmapzip.Plan(tuple(fmapzip.TapPlan(c.id, SPARSE.shape, quantizer, c, c.train(SPARSE[None])) for c in codecs))
    maps = {c.id: np.stack([SPARSE] * (i + 1)) for i, c in enumerate(codecs)}
    frames = fmapzip.encode_many(maps, plan, threads=2)
    assert frames == {name: fmapzip.encode_batch(batch, plan=plan, tap=name) for name, batch in maps.items()}
    assert fmapzip.encode_many({}, plan) == {}
    assert fmapzip.encode_many({"zvc": maps["zvc"][:0]}, plan) == {"zvc": []}


def test_one_wrong_map_among_many_is_refused() -> None:
    plan = plan_of(2)
    with pytest.raises(PlanMismatch, match="tap 1 is"):
        fmapzip.encode_many({"conv0": make_batch(0), "conv1": make_batch(0)[:, :1]}, plan)
    with pytest.raises(PlanMismatch, match="no tap 'conv7'"):
        fmapzip.encode_many({"conv7": make_batch(0)}, plan)


def planned_at(zero_point: int | None) -> fmapzip.Plan:
    quantizer = fmapzip.QuantParams("uint8", (0.5,), "network", zero_point)
    return fmapzip.fit({"conv": np.stack([SPARSE + 40, SPARSE + 41])}, "context-rans", quantizer=quantizer)


def test_a_plan_carries_a_zero_point_and_refuses_frames_of_another() -> None:
    plan, q = planned_at(40), SPARSE + 40
    assert fmapzip.Plan.from_bytes(plan.to_bytes()) == plan
    frame = fmapzip.encode(q, plan=plan)
    assert np.array_equal(fmapzip.decode(frame, plan=plan), q)
    assert np.array_equal(fmapzip.decode(frame, plan=plan, dequantize=True), (q.astype(np.float32) - 40) / 2)
    other = planned_at(41)
    forged = bytearray(frame[:-4])
    at = forged.index(plan.hash8)
    forged[at : at + 8] = other.hash8
    forged += fmapzip._core.crc32c(bytes(forged)).to_bytes(4, "little")
    with pytest.raises(CorruptFrame, match="zero point"):
        fmapzip.decode(bytes(forged), plan=other)


def test_zeros_are_as_cheap_wherever_the_zero_point_lies() -> None:
    quantizer = fmapzip.QuantParams("uint8", (0.5,), "network", 40)
    for codec in ("zvc", "context-rans", "dct-cm"):
        plain = fmapzip.encode(np.minimum(SPARSE, 200), codec, quantizer=fmapzip.QuantParams("uint8", (0.5,)))
        moved = fmapzip.encode(np.minimum(SPARSE, 200) + 40, codec, quantizer=quantizer)
        # dct-cm numbers points by magnitude, with their signs: a bit more for each value that is not zero.
        assert len(moved) <= (1.15 if codec == "dct-cm" else 1.05) * len(plain) + 8


def test_a_zero_point_of_another_type_than_the_map_is_refused() -> None:
    quantizer = fmapzip.QuantParams("uint8", (0.5,), "network", 40)
    for codec in ("raw", "context-rans"):
        with pytest.raises(InvalidType, match="zero point"):
            fmapzip.encode(SPARSE.astype(np.int8), codec, quantizer=quantizer)
