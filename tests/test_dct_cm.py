"""What is particular to dct-cm: its settings, its training, and what it promises about errors."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import fmapzip
from fmapzip import registry
from fmapzip.codecs.dct_cm import DctCm
from fmapzip.codecs.dct_cm_training import correlation_order, trained_points, uniform_points
from fmapzip.errors import FrameError, InvalidInput
from fmapzip.frame import parse
from fmapzip.reference import encode as reference_encode
from strategies import make_map, maps

GROUPS = st.sampled_from([4, 8, 16, 32])


def decoded(q: NDArray[Any], **choice: Any) -> NDArray[Any]:
    return fmapzip.decode(fmapzip.encode(q, "dct-cm", **choice))


def squared_error(q: NDArray[Any], **choice: Any) -> float:
    return float(((decoded(q, **choice).astype(float) - q) ** 2).mean())


def related_channels(seed: int = 0) -> NDArray[np.uint8]:
    """Four families of eight channels each, shuffled: order matters."""
    rng = np.random.default_rng(seed)
    families = rng.integers(20, 230, (4, 1, 20, 20))
    channels = np.clip(families + rng.normal(0, 3, (4, 8, 20, 20)), 1, 255).reshape(32, 20, 20)
    return channels[rng.permutation(32)].astype(np.uint8)


@given(q=maps())
@settings(max_examples=40)
def test_the_mask_path_at_step_one_is_lossless(q: NDArray[Any]) -> None:
    assert np.array_equal(decoded(q, path="mask"), q)


@given(q=maps(), step=st.floats(1.1, 40))
@settings(max_examples=60)
def test_zeros_stay_zeros_and_errors_stay_within_the_step_on_the_mask_path(q: NDArray[Any], step: float) -> None:
    out = decoded(q, path="mask", mask_step=step, points="centred").astype(int)
    assert (out[q == 0] == 0).all()
    assert abs(out - q).max() <= step / 2 + 1


@given(q=maps(), group=GROUPS, step=st.floats(0.5, 12))
@settings(max_examples=60)
def test_the_squared_error_of_a_transform_is_that_of_its_quantizer(q: NDArray[Any], group: int, step: float) -> None:
    # Orthonormal: at most a quarter of the step squared for each coefficient, and the rounding to integers. A
    # padded last group spreads the error of its whole length over fewer channels.
    padding = 32 / min(q.shape[0], 32)
    assert squared_error(q, path="transform", group=group, step=step) <= padding * (step / 2 + 1) ** 2


@given(q=maps(), group=GROUPS)
@settings(max_examples=40)
def test_a_zero_mask_keeps_zeros_and_signs_of_life(q: NDArray[Any], group: int) -> None:
    out = decoded(q, path="transform", group=group, step=8, zero_mask=True)
    assert (out[q == 0] == 0).all()
    if q.dtype == np.uint8:
        assert (out[q != 0] != 0).all()


def test_fewer_frequencies_and_larger_steps_cost_fewer_bytes_and_more_error() -> None:
    q = related_channels()
    base = {"path": "transform", "step": 4}
    for coarser in ({"keep": 4}, {"keep": (0, 1, 7)}, {"slope": 4}, {"step": 16}, {"steps": (4,) * 4 + (40,) * 4}):
        choice = {**base, **coarser}
        if "steps" in choice:
            del choice["step"]
        assert len(fmapzip.encode(q, "dct-cm", **choice)) < len(fmapzip.encode(q, "dct-cm", **base))
        assert squared_error(q, **choice) > squared_error(q, **base)


def test_an_order_by_correlation_saves_bytes() -> None:
    q = related_channels()
    natural, ordered = (len(fmapzip.encode(q, "dct-cm", path="transform", step=4, order=o)) for o in ORDERS)
    assert ordered < 0.8 * natural


ORDERS = ("natural", "correlation")


def test_an_order_by_correlation_finds_the_families() -> None:
    q = related_channels()
    order = correlation_order(q[None], 8)
    rows = q.reshape(32, -1).astype(float)
    for group in np.reshape(order, (4, 8)):
        similarity = np.corrcoef(rows[group])
        assert similarity.min() > 0.9


def test_a_given_order_is_used_and_checked() -> None:
    q = related_channels()
    order = correlation_order(q[None], 8)
    by_name = fmapzip.encode(q, "dct-cm", path="transform", order="correlation")
    assert fmapzip.encode(q, "dct-cm", path="transform", order=order) == by_name
    with pytest.raises(InvalidInput, match="permutation of 32 channels"):
        fmapzip.encode(q[:30], "dct-cm", path="transform", order=order)


@pytest.mark.parametrize("channels", [1, 3, 4, 5, 8, 9, 12, 13, 31, 32, 33, 37, 63])
@pytest.mark.parametrize("zero_mask", [False, True])
def test_any_channel_count_has_a_last_group(channels: int, zero_mask: bool) -> None:
    q = make_map((channels, 5, 7), "smooth", np.int8, channels)
    codec = registry.make("dct-cm", path="transform", group=32, step=2, zero_mask=zero_mask)
    frame = fmapzip.encode(q, codec)
    assert frame == reference_encode(q, 3, codec.parameters(q))
    assert abs(fmapzip.decode(frame).astype(int) - q).max() <= 8


def test_the_path_follows_the_share_of_zeros() -> None:
    dense = make_map((16, 9, 9), "noise", np.uint8, 0) | np.uint8(1)
    codec = DctCm()
    assert codec.path_taken(codec.parameters(dense)) == "transform"
    assert codec.path_taken(codec.parameters(dense * (dense > 60))) == "mask"
    always = DctCm(path="transform")
    assert always.path_taken(always.parameters(dense * 0)) == "transform"


@given(q=maps(), group=GROUPS, zero_mask=st.booleans())
@settings(max_examples=25, deadline=None)
def test_the_coding_does_not_change_what_is_decoded(q: NDArray[Any], group: int, zero_mask: bool) -> None:
    choice = {"path": "transform", "group": group, "step": 2, "zero_mask": zero_mask}
    coded = {coding: fmapzip.encode(q, "dct-cm", coding=coding, **choice) for coding in ("bitmap", "rans")}
    if all(len(frame) < q.size for frame in coded.values()):
        assert np.array_equal(*map(fmapzip.decode, coded.values()))


@pytest.mark.parametrize("kind", ["sparse", "smooth"])
@pytest.mark.parametrize("choice", [{"path": "mask", "mask_step": 2}, {"path": "transform", "step": 3}])
def test_entropy_coding_is_smaller_than_bitmaps(kind: str, choice: dict[str, Any]) -> None:
    q = make_map((64, 24, 24), kind, np.uint8, 7)
    sizes = [len(fmapzip.encode(q, "dct-cm", coding=coding, **choice)) for coding in ("bitmap", "rans")]
    assert sizes[1] < sizes[0]


def test_coefficients_beyond_eight_bits_survive_entropy_coding() -> None:
    q = np.full((16, 10, 10), 255, np.uint8)
    q[:, ::2] -= np.arange(16, dtype=np.uint8)[:, None, None]
    for group in (4, 8, 16):
        choice = {"path": "transform", "group": group, "step": 0.5, "order": "natural"}
        assert abs(decoded(q, coding="rans", **choice).astype(int) - q).max() <= 1


def test_points_for_a_plan_do_not_drift() -> None:
    rng = np.random.default_rng(1)
    values = np.minimum(rng.geometric(0.08, (4, 16, 20, 20)) - 1, 255).astype(np.uint8)
    for step in (1.5, 2.5, 3.5):
        error = {}
        for points in ("trained", "centred"):
            codec = DctCm(path="mask", mask_step=step, points=points)
            out = fmapzip.decode(fmapzip.encode(values[0], codec))
            error[points] = abs(float((out.astype(float) - values[0]).mean()))
        assert error["trained"] <= error["centred"] + 1e-9
        assert error["trained"] < 0.2


def test_uniform_points_are_symmetric_multiples() -> None:
    assert uniform_points(3, 0)[:4].tolist() == [0, 3, 6, 9]
    signed = uniform_points(2.5, 128)
    assert np.array_equal(signed, -signed[::-1])
    assert trained_points(np.zeros((1, 2, 3), np.uint8), 0, 4)[0] == 0


@pytest.mark.parametrize("coding", ["bitmap", "rans"])
@pytest.mark.parametrize("choice", [{"path": "mask"}, {"path": "transform", "group": 16, "zero_mask": True, "step": 4}])
@pytest.mark.parametrize("shape", [(37, 12, 13), (300,)])
def test_every_byte_of_a_tile_has_a_section(shape: tuple[int, ...], choice: dict[str, Any], coding: str) -> None:
    q = make_map(shape, "sparse", np.uint8, 2)
    codec = registry.make("dct-cm", coding=coding, **choice)
    frame = parse(fmapzip.encode(q, codec))
    for tile, length in enumerate(frame.tile_lengths):
        if length < q.size:
            found = codec.sections(frame.body(tile), (*q.shape, 1, 1)[:3], frame.parameters)
            assert sum(found.values()) == length
            assert min(found.values()) >= 0


def test_sections_tell_masks_bitmaps_and_values_apart() -> None:
    q = make_map((8, 8, 8), "sparse", np.uint8, 2)
    codec = DctCm(path="transform", step=4, zero_mask=True, order="natural")
    frame = parse(fmapzip.encode(q, codec))
    assert len(frame.tile_lengths) == 1
    found = codec.sections(frame.body(0), q.shape, codec.parameters(q))
    assert set(found) == {"zero mask", "headers", "bitmaps", "values"}
    assert found["zero mask"] == 8 * (2 + 64) // 8
    assert found["headers"] == 8


def test_training_is_deterministic() -> None:
    q = related_channels(3)[None]
    for choice in ({"path": "transform"}, {"path": "mask", "mask_step": 3}):
        codec = DctCm(**choice)
        assert codec.train(q) == codec.train(q.copy())


def test_the_default_stands_for_a_small_grid_with_a_lossless_member() -> None:
    members = DctCm().candidates()
    assert 2 <= len(members) <= 6
    assert any(member.lossless for member in members)
    assert DctCm(path="mask").candidates() == (DctCm(path="mask"),)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"path": "wavelet"}, "auto, transform, mask"),
        ({"group": 12}, "4, 8, 16, 32"),
        ({"coding": "huffman"}, "coding is one of"),
        ({"points": "random"}, "trained, centred"),
        ({"order": "alphabetical"}, "natural, correlation"),
        ({"order": (0, 0, 1)}, "permutation"),
        ({"step": 0}, "positive"),
        ({"step": float("nan")}, "positive"),
        ({"step": 1e6}, "lie between"),
        ({"steps": (1.0,) * 7}, "8 numbers"),
        ({"keep": 0}, "keep"),
        ({"keep": (3, 8)}, "keep"),
        ({"mask_step": 0.5}, "mask_step"),
        ({"threshold": 2}, "threshold"),
        ({"size": 3}, "its settings"),
    ],
)
def test_a_bad_setting_is_refused_with_what_exists(choice: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        fmapzip.encode(related_channels(), "dct-cm", **{"path": "transform", **choice})


@pytest.mark.parametrize(
    "parameters",
    [
        b"",
        b"\x20",
        b"\x10",
        b"\x10\x00",
        b"\x10\x05\x00",
        b"\x10\x80\x00",
        b"\x11\x00" + b"\x10\x00" * 4,
        b"\x00\x00",
        b"\x02",
        b"\x08" + bytes(31),
        b"\x08" + bytes(32),
        b"\x01",
        b"\x01\x00",
        b"\x01\x00" + bytes(8),
        b"\x01\x00" + b"\x03\x00" * 4,
        b"\x01\x00" + b"\x01\x20" * 4,
        b"\x01\x00" + b"\x10\x00" * 4 + b"\x00",
        b"\x01\x04" + b"\x10\x00" * 8,
        b"\x01\x20" + b"\x10\x00" * 4,
        b"\x05\x00" + b"\x10\x00" * 4,
        b"\x05\x00" + b"\x10\x00" * 4 + b"\x00\x00\x00\x00",
        b"\x05\x00" + b"\x10\x00" * 4 + b"\x00\x00\x05\x00",
        b"\x09\x00" + b"\x10\x00" * 4,
    ],
    ids=bytes.hex,
)
def test_parameters_that_no_encoder_writes_are_refused(parameters: bytes) -> None:
    with pytest.raises(FrameError):
        fmapzip._core.Codec(3, parameters)


@pytest.mark.parametrize("shape", [(25088, 4, 4), (70000, 4, 4)])
def test_ordering_very_many_channels_is_bounded_in_memory(shape: tuple[int, int, int]) -> None:
    """All pairs of 25088 channels would be 5 GB: above the limit their order is the natural one."""
    q = np.random.default_rng(0).integers(1, 5, shape).astype(np.uint8)
    natural = fmapzip.encode(q, "dct-cm", path="transform", order="natural", step=4)
    tracemalloc.start()
    assert fmapzip.encode(q, "dct-cm", path="transform", order="correlation", step=4) == natural
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 * q.size
    assert correlation_order(q[None, :5000], 8) == tuple(range(5000))
