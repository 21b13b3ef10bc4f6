"""Maps that are coded with maps of the same sample that a network computed before."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import fmapzip
from fmapzip import _core, reference
from fmapzip.codecs.context_rans import ContextRans
from fmapzip.codecs.context_rans_reference import Earlier
from fmapzip.codecs.context_rans_training import Requantizer, train_head
from fmapzip.errors import CorruptFrame, FmapzipError, InvalidInput, PlanMismatch, ReferenceMismatch
from fmapzip.plan import Plan, TapPlan
from fmapzip.quantize import QuantParams

NUMBER, SOME_PLAN = 4, b"\0" * 8


@cache
def network(count: int = 6, channels: int = 24, size: int = 10) -> dict[str, NDArray[np.uint8]]:
    """Maps as a residual network makes them: a stem, what two convolutions made of it, and their sum with it."""
    random = np.random.default_rng(5)
    smooth = random.normal(0, 1, (count, channels, size + 2, size + 2))
    smooth = smooth[:, :, 1:, 1:] + smooth[:, :, :-1, 1:] + smooth[:, :, 1:, :-1]
    stem = np.clip(np.rint(12 * np.maximum(smooth[:, :, :size, :size], 0)), 0, 255)
    first = random.normal(0, 0.2, (16, channels))
    inner = np.clip(np.rint(np.maximum(np.einsum("oc,nchw->nohw", first, stem), 0)), 0, 255)
    second = random.normal(0, 0.3, (channels, 16))
    outer = np.clip(np.rint(np.maximum(stem + np.einsum("oc,nchw->nohw", second, inner) - 4, 0)), 0, 255)
    return {"stem": stem.astype(np.uint8), "inner": inner.astype(np.uint8), "outer": outer.astype(np.uint8)}


@cache
def plan() -> Plan:
    return fmapzip.fit(network(), "context-rans", level="ultra", references=3, plan_bytes=1.0)


def frames(sample: int) -> dict[str, bytes]:
    maps = network()
    found = {}
    for tap in plan():
        given = [maps[plan()[i].name][sample] for i in tap.references] or None
        found[tap.name] = fmapzip.encode(maps[tap.name][sample], plan=plan(), tap=tap.name, reference=given)
    return found


def test_maps_that_follow_from_others_take_a_part_of_their_bytes() -> None:
    maps, alone = network(), fmapzip.fit(network(), "context-rans", level="ultra", plan_bytes=1.0)
    assert plan()["inner"].references == (0,)
    assert set(plan()["outer"].references) == {0, 1}
    for name in ("inner", "outer"):
        assert len(frames(0)[name]) < 0.8 * len(fmapzip.encode(maps[name][0], plan=alone, tap=name))


def test_a_map_comes_back_with_its_references() -> None:
    maps = network()
    for name, frame in frames(2).items():
        given = [maps[plan()[i].name][2] for i in plan()[name].references] or None
        assert (fmapzip.decode(frame, plan=plan(), reference=given) == maps[name][2]).all()


def test_a_missing_or_wrong_reference_is_an_error() -> None:
    maps, frame = network(), frames(0)["inner"]
    stem = maps["stem"][0]
    changed = stem.copy()
    changed[3, 4, 5] ^= 1
    with pytest.raises(ReferenceMismatch, match="not given"):
        fmapzip.decode(frame, plan=plan())
    with pytest.raises(ReferenceMismatch, match="not those that"):
        fmapzip.decode(frame, plan=plan(), reference=changed)
    with pytest.raises(ReferenceMismatch, match="not those that"):
        fmapzip.decode(frame, plan=plan(), reference=maps["stem"][1])
    for wrong in (stem[:5], stem[:, 1:], stem.view(np.int8), [stem, stem]):
        with pytest.raises(ReferenceMismatch):
            fmapzip.decode(frame, plan=plan(), reference=wrong)
    with pytest.raises(ReferenceMismatch, match="not given"):
        fmapzip.encode(maps["inner"][0], plan=plan(), tap="inner")
    with pytest.raises(ReferenceMismatch, match="not given"):
        fmapzip.encode_batch(maps["inner"], plan=plan(), tap="inner")
    with pytest.raises(ReferenceMismatch, match="not given"):
        fmapzip.encode_many({"inner": maps["inner"]}, plan())
    with pytest.raises(ReferenceMismatch):
        fmapzip.encode(stem, plan=plan(), tap="stem", reference=stem)


def test_every_bit_of_a_frame_is_checked() -> None:
    stem, frame = network()["stem"][0], frames(0)["inner"]
    for place in range(0, len(frame), 41):
        spoilt = bytearray(frame)
        spoilt[place] ^= 4
        with pytest.raises(FmapzipError):
            fmapzip.decode(bytes(spoilt), plan=plan(), reference=stem)
    for end in range(0, len(frame), 97):
        with pytest.raises(FmapzipError):
            fmapzip.decode(frame[:end], plan=plan(), reference=stem)


def body_of(frame: bytes) -> tuple[_core.Frame, bytes]:
    parsed = _core.Frame(frame, 0, 1 << 20, 1 << 20, True)
    return parsed, parsed.body(0)


def test_the_sections_of_a_frame_sum_to_it() -> None:
    info = fmapzip.inspect(frames(0)["inner"], plan())
    assert sum(info.sections.values()) == len(frames(0)["inner"])
    assert info.sections["references' checksum"] == 4


def test_the_core_gives_the_bytes_of_the_reference() -> None:
    for maps, below, earlier, heard in small_references():
        parameters = trained(maps, below, earlier, heard)
        given = [each.maps[0] for each in earlier]
        codec = _core.Codec(NUMBER, parameters).given(given)
        zero_point = below - (128 if maps.dtype == np.int8 else 0)
        frame = _core.encode(maps[0], codec, b"", False, zero_point, SOME_PLAN, 0, 1)
        expected = reference.encode(
            maps[0], NUMBER, parameters, plan=(SOME_PLAN, 0), zero_point=zero_point, references=given
        )
        assert frame == expected
        assert (reference.decode(frame, parameters, given) == maps[0]).all()
        out = np.empty_like(maps[0])
        _core.Frame(frame, 0, 1 << 28, 1 << 24, True).decode_into(out, codec, 1)
        assert (out == maps[0]).all()
        with pytest.raises(ReferenceMismatch):
            reference.decode(frame, parameters, [1 - each for each in given])


def small_references() -> list[tuple[NDArray[Any], int, list[Earlier], list[dict[str, bool]]]]:
    """Small maps with references of each kind."""
    random = np.random.default_rng(6)

    def some(*shape: int) -> NDArray[np.uint8]:
        return np.maximum(random.normal(0, 20, shape), 0).astype(np.uint8)

    near, far = some(3, 20, 5, 6), some(3, 7, 9, 12)
    signed = random.integers(-40, 40, (3, 9, 5, 6)).astype(np.int8)
    other = np.clip(near[:, ::-1].astype(int) // 2 + some(3, 20, 5, 6) // 9, 0, 255).astype(np.uint8)
    full, same = {"same_channel": False}, {"same_channel": True}
    return [
        (other, 0, [Earlier(near)], [{**full, "wide": True, "halved": False}]),
        (
            other,
            0,
            [Earlier(near), Earlier(far)],
            [{**same, "wide": True, "halved": False}, {**full, "wide": True, "halved": True}],
        ),
        (other.view(np.int8), 128, [Earlier(signed)], [{**full, "wide": False, "halved": False}]),
        (other, 30, [Earlier(near, 30)], [{**same, "wide": False, "halved": False}]),
    ]


def trained(maps: NDArray[Any], below: int, earlier: list[Earlier], heard: list[dict[str, bool]]) -> bytes:
    values = maps.view(np.uint8) - np.uint8(below if maps.dtype == np.uint8 else 0)
    values = values.view(np.int8) if below == 128 else values
    pairs = tuple((each.reference(**how), each) for each, how in zip(earlier, heard, strict=True))
    return train_head(values, Requantizer(below, Fraction(1)), pairs).to_bytes()


def test_tiles_see_the_rows_of_the_reference_beside_them() -> None:
    random = np.random.default_rng(7)
    near = np.maximum(random.normal(0, 20, (2, 4, 620, 500)), 0).astype(np.uint8)
    maps = np.roll(near, 1, 2) // 2
    parameters = trained(maps, 0, [Earlier(near)], [{"same_channel": True, "wide": True, "halved": False}])
    codec = _core.Codec(NUMBER, parameters).given([near[0]])
    frame = _core.encode(maps[0], codec, b"", False, 0, SOME_PLAN, 0, 2)
    parsed = _core.Frame(frame, 0, 1 << 28, 1 << 24, True)
    assert len(parsed.tile_lengths) == 2
    out = np.empty_like(maps[0])
    parsed.decode_into(out, codec, 2)
    assert (out == maps[0]).all()
    rows = parsed.tile_rows
    start = maps[0][:, rows:].copy()
    alone = _core.Codec(NUMBER, parameters).given([near[0][:, rows:].copy()])
    assert _core.encode(start, alone, b"", False, 0, SOME_PLAN, 0, 1) != frame


def test_near_lossless_maps_refer_to_what_others_decode_to() -> None:
    maps = {name: each[:3] for name, each in network().items()}
    coded = fmapzip.fit(maps, "context-rans", level="ultra", references=2, plan_bytes=1.0, step=2)
    decoded: dict[str, NDArray[Any]] = {}
    for tap in coded:
        given = [decoded[coded[i].name] for i in tap.references] or None
        frame = fmapzip.encode(maps[tap.name][0], plan=coded, tap=tap.name, reference=given)
        decoded[tap.name] = fmapzip.decode(frame, plan=coded, reference=given)
        assert np.abs(decoded[tap.name].astype(int) - maps[tap.name][0]).max() <= 2
    assert any(tap.references for tap in coded)


def test_chains_are_no_longer_than_was_asked_for() -> None:
    maps = {name: each[:3] for name, each in network().items()}
    coded = fmapzip.fit(maps, "context-rans", level="ultra", references=1, plan_bytes=1.0)
    for tap in coded:
        assert all(not coded[i].references for i in tap.references)


def test_hostile_parameters_are_refused() -> None:
    parameters = bytearray(plan()["inner"].parameters)
    references = parameters.index(bytes([1, plan_kind(), 0, 24]))
    for change in ((0, 0), (0, 3), (1, 16), (3, 0), (3, 200)):
        spoilt = bytearray(parameters)
        spoilt[references + change[0]] = change[1]
        with pytest.raises(FmapzipError):
            _core.Codec(NUMBER, bytes(spoilt))
        with pytest.raises(FmapzipError):
            reference.frame._decoded(NUMBER, [b"12345"], [(16, 2, 2)], np.dtype(np.uint8), 0, bytes(spoilt), [])
    for end in range(0, len(parameters), 13):
        with pytest.raises(FmapzipError):
            _core.Codec(NUMBER, bytes(parameters[:end]))


def plan_kind() -> int:
    """How the inner map hears the stem: all channels, of one position or of 3x3."""
    parameters = plan()["inner"].parameters
    return 0 if bytes([1, 0, 0, 24]) in parameters else 2


def test_a_plan_names_references_before_their_readers() -> None:
    again = Plan.from_bytes(plan().to_bytes())
    assert [tap.references for tap in again] == [tap.references for tap in plan()]
    tap = TapPlan("a", (2, 3, 3), QuantParams("uint8", (1.0,)), ContextRans(), references=(0,))
    with pytest.raises(InvalidInput, match="not before it"):
        Plan((tap,))
    forgotten = Plan(tuple(replace(tap, references=()) for tap in plan()))
    with pytest.raises(CorruptFrame, match="another number of maps"):
        forgotten.bound("inner")


def test_references_are_of_level_ultra() -> None:
    with pytest.raises(InvalidInput, match="references"):
        ContextRans(level="max", references=1)
    with pytest.raises(InvalidInput, match="references"):
        ContextRans(level="ultra", references=-1)
    assert "references" not in ContextRans(level="ultra").config()
    assert ContextRans(level="ultra", references=2).draft() == ContextRans()


def test_without_its_plan_a_frame_says_so() -> None:
    with pytest.raises(PlanMismatch):
        fmapzip.decode(frames(0)["inner"], reference=network()["stem"][0])
