"""Each operator on a small graph: the import computes what ONNX Runtime computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper

from fmapzip.onnx import load_onnx
from fmapzip.onnx.registry import operators

RNG = np.random.default_rng(0)
X = ("float32", ["n", 4, 6, 5])


def floats(*shape: int) -> Any:
    return RNG.standard_normal(shape).astype(np.float32)


def i64(*values: int) -> Any:
    return np.array(values, np.int64)


# fmt: off
UNARY = [
    "Abs", "Acosh", "Asinh", "Atan", "Ceil", "Cos", "Cosh", "Elu", "Celu", "Selu", "Erf", "Exp", "Floor",
    "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Mish", "Neg", "Reciprocal", "Relu", "Round", "Shrink",
    "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Tan", "Tanh", "ThresholdedRelu", "IsNaN", "IsInf",
    "Dropout", "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool", "LpNormalization", "MeanVarianceNormalization",
    "Softmax", "LogSoftmax", "Flatten", "Transpose", "ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceMax",
    "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare",
]
# fmt: on
OF_POSITIVE = ["Acos", "Acosh", "Asin", "Atanh", "Log", "Sqrt", "ReduceLogSum", "Abs"]
NEWER = {"Mish": 18, "HardSwish": 14, "Celu": 12, "Gelu": 20, "Swish": 24}

# name, operator, attributes, extra constant inputs, opset
CASES: list[tuple[str, str, dict[str, Any], list[Any], int]] = [
    *((op, op, {}, [], NEWER.get(op, 17)) for op in UNARY),
    *((f"{op}_9", op, {}, [], 9) for op in UNARY if op not in NEWER and op not in ("Round", "IsInf")),
    ("conv", "Conv", {"pads": [1, 1, 1, 1]}, [floats(6, 4, 3, 3), floats(6)], 17),
    ("conv_asymmetric", "Conv", {"pads": [0, 1, 2, 0], "strides": [2, 1]}, [floats(6, 4, 3, 2)], 17),
    ("conv_groups", "Conv", {"group": 2, "dilations": [2, 1]}, [floats(4, 2, 2, 2), floats(4)], 9),
    ("conv_depthwise", "Conv", {"group": 4, "pads": [1, 1, 1, 1]}, [floats(4, 1, 3, 3)], 11),
    ("conv_same_upper", "Conv", {"auto_pad": "SAME_UPPER", "strides": [2, 2]}, [floats(3, 4, 3, 2)], 17),
    ("conv_same_lower", "Conv", {"auto_pad": "SAME_LOWER", "strides": [2, 3]}, [floats(3, 4, 2, 4)], 17),
    ("conv_valid", "Conv", {"auto_pad": "VALID"}, [floats(3, 4, 2, 2)], 17),
    ("deconv", "ConvTranspose", {"strides": [2, 2], "pads": [1, 1, 1, 1]}, [floats(4, 3, 3, 3), floats(3)], 17),
    ("deconv_extra", "ConvTranspose", {"strides": [2, 3], "output_padding": [1, 2]}, [floats(4, 2, 2, 2)], 11),
    ("deconv_groups", "ConvTranspose", {"group": 2, "pads": [0, 1, 1, 0]}, [floats(4, 2, 3, 3)], 11),
    ("deconv_dilated", "ConvTranspose", {"dilations": [2, 2]}, [floats(4, 2, 3, 3)], 11),
    ("deconv_sized", "ConvTranspose", {"strides": [2, 2], "output_shape": [12, 10]}, [floats(4, 2, 3, 3)], 11),
    ("deconv_same", "ConvTranspose", {"strides": [2, 2], "auto_pad": "SAME_UPPER"}, [floats(4, 2, 3, 3)], 11),
    ("max_pool", "MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}, [], 9),
    ("max_pool_ceil", "MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}, [], 12),
    ("max_pool_ceil_2", "MaxPool", {"kernel_shape": [2, 2], "strides": [3, 3], "ceil_mode": 1}, [], 12),
    ("max_pool_asymmetric", "MaxPool", {"kernel_shape": [2, 3], "pads": [0, 1, 1, 2]}, [], 17),
    ("max_pool_dilated", "MaxPool", {"kernel_shape": [2, 2], "dilations": [2, 3]}, [], 17),
    ("max_pool_same", "MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2], "auto_pad": "SAME_UPPER"}, [], 17),
    ("average_pool", "AveragePool", {"kernel_shape": [3, 2], "strides": [2, 1]}, [], 9),
    ("average_pool_pads", "AveragePool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}, [], 17),
    (
        "average_pool_count",
        "AveragePool",
        {"kernel_shape": [3, 3], "pads": [1, 0, 1, 1], "count_include_pad": 1},
        [],
        17,
    ),
    ("average_pool_ceil", "AveragePool", {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}, [], 17),
    ("average_pool_dilated", "AveragePool", {"kernel_shape": [2, 2], "dilations": [2, 2]}, [], 19),
    ("lp_pool", "LpPool", {"kernel_shape": [2, 2], "p": 2, "strides": [2, 2]}, [], 17),
    ("gemm_free", "MatMul", {}, [floats(5, 7)], 17),
    ("matmul_stack", "MatMul", {}, [floats(4, 5, 3)], 9),
    ("prelu", "PRelu", {}, [floats(4, 1, 1)], 17),
    ("clip", "Clip", {}, [np.float32(-0.5), np.float32(0.5)], 17),
    ("clip_low", "Clip", {}, [np.float32(-0.5)], 12),
    ("clip_6", "Clip", {}, [np.float32(0), np.float32(6)], 17),
    ("clip_10", "Clip", {"min": -0.5, "max": 0.5}, [], 10),
    ("clip_none", "Clip", {"max": 0.25}, [], 9),
    ("gelu", "Gelu", {}, [], 20),
    ("gelu_tanh", "Gelu", {"approximate": "tanh"}, [], 20),
    ("swish", "Swish", {"alpha": 1.5}, [], 24),
    ("leaky", "LeakyRelu", {"alpha": 0.3}, [], 17),
    ("batch_norm", "BatchNormalization", {}, [floats(4), floats(4), floats(4), floats(4) ** 2 + 0.1], 15),
    ("batch_norm_9", "BatchNormalization", {}, [floats(4), floats(4), floats(4), floats(4) ** 2 + 0.1], 9),
    ("instance_norm", "InstanceNormalization", {}, [floats(4), floats(4)], 17),
    ("layer_norm", "LayerNormalization", {}, [floats(5), floats(5)], 17),
    ("layer_norm_axis", "LayerNormalization", {"axis": 2}, [floats(6, 5)], 17),
    ("group_norm_21", "GroupNormalization", {"num_groups": 2}, [floats(4), floats(4)], 21),
    ("rms_norm", "RMSNormalization", {}, [floats(5)], 23),
    ("lrn", "LRN", {"size": 3, "alpha": 0.1}, [], 17),
    ("lrn_bias", "LRN", {"size": 5, "alpha": 0.1, "bias": 2.0}, [], 9),
    ("lp_norm_1", "LpNormalization", {"p": 1, "axis": 1}, [], 17),
    ("softmax_axis", "Softmax", {"axis": 1}, [], 13),
    ("softmax_old", "Softmax", {"axis": 2}, [], 11),
    ("reshape", "Reshape", {}, [i64(0, -1, 5)], 17),
    ("reshape_9", "Reshape", {}, [i64(-1, 120)], 9),
    ("flatten_2", "Flatten", {"axis": 2}, [], 17),
    ("flatten_0", "Flatten", {"axis": 0}, [], 17),
    ("flatten_last", "Flatten", {"axis": -1}, [], 13),
    ("transpose", "Transpose", {"perm": [0, 2, 3, 1]}, [], 17),
    ("unsqueeze", "Unsqueeze", {}, [i64(0, -1)], 17),
    ("unsqueeze_9", "Unsqueeze", {"axes": [1]}, [], 9),
    ("squeeze", "Squeeze", {}, [i64(0)], 17),
    ("squeeze_9", "Squeeze", {"axes": [0]}, [], 9),
    ("slice", "Slice", {}, [i64(1, -4), i64(2**63 - 1, -1), i64(2, 3)], 17),
    ("slice_steps", "Slice", {}, [i64(0, -1), i64(6, -(2**63)), i64(2, 3), i64(2, -2)], 17),
    ("slice_all", "Slice", {}, [i64(0, 1), i64(1, 3)], 11),
    ("slice_9", "Slice", {"starts": [1], "ends": [9], "axes": [2]}, [], 9),
    ("expand", "Expand", {}, [i64(2, 1, 4, 1, 1)], 17),
    ("tile", "Tile", {}, [i64(1, 2, 1, 3)], 17),
    ("pad", "Pad", {}, [i64(0, 1, 2, 0, 0, 0, 1, 2), np.float32(1.5)], 17),
    ("pad_axes", "Pad", {"mode": "reflect"}, [i64(1, 2, 2, 1), np.float32(0), i64(2, 3)], 18),
    ("pad_edge", "Pad", {"mode": "edge"}, [i64(0, 1, 2, 0, 0, 0, 1, 2)], 13),
    ("pad_wrap", "Pad", {"mode": "wrap"}, [i64(0, 0, 2, 1, 0, 0, 1, 2)], 19),
    ("pad_cut", "Pad", {}, [i64(0, 0, -1, 0, 0, 0, -2, 1)], 13),
    ("pad_9", "Pad", {"pads": [0, 0, 1, 1, 0, 0, 2, 2], "value": -1.0}, [], 9),
    ("pad_reflect_9", "Pad", {"mode": "reflect", "pads": [0, 0, 1, 1, 0, 0, 2, 2]}, [], 9),
    ("space", "SpaceToDepth", {"blocksize": 1}, [], 13),
    ("gather", "Gather", {"axis": 1}, [i64(0, -1, 2)], 17),
    ("gather_matrix", "Gather", {"axis": 2}, [np.array([[0, 5], [3, -6]], np.int64)], 17),
    ("gather_scalar", "Gather", {"axis": 3}, [np.array(2, np.int64)], 9),
    ("gather_nd", "GatherND", {}, [np.array([[0, 1], [0, 3]], np.int64)], 17),
    ("gather_elements", "GatherElements", {"axis": 1}, [np.array([[[[3, 1], [0, -1]]]], np.int64)], 17),
    ("scatter", "ScatterElements", {"axis": 3}, [np.array([[[[3, 1]]]], np.int64), floats(1, 1, 1, 2)], 17),
    (
        "scatter_add",
        "ScatterElements",
        {"axis": 3, "reduction": "add"},
        [np.array([[[[3, 3]]]], np.int64), floats(1, 1, 1, 2)],
        18,
    ),
    ("scatter_nd", "ScatterND", {}, [np.array([[0, 1]], np.int64), floats(1, 6, 5)], 17),
    ("arg_max", "ArgMax", {"axis": 1}, [], 17),
    ("arg_min", "ArgMin", {"axis": -1, "keepdims": 0}, [], 9),
    ("arg_max_last", "ArgMax", {"axis": 2, "select_last_index": 1}, [], 13),
    ("cumsum", "CumSum", {}, [np.array(2, np.int64)], 17),
    ("cumsum_turned", "CumSum", {"exclusive": 1, "reverse": 1}, [np.array(3, np.int64)], 17),
    ("trilu", "Trilu", {"upper": 0}, [np.array(1, np.int64)], 17),
    ("reduce_mean_axes", "ReduceMean", {"axes": [2, 3], "keepdims": 0}, [], 9),
    ("reduce_mean_18", "ReduceMean", {"keepdims": 1}, [i64(-1)], 18),
    ("reduce_sum_13", "ReduceSum", {"keepdims": 0}, [i64(1, 2)], 13),
    ("reduce_prod_axes", "ReduceProd", {"axes": [1, 3]}, [], 17),
    ("reduce_max_18", "ReduceMax", {}, [i64(1)], 18),
    ("upsample", "Upsample", {"mode": "nearest"}, [np.float32([1, 1, 2, 3])], 9),
    ("upsample_linear", "Upsample", {"mode": "linear"}, [np.float32([1, 1, 2, 2])], 9),
    ("resize_10", "Resize", {"mode": "nearest"}, [np.float32([1, 1, 2, 0.6])], 10),
    ("cast", "Cast", {"to": TensorProto.INT32}, [], 17),
    ("where", "Where", {}, [floats(4, 1, 1), floats(5)], 17),
    ("einsum", "Einsum", {"equation": "nchw,cd->nhwd"}, [floats(4, 3)], 17),
    ("grid_sample", "GridSample", {}, [floats(1, 3, 2, 2)], 16),
    ("grid_sample_near", "GridSample", {"mode": "nearest", "padding_mode": "border"}, [floats(1, 3, 2, 2)], 20),
    ("shape", "Shape", {}, [], 17),
    ("shape_part", "Shape", {"start": 1, "end": -1}, [], 15),
    ("size", "Size", {}, [], 17),
    *(
        (f"{op}_{opset}", op, {}, [floats(4, 1, 5)], opset)
        for op in ["Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Mean", "Greater", "Less"]
        for opset in (9, 17)
    ),
    *((op, op, {}, [floats(4, 1, 5)], 17) for op in ("Equal", "GreaterOrEqual", "LessOrEqual")),
    ("mod", "Mod", {"fmod": 1}, [np.float32(0.3)], 17),
    ("pow", "Pow", {}, [np.float32(3)], 17),
]


@pytest.mark.parametrize(("name", "op", "attributes", "extra", "opset"), CASES, ids=[case[0] for case in CASES])
def test_the_import_of_an_operator_agrees_with_onnx_runtime(
    write: Any, name: str, op: str, attributes: dict[str, Any], extra: list[Any], opset: int
) -> None:
    constants = {f"c{i}": value for i, value in enumerate(extra)}
    nodes = [helper.make_node(op, ["x", *constants], ["y"], "node", **attributes)]
    if op == "Where":
        nodes = [
            helper.make_node("Greater", ["x", "zero"], ["b"]),
            helper.make_node("Where", ["b", "c0", "c1"], ["y"]),
        ]
        constants["zero"] = np.float32(0)
    (found,) = load_onnx(write(nodes, {"x": X}, ["y"], constants, opset)).meta["onnx"]
    assert found.difference <= 1e-5 * max(1, found.magnitude)


@pytest.mark.parametrize("op", OF_POSITIVE)
def test_functions_of_positive_numbers_agree(write: Any, op: str) -> None:
    nodes = [
        helper.make_node("Sigmoid", ["x"], ["s"]),
        helper.make_node("Add", ["s", "one"], ["t"]) if op == "Acosh" else helper.make_node("Identity", ["s"], ["t"]),
        helper.make_node(op, ["t"], ["y"]),
    ]
    load_onnx(write(nodes, {"x": X}, ["y"], {"one": np.float32(1)}))


POSITIONS = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric")


@pytest.mark.parametrize("sizes", [(12, 10), (3, 2), (1, 7), (13, 4)])
@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_resize_agrees_for_sizes(write: Any, mode: str, position: str, sizes: tuple[int, int]) -> None:
    opset = 19 if position == "half_pixel_symmetric" else 13
    node = helper.make_node("Resize", ["x", "", "", "s"], ["y"], mode=mode, coordinate_transformation_mode=position)
    load_onnx(write([node], {"x": X}, ["y"], {"s": i64(1, 4, *sizes)}, opset))


@pytest.mark.parametrize("nearest", ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
@pytest.mark.parametrize("scales", [(2, 2), (0.5, 1.7), (3, 0.34)])
@pytest.mark.parametrize("opset", [11, 18])
def test_resize_agrees_for_scales_and_every_rounding(
    write: Any, nearest: str, scales: tuple[float, float], opset: int
) -> None:
    node = helper.make_node("Resize", ["x", "roi", "s"], ["y"], mode="nearest", nearest_mode=nearest)
    constants = {"s": np.float32([1, 1, *scales]), "roi": np.zeros(0, np.float32)}
    load_onnx(write([node], {"x": X}, ["y"], constants, opset))


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_resize_agrees_for_scales_of_some_axes(write: Any, mode: str) -> None:
    node = helper.make_node("Resize", ["x", "", "s"], ["y"], mode=mode, axes=[2, 3])
    load_onnx(write([node], {"x": X}, ["y"], {"s": np.float32([1.3, 2.6])}, 18))


def test_cubic_resize_without_what_is_outside_agrees(write: Any) -> None:
    node = helper.make_node("Resize", ["x", "", "s"], ["y"], mode="cubic", exclude_outside=1, cubic_coeff_a=-0.5)
    load_onnx(write([node], {"x": X}, ["y"], {"s": np.float32([1, 1, 1.5, 2])}, 13))


@pytest.mark.parametrize("policy", ["not_larger", "not_smaller"])
def test_resize_that_keeps_the_aspect_ratio_agrees(write: Any, policy: str) -> None:
    node = helper.make_node("Resize", ["x", "", "", "s"], ["y"], axes=[2, 3], keep_aspect_ratio_policy=policy)
    load_onnx(write([node], {"x": X}, ["y"], {"s": i64(9, 11)}, 18))


@pytest.mark.parametrize("rank", [1, 3])
@pytest.mark.parametrize("op", ["Conv", "ConvTranspose", "MaxPool", "AveragePool", "InstanceNormalization"])
def test_one_and_three_spatial_axes_agree(write: Any, op: str, rank: int) -> None:
    x = ("float32", [1, 4, *[6] * rank])
    constants = {"w": floats(4, 4, *[3] * rank)} if op.startswith("Conv") else {}
    if op == "InstanceNormalization":
        constants = {"s": floats(4), "b": floats(4)}
    attributes = {"kernel_shape": [3] * rank, "pads": [1] * 2 * rank} if "Pool" in op else {}
    load_onnx(write([helper.make_node(op, ["x", *constants], ["y"], **attributes)], {"x": x}, ["y"], constants))


@pytest.mark.parametrize("attributes", [{}, {"transB": 1}, {"alpha": 0.5, "beta": 2.0}, {"transA": 1}])
@pytest.mark.parametrize("bias", [None, (7,), (1, 7), (1,), (2, 1), ()])
@pytest.mark.parametrize("constant", [True, False])
def test_gemm_agrees(write: Any, attributes: dict[str, Any], bias: Any, constant: bool) -> None:
    a = [2, 5] if "transA" not in attributes else [5, 2]
    b = [5, 7] if "transB" not in attributes else [7, 5]
    constants = {"b": floats(*b)} if constant else {}
    inputs = {"a": ("float32", a)} | ({} if constant else {"b": ("float32", b)})
    names = ["a", "b"]
    if bias is not None:
        constants["c"] = floats(*bias)
        names.append("c")
    load_onnx(write([helper.make_node("Gemm", names, ["y"], **attributes)], inputs, ["y"], constants))


@pytest.mark.parametrize("opset", [9, 11, 13, 18])
def test_split_agrees(write: Any, opset: int) -> None:
    given = {"split": [1, 3]} if opset < 13 else {}
    constants = {} if opset < 13 else {"s": i64(1, 3)}
    nodes = [
        helper.make_node("Split", ["x", *constants], ["a", "b"], axis=1, **given),
        helper.make_node("Split", ["b"], ["c", "d"], axis=2, **({"num_outputs": 2} if opset >= 18 else {})),
        helper.make_node("Concat", ["d", "c"], ["y"], axis=2),
    ]
    load_onnx(write(nodes, {"x": X}, ["a", "y"], constants, opset))


@pytest.mark.parametrize("op", ["SpaceToDepth", "DepthToSpace"])
@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_blocks_to_channels_and_back_agree(write: Any, op: str, mode: str) -> None:
    attributes = {"mode": mode} if op == "DepthToSpace" else {}
    node = helper.make_node(op, ["x"], ["y"], blocksize=2, **attributes)
    load_onnx(write([node], {"x": ("float32", [1, 8, 4, 6])}, ["y"], {}, 13))


@pytest.mark.parametrize("opset", [9, 10, 11])
@pytest.mark.parametrize("largest", [0, 1])
def test_top_k_agrees(write: Any, opset: int, largest: int) -> None:
    attributes = {"k": 2} if opset < 10 else {"largest": largest} if opset > 10 else {}
    node = helper.make_node("TopK", ["x"] + ["k"] * (opset >= 10), ["v", "i"], axis=1, **attributes)
    load_onnx(write([node], {"x": X}, ["v", "i"], {"k": i64(2)} if opset >= 10 else {}, opset))


@pytest.mark.parametrize("op", ["And", "Or", "Xor", "Not"])
def test_logic_agrees(write: Any, op: str) -> None:
    nodes = [
        helper.make_node("Greater", ["x", "zero"], ["a"]),
        helper.make_node("Less", ["x", "one"], ["b"]),
        helper.make_node(op, ["a", "b"] if op != "Not" else ["a"], ["c"]),
        helper.make_node("Cast", ["c"], ["y"], to=TensorProto.FLOAT),
    ]
    load_onnx(write(nodes, {"x": X}, ["y"], {"zero": np.float32(0), "one": np.float32(1)}))


@pytest.mark.parametrize("op", ["Div", "Mod", "Mul", "Sub"])
def test_arithmetic_of_integers_agrees(write: Any, op: str) -> None:
    nodes = [
        helper.make_node("Mul", ["x", "ten"], ["t"]),
        helper.make_node("Cast", ["t"], ["i"], to=TensorProto.INT64),
        helper.make_node(op, ["i", "three"], ["y"]),
    ]
    load_onnx(write(nodes, {"x": X}, ["y"], {"ten": np.float32(10), "three": i64(3)}))


def test_limits_that_the_network_computes_agree(write: Any) -> None:
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], keepdims=0),
        helper.make_node("Clip", ["x", "m"], ["y"]),
    ]
    load_onnx(write(nodes, {"x": X}, ["y"]))


def test_weights_that_the_network_computes_agree(write: Any) -> None:
    nodes = [
        helper.make_node("Slice", ["x", "a", "b"], ["w"]),
        helper.make_node("Conv", ["x", "w"], ["y"], kernel_shape=[2, 2]),
    ]
    load_onnx(write(nodes, {"x": X}, ["y"], {"a": i64(0, 0, 0, 0), "b": i64(1, 4, 2, 2)}))


def test_cast_like_and_range_and_filled_tensors_agree(write: Any) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "three"], ["w"]),
        helper.make_node("Range", ["zero", "w", "one"], ["r"]),
        helper.make_node("CastLike", ["r", "x"], ["f"]),
        helper.make_node("ConstantOfShape", ["s"], ["z"]),
        helper.make_node("Add", ["z", "f"], ["t"]),
        helper.make_node("Add", ["t", "x"], ["y"]),
    ]
    constants = {"zero": np.array(0, np.int64), "one": np.array(1, np.int64), "three": np.array(3, np.int64)}
    load_onnx(write(nodes, {"x": X}, ["y"], constants))


ACTIVATIONS = {
    "Relu": [],
    "Sigmoid": [],
    "Tanh": [],
    "LeakyRelu": [0.2],
    "Clip": [-0.5, 0.5],
    "HardSigmoid": [0.2, 0.5],
}


@pytest.mark.parametrize(("activation", "parameters"), ACTIVATIONS.items())
def test_convolutions_with_an_activation_agree(write: Any, activation: str, parameters: list[float]) -> None:
    attributes = {"activation": activation} | ({"activation_params": parameters} if parameters else {})
    node = helper.make_node("FusedConv", ["x", "w"], ["y"], domain="com.microsoft", **attributes)
    load_onnx(write([node], {"x": X}, ["y"], {"w": floats(3, 4, 2, 2)}, microsoft=True))


def test_a_cast_to_half_precision_is_computed_in_float32(write: Any) -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["h"], to=TensorProto.FLOAT16),
        helper.make_node("Mul", ["h", "c"], ["m"]),
        helper.make_node("Cast", ["m"], ["y"], to=TensorProto.FLOAT),
    ]
    net = load_onnx(write(nodes, {"x": X}, ["y"], {"c": np.float16(0.1)}))
    x = torch.full((1, 4, 6, 5), 1 / 3)
    assert (net(x) == x * float(np.float16(0.1))).all()


def test_gelu_of_microsoft_agrees(write: Any) -> None:
    node = helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")
    load_onnx(write([node], {"x": X}, ["y"], microsoft=True))


def test_operators_are_listed() -> None:
    assert {"Conv", "Resize", "QuantizeLinear"} <= set(operators())


def test_every_supported_operator_is_held_against_onnx_runtime() -> None:
    tests = "\n".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    missing = [name for name in operators() if f'"{name.rpartition(".")[2]}"' not in tests]
    assert missing == []
