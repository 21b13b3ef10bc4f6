"""Quantizers: the grid, its scales, and what calibrators do with real and hostile values."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fmapzip.errors import InvalidInput, InvalidType
from fmapzip.histogram import MagnitudeHistogram
from fmapzip.quantize import QuantParams, calibrate, make_observer

CALIBRATORS = ["minmax", "percentile:99.9", "mse", "minmax:channel", "percentile:99.9:channel", "mse:channel"]
floats = st.floats(-(2.0**100), 2.0**100, width=32)
batches = hnp.arrays(np.float32, st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 9)), elements=floats)


@given(batches, st.sampled_from(CALIBRATORS))
def test_every_map_gets_a_usable_scale_and_stays_on_its_grid(maps, calibrator):
    params = calibrate(maps, calibrator)
    q = params.quantize(maps, axis=1)
    lo, hi = params.limits
    assert q.dtype == params.dtype
    assert lo <= q.min()
    assert q.max() <= hi
    assert not q[maps == 0].any()
    assert len(params.scale) == (maps.shape[1] if calibrator.endswith("channel") else 1)


@given(batches)
def test_minmax_rounds_to_the_nearest_grid_point(maps):
    params = calibrate(maps)
    error = np.abs(params.dequantize(params.quantize(maps)).astype(np.float64) - maps)
    assert (error <= params.scale[0] * (0.5 + 1e-4)).all()


def test_maps_without_negative_values_are_unsigned_and_others_symmetric():
    unsigned = calibrate(np.array([[0.0, 5.1]], np.float32))
    signed = calibrate(np.array([[-12.7, 5.1]], np.float32))
    assert (unsigned.dtype, unsigned.limits, unsigned.scale) == ("uint8", (0, 255), (float(np.float32(5.1) / 255),))
    assert (signed.dtype, signed.limits, signed.scale) == ("int8", (-127, 127), (float(np.float32(12.7) / 127),))


@given(batches, st.sampled_from(["minmax:offset", "minmax:offset:channel"]))
def test_an_offset_grid_holds_every_value_to_half_a_step_and_zero_exactly(maps, calibrator):
    params = calibrate(maps, calibrator)
    q = params.quantize(maps, axis=1)
    error = np.abs(params.dequantize(q, axis=1).astype(np.float64) - maps).max(axis=(0, 2))
    assert (error <= np.array(params.scale) * (0.5 + 1e-4)).all()
    assert (q[maps == 0] == params.zero).all()


def test_an_offset_is_taken_where_it_is_finer():
    silu = np.array([[-0.28, 0.0, 50.0]], np.float32)
    assert calibrate(silu, "minmax:offset").zero_point == 16
    assert calibrate(silu, "minmax:offset").scale[0] < 0.6 * calibrate(silu).scale[0]
    assert calibrate(-silu, "minmax:offset").zero_point == 239
    even = np.array([[-5.0, 0.0, 5.1]], np.float32)
    assert calibrate(even, "minmax:offset").scale == calibrate(even).scale
    assert calibrate(np.abs(even), "minmax:offset").dtype == "uint8"
    assert calibrate(np.abs(even), "minmax:offset").zero_point is None


def test_negative_zero_does_not_make_a_map_signed():
    assert calibrate(np.array([[-0.0, 1.0]], np.float32)).dtype == "uint8"


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_an_all_zero_map_has_scale_one(calibrator):
    params = calibrate(np.zeros((2, 1, 3), np.float32), calibrator)
    assert (params.dtype, params.scale) == ("uint8", (1.0,))


def test_ties_round_to_even():
    params = QuantParams("int8", (1.0,))
    assert params.quantize(np.array([0.5, 1.5, 2.5, -0.5, -1.5, -2.5])).tolist() == [0, 2, 2, 0, -2, -2]


def test_values_beyond_the_grid_saturate():
    assert QuantParams("int8", (1e-30,)).quantize(np.array([3e38, -3e38, 1.0], np.float32)).tolist() == [127, -127, 127]
    assert QuantParams("uint8", (1.0,)).quantize(np.array([-5.0, 300.0], np.float32)).tolist() == [0, 255]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_a_number_and_infinity_are_refused_by_name(bad):
    values = np.array([[1.0, bad]], np.float32)
    with pytest.raises(InvalidInput, match=r"'layer1\.conv2': holds NaN or infinity"):
        QuantParams("int8", (1.0,)).quantize(values, name="layer1.conv2")
    for calibrator in CALIBRATORS:
        with pytest.raises(InvalidInput, match=r"'layer1\.conv2': holds NaN or infinity"):
            make_observer(calibrator, "layer1.conv2").update(values)


def test_integers_are_not_taken_for_floats():
    with pytest.raises(InvalidType, match="int64"):
        QuantParams("int8", (1.0,)).quantize(np.array([1, 2]))
    with pytest.raises(InvalidType, match="int64"):
        make_observer().update(np.array([[1, 2]]))
    with pytest.raises(InvalidType, match="uint8"):
        QuantParams("int8", (1.0,)).dequantize(np.array([1], np.uint8))


def test_half_and_double_precision_quantize_as_their_float32_values():
    values = np.linspace(-1, 1, 41, dtype=np.float16)
    params = calibrate(values[None])
    assert (params.quantize(values) == params.quantize(values.astype(np.float64))).all()


def test_each_channel_is_quantized_with_its_own_scale():
    params = QuantParams("uint8", (1.0, 0.5))
    one = np.array([[2.0, 3.0], [2.0, 3.0]], np.float32)
    assert params.quantize(one).tolist() == [[2, 3], [4, 6]]
    assert params.quantize(one[None], axis=1).tolist() == [[[2, 3], [4, 6]]]
    assert (params.dequantize(params.quantize(one)) == one).all()
    with pytest.raises(InvalidInput, match="2 scales do not fit"):
        params.quantize(np.zeros((3, 2), np.float32))


def test_memory_order_does_not_change_the_integers():
    x = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    params = calibrate(x[None])
    turned = np.ascontiguousarray(x.transpose(1, 2, 0)).transpose(2, 0, 1)
    assert (params.quantize(x) == params.quantize(turned)).all()


@given(batches, st.sampled_from(CALIBRATORS))
def test_json_round_trip_is_exact(maps, calibrator):
    params = calibrate(maps, calibrator)
    assert QuantParams.from_json(json.loads(json.dumps(params.to_json()))) == params


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"dtype": "uint8", "scale": [1.0]},
        {"dtype": "uint8", "scale": [1.0], "calibrator": "minmax", "offset": 3},
        {"dtype": "uint8", "scale": [1.0], "calibrator": "minmax", "zero_point": -1},
        {"dtype": "int8", "scale": [1.0], "calibrator": "minmax", "zero_point": 128},
        {"dtype": "uint8", "scale": [1.0], "calibrator": "minmax", "zero_point": 3.0},
        {"dtype": "uint8", "scale": [1.0], "calibrator": "minmax", "zero_point": True},
        {"dtype": "uint4", "scale": [1.0], "calibrator": "minmax"},
        {"dtype": "uint8", "scale": [], "calibrator": "minmax"},
        {"dtype": "uint8", "scale": [0.0], "calibrator": "minmax"},
        {"dtype": "uint8", "scale": [-1.0], "calibrator": "minmax"},
        {"dtype": "uint8", "scale": [1e39], "calibrator": "minmax"},
        {"dtype": "uint8", "scale": [float("nan")], "calibrator": "minmax"},
        {"dtype": "uint8", "scale": ["1"], "calibrator": "minmax"},
        {"dtype": "uint8", "scale": [True], "calibrator": "minmax"},
        {"dtype": "uint8", "scale": 1.0, "calibrator": "minmax"},
        {"dtype": "uint8", "scale": [1.0], "calibrator": 3},
    ],
)
def test_json_that_is_no_quantizer_is_refused(data):
    with pytest.raises((InvalidInput, InvalidType)):
        QuantParams.from_json(data)


@pytest.mark.parametrize(
    "calibrator",
    ["", "max", "minmax:9", "mse:offset", "mse:channels", "percentile", "percentile:0", "percentile:101"],
)
def test_unknown_calibrators_are_refused(calibrator):
    with pytest.raises(InvalidInput):
        make_observer(calibrator)


def test_an_observer_that_saw_nothing_has_no_scale():
    with pytest.raises(InvalidInput, match="saw no values"):
        make_observer("minmax", "conv2").finish()


@given(batches, st.sampled_from(CALIBRATORS), st.randoms(use_true_random=False))
def test_the_order_of_images_does_not_change_a_scale(maps, calibrator, random):
    forward, shuffled = make_observer(calibrator), make_observer(calibrator)
    order = list(range(len(maps)))
    random.shuffle(order)
    forward.update(maps)
    for i in order:
        shuffled.update(maps[i : i + 1])
    assert forward.finish() == shuffled.finish()


@given(hnp.arrays(np.float32, st.integers(1, 200), elements=st.floats(0, 2.0**66, width=32)))
def test_histogram_counts_do_not_depend_on_how_the_range_grew(values):
    at_once, one_by_one = MagnitudeHistogram(1, 64), MagnitudeHistogram(1, 64)
    at_once.add(0, values)
    for value in values:
        one_by_one.add(0, value.reshape(1))
    assert (at_once.counts == one_by_one.counts).all()
    assert at_once.counts.sum() == values.size
    assert (at_once.zeros == one_by_one.zeros).all()


@pytest.mark.parametrize("percent", [50.0, 99.0, 99.9, 100.0])
def test_percentile_matches_sorting_all_values(percent):
    values = np.abs(np.random.default_rng(1).normal(size=(4, 2, 5000))).astype(np.float32)
    reach = calibrate(values, f"percentile:{percent}").scale[0] * 255
    assert reach == pytest.approx(np.percentile(values, percent), rel=2e-3)


def test_a_percentile_of_zero_falls_back_to_the_largest_value():
    values = np.zeros((1, 1, 1000), np.float32)
    values[0, 0, 0] = 51.0
    assert calibrate(values, "percentile:90").scale[0] == pytest.approx(0.2)


def test_mse_clips_a_lone_outlier_and_beats_minmax():
    values = np.random.default_rng(2).normal(size=(1, 1, 20000)).astype(np.float32)
    values[0, 0, 0] = 60.0

    def squared_error(calibrator: str) -> float:
        params = calibrate(values, calibrator)
        return float(np.square(params.dequantize(params.quantize(values)) - values).sum())

    assert squared_error("mse") < squared_error("minmax")
    assert calibrate(values, "mse").scale[0] < calibrate(values, "minmax").scale[0]


@pytest.mark.parametrize("calibrator", ["minmax", "mse", "percentile:99", "minmax:channel"])
@pytest.mark.parametrize("low", [-1.0, 0.0])
def test_the_largest_floats_give_a_scale_whose_values_are_finite(calibrator, low):
    largest = float(np.finfo(np.float32).max)
    quantizer = calibrate(np.array([[low * largest, largest]], np.float32), calibrator)
    every = np.arange(256).astype(np.uint8).view(quantizer.dtype)
    for scale in quantizer.scale:
        assert np.isfinite(QuantParams(quantizer.dtype, (scale,)).dequantize(every)).all()


def test_a_scale_that_overflows_is_refused():
    with pytest.raises(InvalidInput, match="scales lie between"):
        QuantParams("int8", (2.0**121,))


ZERO_POINTS = [("uint8", 0), ("uint8", 7), ("uint8", 255), ("int8", -128), ("int8", 0), ("int8", 127)]


@pytest.mark.parametrize(("dtype", "zero_point"), ZERO_POINTS)
def test_a_zero_point_stands_for_zero_and_every_integer_of_the_type_comes_back(dtype, zero_point):
    params = QuantParams(dtype, (0.37,), "network", zero_point)
    every = np.arange(256).astype(np.uint8).view(dtype)
    values = params.dequantize(every)
    assert values[every == zero_point].tolist() == [0.0]
    assert (params.quantize(values) == every).all()
    assert params.quantize(np.array([-1e30, 1e30], np.float32)).tolist() == [*params.limits]
    assert params.limits == ((0, 255) if dtype == "uint8" else (-128, 127))
    assert QuantParams.from_json(json.loads(json.dumps(params.to_json()))) == params


def test_without_a_zero_point_int8_leaves_out_its_lowest_integer():
    assert QuantParams("int8", (1.0,)).limits == (-127, 127)
    assert "zero_point" not in QuantParams("int8", (1.0,)).to_json()
