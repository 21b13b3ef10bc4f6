"""Plans: round trips, hashes, edits by hand, and bytes from strangers."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fmapzip
from fmapzip import Plan, QuantParams, TapPlan, _core, registry
from fmapzip.errors import (
    CorruptFrame,
    FmapzipError,
    InvalidInput,
    InvalidPlan,
    PlanMismatch,
    UnknownCodec,
    UnsupportedVersion,
)
from fmapzip.reference import encode as reference_encode

SCALES = QuantParams("int8", (0.5, 0.25, 3e-5), "minmax:channel")


@pytest.fixture
def plan() -> Plan:
    zvc, raw = registry.make("zvc"), registry.make("raw")
    return Plan(
        (
            TapPlan("stem.conv2", (64, 55, 55), QuantParams("uint8", (0.1,)), zvc),
            TapPlan("stem.conv3", (3, 7), SCALES, raw, b"tables\0\xff"),
            TapPlan("head", (1000,), QuantParams("int8", (1e-7,), "mse"), zvc, b"more"),
        ),
        {"calibrator": "minmax", "skipped": ["aux"], "inputs": [[3, 224, 224]], "note": "ä"},
    )


def test_bytes_round_trip(plan):
    again = Plan.from_bytes(plan.to_bytes())
    assert again == plan
    assert again.to_bytes() == plan.to_bytes()
    assert again.hash == plan.hash
    assert plan.hash8 == plan.hash[:8]


names = st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable())
taps = st.builds(
    TapPlan,
    names,
    st.lists(st.integers(1, 2**31 - 1), min_size=1, max_size=4).map(tuple),
    st.builds(QuantParams, st.sampled_from(["uint8", "int8"]), st.tuples(st.floats(1e-30, 1e30)), st.just("minmax")),
    st.sampled_from([registry.make("raw"), registry.make("zvc")]),
    st.binary(max_size=40),
)


@given(st.lists(taps, max_size=5, unique_by=lambda tap: tap.name))
def test_any_plan_round_trips(entries):
    plan = Plan(tuple(entries))
    assert Plan.from_bytes(plan.to_bytes()) == plan


def test_files_round_trip(plan, tmp_path):
    path = tmp_path / "net.fmzp"
    plan.save(path)
    assert Plan.load(path) == plan
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.fmzp"]


def test_a_failed_save_leaves_the_old_file(plan, tmp_path, monkeypatch):
    path = tmp_path / "net.fmzp"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        plan.save(path)
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_taps_are_found_by_name_and_by_index(plan):
    assert plan["stem.conv3"] is plan[1]
    assert plan.index("head") == 2
    assert [tap.name for tap in plan] == ["stem.conv2", "stem.conv3", "head"]
    with pytest.raises(PlanMismatch, match=r"no tap 'tail'; it has stem\.conv2, stem\.conv3, head"):
        plan["tail"]
    with pytest.raises(PlanMismatch, match="no tap 3"):
        plan[3]


def test_the_hash_names_the_content(plan):
    renamed = dataclasses.replace(plan, taps=(dataclasses.replace(plan[0], name="x"), *plan.taps[1:]))
    retrained = dataclasses.replace(plan, taps=(*plan.taps[:2], dataclasses.replace(plan[2], parameters=b"less")))
    assert len({plan.hash, renamed.hash, retrained.hash}) == 3


def test_json_edited_by_hand_still_reads(plan):
    text, _, tables = plan.to_bytes().partition(b"\0")
    edited = text.replace(b'"scale":0.1', b'"scale" : 0.2 ').replace(b",\n", b", \r\n\t") + b"\0" + tables
    again = Plan.from_bytes(edited)
    assert again["stem.conv2"].quantizer.scale[0] == pytest.approx(0.2)
    assert again["head"] == plan["head"]
    assert again.hash != plan.hash


def test_json_is_one_short_line_a_tap(plan):
    many = Plan(tuple(dataclasses.replace(plan[0], name=f"layer{i // 10}.{i}.conv2") for i in range(39)))
    assert len(many.to_bytes()) < 10_000
    assert many.to_bytes().count(b"\n") < 50


def test_two_taps_of_one_name_are_refused(plan):
    with pytest.raises(InvalidInput, match="two taps named 'head'"):
        Plan((plan["head"], plan["head"]))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("shape", ()),
        ("shape", (1, 2, 3, 4, 5)),
        ("shape", (0, 2)),
        ("shape", (2.0,)),
        ("quantizer", SCALES),
    ],
)
def test_impossible_taps_are_refused(plan, field, value):
    with pytest.raises(InvalidInput):
        dataclasses.replace(plan["head"], **{field: value})


@pytest.mark.parametrize(
    "metadata",
    [{"skipped": 5}, {"skipped": [5]}, {"inputs": [3]}, {"inputs": [["3"]]}, {"inputs": [[-3]]}, {"inputs": {"x": []}}],
)
def test_metadata_that_is_used_is_checked(plan, metadata):
    with pytest.raises(InvalidInput):
        Plan(plan.taps, metadata)


def edit(plan: Plan, old: bytes, new: bytes) -> bytes:
    data = plan.to_bytes()
    assert old in data
    return data.replace(old, new, 1)


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        (b"fmapzip-plan", b"fmapzip-plam", InvalidPlan, "not a plan"),
        (b"plan %d" % _core.FORMAT_VERSION, b"plan 9", UnsupportedVersion, "version 9"),
        (b"\n\0", b"\n", InvalidPlan, "tables are"),
        (b'"taps":[', b'"taps":{', InvalidPlan, r"\$\.taps"),
        (b'"taps"', b'"tops"', InvalidPlan, "tops"),
        (b'"metadata":{', b'"metadata":[],"x":{', InvalidPlan, r"\$\.metadata"),
        (b'"note":"', b'"note":"","note":"', InvalidPlan, "repeated among .*'note'"),
        (b'"note":"', b'"note":1e999,"x":"', InvalidPlan, r"out of range - at `\$\.metadata"),
        (b'"note":"', b'"note":' + b"[" * 100_000 + b',"x":"', InvalidPlan, "JSON"),
        (b'"note":"', b'"note":' + b"9" * 5000 + b',"x":"', InvalidPlan, "JSON"),
        (b'"note":"', rb'"note":"\ud800', InvalidPlan, "JSON"),
        (b'"codec":"zvc"', b'"codec":"zvd"', UnknownCodec, "zvd"),
        (b'"codec":"zvc"', b'"codec":["zvc"]', InvalidPlan, r"\['zvc'\] - at `\$\.codecs\[0\]"),
        (b'"codec":"zvc"', b'"code":"zvc"', InvalidPlan, r"at `\$\.codecs\[0\]"),
        (b'"codec":"zvc"', b'"codec":"zvc","level":3', InvalidPlan, r"level.*\$\.codecs\[0\]"),
        (b'"codec":0,"', b'"codec":7,"', InvalidPlan, r"codec 7.*\$\.taps\[0\]\.codec"),
        (b'"codec":0,"', b'"codec":-1,"', InvalidPlan, r"\$\.taps\[0\]\.codec"),
        (b'"codec":0,"', b'"codec":true,"', InvalidPlan, r"\$\.taps\[0\]\.codec"),
        (b'"shape":[64,', b'"shape":[-4,', InvalidPlan, r"\$\.taps\[0\]\.shape\[0\]"),
        (b'"shape":[64,', b'"shape":["64",', InvalidPlan, r"\$\.taps\[0\]\.shape\[0\]"),
        (b'"shape":[64,', b'"shape":[1,1,64,', InvalidPlan, r"\$\.taps\[0\]\.shape"),
        (b'"dtype":"uint8"', b'"dtype":[]', InvalidPlan, r"\$\.taps\[0\]\.quantizer\.dtype"),
        (b'"scale":0.1', b'"scale":NaN', InvalidPlan, "malformed"),
        (b'"scale":0.1', b'"scale":null', InvalidPlan, r"\$\.taps\[0\]\.quantizer\.scale"),
        (b'"scale":0.1', b'"scale":' + b"9" * 400, InvalidPlan, r"\$\.taps\[0\]\.quantizer\.scale"),
        (b'"scale":0.1', b'"scale":1e-60', InvalidPlan, r"scales.*\$\.taps\[0\]\.quantizer"),
        (b'"scale":0.1', b'"scale":1e37', InvalidPlan, r"scales.*\$\.taps\[0\]\.quantizer"),
        (b'"scale":0.1', b'"scale":0.1,"scales":[0,4]', InvalidPlan, "either"),
        (b'"scale":0.1', b'"size":0.1', InvalidPlan, r"size.*\$\.taps\[0\]\.quantizer"),
        (b'"parameters":[12,', b'"parameters":[99999999999,', InvalidPlan, r"99999999999.*\$\.taps\[1\]\.parameters"),
        (b'"parameters":[12,', b'"parameters":[-1,', InvalidPlan, r"\$\.taps\[1\]\.parameters"),
        (b'"scales":[0,12]', b'"scales":[0,11]', InvalidPlan, "multiple of 4"),
        (b'"scales":[0,12]', b'"scales":[0,8]', InvalidPlan, r"2 scales for 3.*\$\.taps\[1\]"),
        (b"tables\0", b"tablet\0", InvalidPlan, "checksum"),
        (b'"name":"head"', b'"name":"stem.conv2"', InvalidPlan, "two taps"),
    ],
)
def test_each_kind_of_damage_has_its_error(plan, old, new, error, message):
    with pytest.raises(error, match=message):
        Plan.from_bytes(edit(plan, old, new))


def test_deep_nesting_is_an_error_and_no_crash():
    with pytest.raises(InvalidPlan):
        Plan.from_bytes(b"fmapzip-plan %d\n" % _core.FORMAT_VERSION + b"[" * 200_000 + b"\0")


@pytest.mark.parametrize(
    "settings",
    [
        '"step":true',
        '"step":null',
        '"step":"2"',
        '"step":' + "9" * 400,
        '"group":8.0',
        '"order":[0,"1"]',
        '"order":{}',
        '"steps":[1,1,1,1,1,1,1,"1"]',
        '"keep":true',
        '"zero_mask":1',
        '"path":[]',
        '"mask_step":[2]',
        '"threshold":"a"',
    ],
)
def test_settings_of_wrong_types_are_the_plans_error(plan, settings):
    data = edit(plan, b'"codec":"zvc"', b'"codec":"dct-cm",' + settings.encode())
    with pytest.raises(InvalidPlan, match=rf"{settings[1:5]}.*\$\.codecs\[0\]"):
        Plan.from_bytes(data)


@pytest.mark.parametrize("metadata", [{"x": "\ud800"}, {"x": float("inf")}, {"x": object()}])
def test_metadata_that_json_has_not_is_refused_when_written(plan, metadata):
    with pytest.raises(InvalidInput, match="JSON"):
        Plan(plan.taps, metadata).to_bytes()


def test_a_name_with_a_lone_surrogate_is_refused(plan):
    with pytest.raises(InvalidInput, match="surrogate"):
        dataclasses.replace(plan["head"], name="a\udc80")


def test_the_hash_is_that_of_the_file_as_it_is(plan):
    spaced = plan.to_bytes().replace(b'"taps":[', b'"taps": [')
    read = Plan.from_bytes(spaced)
    assert read.to_bytes() == spaced
    assert read.hash == hashlib.sha256(spaced).digest() != plan.hash


def test_hashing_is_linear_in_distinct_codecs(plan):
    """Each codec's settings become text once: ten times the taps, not a hundred times the comparisons."""
    codecs = [registry.make("dct-cm", path="mask", mask_step=1 + i / 100) for i in range(2000)]
    taps = tuple(dataclasses.replace(plan["head"], name=str(i), codec=codec) for i, codec in enumerate(codecs))
    compared = 0

    class Counted(dict[str, object]):
        __hash__ = None

        def __eq__(self, other):
            nonlocal compared
            compared += 1
            return dict.__eq__(self, other)

    with pytest.MonkeyPatch.context() as patch:
        config = type(codecs[0]).config
        patch.setattr(type(codecs[0]), "config", lambda self: Counted(config(self)))
        assert len(Plan.from_bytes(Plan(taps).to_bytes())) == 2000
    assert compared == 0


def test_every_truncation_is_an_error(plan):
    data = plan.to_bytes()
    for size in range(len(data)):
        with pytest.raises(FmapzipError):
            Plan.from_bytes(data[:size])


@given(st.data())
def test_flipped_bytes_give_a_valid_plan_or_a_typed_error(data):
    tap = TapPlan("head", (3,), SCALES, registry.make("zvc"), b"more")
    damaged = bytearray(Plan((tap,)).to_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(FmapzipError):
        Plan.from_bytes(bytes(damaged))


@pytest.mark.parametrize("other", [np.zeros((2, 3), np.int8), np.zeros((4,), np.int8), np.zeros((3,), np.uint8)])
def test_a_map_that_is_not_the_taps_is_not_encoded(other):
    plan = Plan((TapPlan("head", (3,), QuantParams("int8", (0.5,)), registry.make("zvc")),))
    with pytest.raises(PlanMismatch, match="the plan's tap 0 is"):
        fmapzip.encode(other, plan=plan)
    with pytest.raises(PlanMismatch, match="the plan's tap 0 is"):
        fmapzip.encode_batch(np.asarray(other)[None], plan=plan)


@pytest.mark.parametrize(
    ("shape", "dtype", "codec", "message"),
    [
        ((4,), np.int8, "zvc", "shape"),
        ((3, 1), np.int8, "zvc", "shape"),
        ((3,), np.uint8, "zvc", "type"),
        ((3,), np.int8, "raw", "codec"),
    ],
)
def test_a_frame_that_disagrees_with_its_plan_is_corrupt(shape, dtype, codec, message):
    plan = Plan((TapPlan("head", (3,), QuantParams("int8", (0.5,)), registry.make("zvc")),))
    frame = reference_encode(np.zeros(shape, dtype), registry.make(codec).number, plan=(plan.hash8, 0))
    with pytest.raises(CorruptFrame, match=f"{message} is not the plan's"):
        fmapzip.decode(frame, plan=plan)
    with pytest.raises(CorruptFrame, match=f"{message} is not the plan's"):
        fmapzip.decode_batch([frame], plan=plan)
    with pytest.raises(PlanMismatch if codec == "raw" else CorruptFrame):
        plan.bound(0).decode(frame)


def test_scales_of_the_frame_win_over_the_plans():
    plan = Plan((TapPlan("head", (3,), QuantParams("int8", (0.5,)), registry.make("zvc")),))
    frame = reference_encode(np.full(3, 2, np.int8), 2, scales=(4.0,), plan=(plan.hash8, 0))
    assert fmapzip.decode(frame, plan=plan, dequantize=True).tolist() == [8.0, 8.0, 8.0]
