"""Quantized graphs: integers equal to ONNX Runtime's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from fmapzip.errors import UnsupportedModel
from fmapzip.onnx import load_onnx
from fmapzip.onnx.fold import session
from fmapzip.onnx.integers import run_on_equal_integers
from fmapzip.quantize import QuantParams
from fmapzip.torch import compress_model, taps

RNG = np.random.default_rng(0)
X = ("float32", ["n", 4, 6, 5])
F32 = np.float32


def integers(dtype: str, *shape: int) -> Any:
    limits = np.iinfo(dtype)
    return RNG.integers(limits.min, limits.max, shape, dtype, endpoint=True)


def quantized(name: str, dtype: str = "uint8", scale: Any = 0.02, zero: Any = 128) -> dict[str, Any]:
    return {f"{name}_s": np.asarray(scale, F32), f"{name}_z": np.asarray(zero, dtype)}


def q(read: str, grid: str, made: str) -> onnx.NodeProto:
    return helper.make_node("QuantizeLinear", [read, f"{grid}_s", f"{grid}_z"], [made], f"{made}_Q")


def dq(read: str, grid: str, made: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node("DequantizeLinear", [read, f"{grid}_s", f"{grid}_z"], [made], f"{made}_DQ", **attributes)


def assert_equal_integers(path: Path, shape: tuple[int, ...]) -> None:
    """Compare every output on several inputs, value by value."""
    net = load_onnx(path)
    model = session(str(path))
    outputs = [value.name for value in model.get_outputs()]
    for seed in range(3):
        x = np.random.default_rng(seed).standard_normal(shape).astype(F32)
        found = net(torch.from_numpy(x))
        found = {outputs[0]: found} if isinstance(found, torch.Tensor) else found
        for name, want in zip(outputs, model.run(outputs, {"x": x}), strict=True):
            assert np.array_equal(found[name].numpy(), want), name


GRIDS = {
    "signed": ("int8", 0.03, -5),
    "unsigned": ("uint8", 0.03, 120),
    "relu": ("uint8", 0.02, 0),
}


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("opset", [10, 13, 19, 21])
def test_quantization_and_back_agree(write: Any, grid: str, opset: int) -> None:
    dtype, scale, zero = GRIDS[grid]
    nodes = [q("x", "g", "i"), dq("i", "g", "y")]
    assert_equal_integers(write(nodes, {"x": X}, ["i", "y"], quantized("g", dtype, scale, zero), opset), (2, 4, 6, 5))


def test_quantization_with_a_scale_a_channel_agrees(write: Any) -> None:
    constants = quantized("g", "int8", [0.01, 0.02, 0.03, 0.1], [0, 5, -100, 127])
    assert_equal_integers(write([q("x", "g", "i"), dq("i", "g", "y")], {"x": X}, ["i", "y"], constants), (2, 4, 6, 5))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("between", ["", "Relu", "Clip"])
@pytest.mark.parametrize("grid", GRIDS)
def test_a_quantized_convolution_gives_the_same_integers(
    write: Any, grid: str, between: str, per_channel: bool, bias: bool
) -> None:
    dtype, _, zero = GRIDS[grid]
    rows = 6 if per_channel else ()
    w_scale = RNG.uniform(0.001, 0.01, rows).astype(F32)
    constants: dict[str, Any] = quantized("x", dtype, 0.02, zero) | quantized("y", dtype, 0.05, zero)
    constants |= {"w": integers("int8", 6, 4, 3, 3), "b": RNG.integers(-9000, 9000, 6).astype(np.int32)}
    constants |= quantized("w", "int8", w_scale, np.zeros(rows, np.int8))
    constants |= quantized("b", "int32", F32(0.02) * w_scale, np.zeros(rows, np.int32))
    constants |= {"low": F32(0), "high": F32(6)}
    axis = {"axis": 0} if per_channel else {}
    nodes = [q("x", "x", "xi"), dq("xi", "x", "xr"), dq("w", "w", "wr", **axis), dq("b", "b", "br", **axis)]
    nodes.append(helper.make_node("Conv", ["xr", "wr"] + ["br"] * bias, ["c"], "conv", pads=[1, 1, 0, 1]))
    read = "c"
    if between:
        nodes.append(helper.make_node(between, ["c", "low", "high"] if between == "Clip" else ["c"], ["r"], "between"))
        read = "r"
    nodes += [q(read, "y", "i"), dq("i", "y", "y")]
    assert_equal_integers(write(nodes, {"x": X}, ["i", "y"], constants), (2, 4, 6, 5))


def test_sums_beyond_the_bits_of_float32_are_exact(write: Any) -> None:
    constants: dict[str, Any] = quantized("x", "uint8", 0.001, 0) | quantized("y", "uint8", 40.0, 128)
    constants |= {"w": RNG.choice(np.array([-127, 126, 127], np.int8), (8, 64, 5, 5))}
    constants |= quantized("w", "int8", 0.5, 0)
    nodes = [q("x", "x", "xi"), dq("xi", "x", "xr"), dq("w", "w", "wr")]
    nodes += [helper.make_node("Conv", ["xr", "wr"], ["c"], "conv", pads=[2] * 4), q("c", "y", "i"), dq("i", "y", "y")]
    path = write(nodes, {"x": ("float32", ["n", 64, 6, 6])}, ["i"], constants)
    net = load_onnx(path)
    assert not net.get_submodule("conv")._fits
    assert_equal_integers(path, (1, 64, 6, 6))


@pytest.mark.parametrize("turned", [0, 1])
@pytest.mark.parametrize("op", ["Gemm", "MatMul"])
def test_quantized_matrix_products_give_the_same_integers(write: Any, op: str, turned: int) -> None:
    constants: dict[str, Any] = quantized("x", "uint8", 0.02, 110) | quantized("y", "uint8", 0.1, 100)
    constants |= {"w": integers("int8", *([7, 9] if turned and op == "Gemm" else [9, 7]))} | quantized(
        "w", "int8", 0.01, 0
    )
    constants |= {"b": RNG.integers(-900, 900, 7).astype(np.int32)} | quantized("b", "int32", F32(0.02) * F32(0.01), 0)
    nodes = [q("x", "x", "xi"), dq("xi", "x", "xr"), dq("w", "w", "wr"), dq("b", "b", "br")]
    attributes = {"transB": turned} if op == "Gemm" else {}
    nodes.append(helper.make_node(op, ["xr", "wr"] + ["br"] * (op == "Gemm"), ["c"], "fc", **attributes))
    nodes += [q("c", "y", "i"), dq("i", "y", "y")]
    assert_equal_integers(write(nodes, {"x": ("float32", ["n", 9])}, ["i", "y"], constants), (5, 9))


def pair(op: str, scales: tuple[float, float, float], zeros: tuple[int, int, int], dtype: str) -> tuple[Any, Any]:
    constants: dict[str, Any] = {}
    for name, scale, zero in zip("aby", scales, zeros, strict=True):
        constants |= quantized(name, dtype, scale, zero)
    node = helper.make_node(
        op, ["a", "a_s", "a_z", "b", "b_s", "b_z", "y_s", "y_z"], ["y"], "pair", domain="com.microsoft"
    )
    return node, constants


@pytest.mark.parametrize("op", ["QLinearAdd", "QLinearMul"])
@settings(max_examples=15)
@given(
    scales=st.tuples(*[st.floats(0.004, 0.1)] * 3),
    zeros=st.tuples(*[st.integers(0, 255)] * 3),
    signed=st.booleans(),
)
def test_sums_and_products_of_all_pairs_of_integers_are_the_same(
    op: str, scales: Any, zeros: Any, signed: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    dtype, shift = ("int8", 128) if signed else ("uint8", 0)
    node, constants = pair(op, scales, tuple(zero - shift for zero in zeros), dtype)
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = helper.make_graph(
        [node],
        "pairs",
        [helper.make_tensor_value_info(name, kind, [1, 1, 256, 256]) for name in "ab"],
        [helper.make_tensor_value_info("y", kind, None)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    path = tmp_path_factory.mktemp("pair") / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=sets, ir_version=8), path)
    a, b = (grid.reshape(1, 1, 256, 256) for grid in np.meshgrid(*[np.arange(256) - shift] * 2))
    a, b = a.astype(dtype), b.astype(dtype)
    (want,) = session(str(path)).run(None, {"a": a, "b": b})
    found = load_onnx(path)(torch.from_numpy(a).float(), torch.from_numpy(b).float())
    assert np.array_equal(found.numpy(), want)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("op", ["Add", "Mul", "GlobalAveragePool"])
def test_quantized_sums_products_and_means_in_qdq_form_give_the_same_integers(write: Any, op: str, grid: str) -> None:
    dtype, scale, zero = GRIDS[grid]
    constants = (
        quantized("a", dtype, scale, zero) | quantized("b", dtype, 0.017, zero) | quantized("y", dtype, 0.05, zero)
    )
    nodes = [
        q("x", "a", "ai"),
        dq("ai", "a", "ar"),
        helper.make_node("Sin", ["x"], ["t"]),
        q("t", "b", "bi"),
        dq("bi", "b", "br"),
        helper.make_node(op, ["ar"] if op == "GlobalAveragePool" else ["ar", "br"], ["s"], "op"),
        q("s", "y", "i"),
        dq("i", "y", "y"),
    ]
    assert_equal_integers(write(nodes, {"x": X}, ["y"], constants), (2, 4, 6, 5))


@pytest.mark.parametrize("op", ["MaxPool", "Concat", "Reshape", "Transpose", "Sigmoid", "Resize", "Split", "LeakyRelu"])
def test_other_layers_between_quantizations_give_the_same_integers(write: Any, op: str) -> None:
    constants: dict[str, Any] = quantized("a", "uint8", 0.03, 120) | {"shape": np.array([0, 2, -1], np.int64)}
    constants |= {"scales": np.array([1, 1, 2, 2], F32)} | quantized("s", "uint8", 1 / 256, 0)
    written = "s" if op == "Sigmoid" else "a"
    attributes: dict[str, Any] = {"MaxPool": {"kernel_shape": [2, 2]}, "Concat": {"axis": 1}}.get(op, {})
    attributes |= {"Transpose": {"perm": [0, 2, 3, 1]}, "Split": {"axis": 1}}.get(op, {})
    read = {"Concat": ["ar", "ar"], "Reshape": ["ar", "shape"], "Resize": ["ar", "", "scales"]}.get(op, ["ar"])
    made = ["s", "rest"] if op == "Split" else ["s"]
    nodes = [q("x", "a", "ai"), dq("ai", "a", "ar"), helper.make_node(op, read, made, "op", **attributes)]
    nodes += [q("s", written, "i"), dq("i", written, "y")]
    assert_equal_integers(write(nodes, {"x": X}, ["i", "y"], constants, 13), (2, 4, 6, 5))


def test_qlinear_operators_give_the_same_integers(write: Any) -> None:
    constants: dict[str, Any] = {}
    for name, dtype, scale, zero in (
        ("x", "uint8", 0.02, 120), ("c", "uint8", 0.05, 3), ("m", "uint8", 0.04, 7), ("w", "int8", 0.01, 0),
        ("v", "int8", 0.02, 4), ("f", "uint8", 0.1, 99),
    ):  # fmt: skip
        constants |= quantized(name, dtype, scale, zero)
    constants |= {"w": integers("int8", 6, 4, 3, 3), "b": RNG.integers(-900, 900, 6).astype(np.int32)}
    constants |= {
        "v": integers("int8", 6, 3),
        "t": integers("int8", 5, 3),
        "u": RNG.integers(-9, 9, 5).astype(np.int32),
    }
    nodes = [
        q("x", "x", "xi"),
        helper.make_node(
            "QLinearConv", ["xi", "x_s", "x_z", "w", "w_s", "w_z", "c_s", "c_z", "b"], ["c"], "conv", pads=[1] * 4
        ),
        helper.make_node(
            "QLinearGlobalAveragePool", ["c", "c_s", "c_z", "m_s", "m_z"], ["m"], "mean", domain="com.microsoft"
        ),
        helper.make_node("Flatten", ["m"], ["l"]),
        helper.make_node("QLinearMatMul", ["l", "m_s", "m_z", "v", "v_s", "v_z", "f_s", "f_z"], ["f"], "fc"),
        helper.make_node(
            "QGemm", ["f", "f_s", "f_z", "t", "w_s", "w_z", "u", "x_s", "x_z"], ["g"], "gemm",
            domain="com.microsoft", transB=1,
        ),
        dq("g", "x", "y"),
    ]  # fmt: skip
    path = write(nodes, {"x": X}, ["c", "m", "f", "g", "y"], constants, microsoft=True)
    assert_equal_integers(path, (2, 4, 6, 5))
    assert [tap.name for tap in taps(load_onnx(path), torch.zeros(1, 4, 6, 5))] == [
        "fc",
        "gemm",
    ]  # what conv reads is the input


ROUNDED: dict[str, dict[str, Any]] = {
    "QLinearAveragePool": {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 0, 1]},
    "QLinearLeakyRelu": {"alpha": 0.1},
    "QLinearSigmoid": {},
    "QLinearSoftmax": {"axis": 1, "opset": 13},
}


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("op", [*ROUNDED, "QLinearConcat"])
def test_qlinear_operators_that_are_computed_in_floating_point_agree(write: Any, op: str, grid: str) -> None:
    dtype, _, zero = GRIDS[grid]
    written = (1 / 256, np.iinfo(dtype).min) if op == "QLinearSoftmax" else (0.05, zero)
    constants = quantized("x", dtype, 0.02, zero) | quantized("y", dtype, *written)
    read, rest, attributes = ["xi", "x_s", "x_z"], ["y_s", "y_z"], ROUNDED.get(op, {"axis": 1})
    inputs = [*rest, *read, *read] if op == "QLinearConcat" else [*read, *rest]
    nodes = [q("x", "x", "xi"), helper.make_node(op, inputs, ["i"], "made", domain="com.microsoft", **attributes)]
    path = write([*nodes, dq("i", "y", "y")], {"x": X}, ["i", "y"], constants, microsoft=True)
    net = load_onnx(path)
    x = np.random.default_rng(7).standard_normal((2, 4, 6, 5)).astype(F32)
    found, wanted = net(torch.from_numpy(x))["i"].numpy(), session(str(path)).run(["i"], {"x": x})[0].astype(F32)
    assert np.abs(found - wanted).max() <= (1 if op in ("QLinearSoftmax", "QLinearAveragePool") else 0)
    assert (found == wanted).mean() > 0.97


def test_gradients_pass_integers(write: Any) -> None:
    constants: dict[str, Any] = quantized("x", "uint8", 0.02, 120) | quantized("y", "uint8", 0.05, 100)
    constants |= {"w": integers("int8", 6, 4, 1, 1)} | quantized("w", "int8", 0.002, 0)
    nodes = [q("x", "x", "xi"), dq("xi", "x", "xr"), dq("w", "w", "wr")]
    nodes += [helper.make_node("Conv", ["xr", "wr"], ["c"], "conv"), q("c", "y", "i"), dq("i", "y", "y")]
    net = load_onnx(write(nodes, {"x": X}, ["y"], constants))
    x = (0.2 * torch.randn(1, 4, 6, 5)).requires_grad_()  # nothing saturates
    (found,) = torch.autograd.grad(net(x).sum(), x)
    weights = torch.from_numpy(constants["w"].astype(F32) * F32(0.002)).sum(0)
    assert torch.allclose(found[0, :, 0, 0], weights[:, 0, 0], rtol=1e-4)


def test_arithmetic_on_integers_that_is_not_supported_is_refused_by_name(write: Any) -> None:
    nodes = [q("x", "g", "i"), helper.make_node("Where", ["c", "i", "i"], ["y"], "where")]
    constants = quantized("g") | {"c": np.array(True)}
    with pytest.raises(UnsupportedModel, match=r"node 'where' \(Where, opset 17\): .* on quantized integers"):
        load_onnx(write(nodes, {"x": X}, ["y"], constants))
    wide = {"g_s": F32(0.1), "g_z": np.array(0, np.uint16)}
    with pytest.raises(UnsupportedModel, match="quantization to uint16"):
        load_onnx(write([q("x", "g", "y")], {"x": X}, ["y"], wide, 21))


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
@pytest.mark.parametrize("per_channel", [True, False])
def test_what_onnx_runtimes_own_quantizer_writes_is_imported(
    write: Any, tmp_path: Path, form: str, per_channel: bool
) -> None:
    from onnxruntime import quantization

    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["a"], "one", pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["r"], "relu"),
        helper.make_node("MaxPool", ["r"], ["p"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["p", "w2", "b2"], ["c"], "two", pads=[1] * 4),
        helper.make_node("Add", ["c", "p"], ["s"], "add"),
        helper.make_node("GlobalAveragePool", ["s"], ["g"], "mean"),
        helper.make_node("Flatten", ["g"], ["f"], "flat"),
        helper.make_node("Gemm", ["f", "w3", "b3"], ["y"], "fc", transB=1),
    ]
    shapes = {"w1": (8, 4, 3, 3), "b1": (8,), "w2": (8, 8, 3, 3), "b2": (8,), "w3": (5, 8), "b3": (5,)}
    constants = {name: RNG.standard_normal(shape).astype(F32) * F32(0.3) for name, shape in shapes.items()}
    path = write(nodes, {"x": ("float32", ["n", 4, 12, 12])}, ["y"], constants)

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc, unused-ignore]
        left = 4

        def get_next(self) -> dict[str, Any] | None:
            self.left -= 1
            return {"x": RNG.standard_normal((1, 4, 12, 12)).astype(F32)} if self.left >= 0 else None

    quantization.quantize_static(
        path,
        tmp_path / "int8.onnx",
        Reader(),
        quant_format=getattr(quantization.QuantFormat, form),
        per_channel=per_channel,
    )
    assert_equal_integers(tmp_path / "int8.onnx", (2, 4, 12, 12))


def bottlenecks() -> tuple[list[onnx.NodeProto], dict[str, Any]]:
    """A stem and two inverted bottlenecks, the second with a shortcut, and a classifier: EfficientNet-Lite's parts."""
    nodes, constants, read = [], {}, "x"
    widths = [(4, 6, 1), (6, 24, 1), (24, 24, 24), (24, 8, 1), (8, 32, 1), (32, 32, 32), (32, 8, 1)]
    for i, (wide, out, groups) in enumerate(widths):
        kernel = 3 if groups > 1 else 1
        constants[f"w{i}"] = RNG.standard_normal((out, wide // groups, kernel, kernel)).astype(F32) * F32(0.5)
        constants[f"b{i}"] = RNG.standard_normal(out).astype(F32) * F32(0.1)
        inputs, pads = [read, f"w{i}", f"b{i}"], [kernel // 2] * 4
        nodes.append(helper.make_node("Conv", inputs, [f"c{i}"], f"conv{i}", group=groups, pads=pads))
        read = f"c{i}"
        if i not in (3, 6):
            nodes.append(helper.make_node("Clip", [read, "zero", "six"], [f"r{i}"], f"clip{i}"))
            read = f"r{i}"
    constants |= {"zero": F32(0), "six": F32(6), "wy": RNG.standard_normal((5, 8)).astype(F32)}
    nodes += [helper.make_node("Add", [read, "c3"], ["s"], "add"), helper.make_node("GlobalAveragePool", ["s"], ["g"])]
    nodes += [helper.make_node("Flatten", ["g"], ["f"]), helper.make_node("Gemm", ["f", "wy"], ["y"], transB=1)]
    return nodes, constants


def quantize_statically(path: Path, made: Path, activations: str, images: Any) -> None:
    """ONNX Runtime's own quantization, as QDQ."""
    from onnxruntime import quantization

    left = [{"x": image[None]} for image in images]

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc, unused-ignore]
        def get_next(self) -> dict[str, Any] | None:
            return left.pop() if left else None

    kinds = {"uint8": quantization.QuantType.QUInt8, "int8": quantization.QuantType.QInt8}
    quantization.quantize_static(path, made, Reader(), activation_type=kinds[activations])


@pytest.mark.parametrize("activations", ["uint8", "int8"])
def test_static_quantization_gives_the_integers_of_onnx_runtimes_fused_graph(
    write: Any, tmp_path: Path, activations: str
) -> None:
    """With int8 activations ONNX Runtime leaves layers around shortcuts in float32: an output may move by one step."""
    nodes, constants = bottlenecks()
    path = write(nodes, {"x": ("float32", ["n", 4, 12, 12])}, ["y"], constants)
    images = RNG.standard_normal((6, 4, 12, 12)).astype(F32)
    quantize_statically(path, tmp_path / "quantized.onnx", activations, images[:4])
    (step,) = (
        float(numpy_helper.to_array(value))
        for value in onnx.load(tmp_path / "quantized.onnx").graph.initializer
        if value.name == "y_scale"
    )
    net = load_onnx(tmp_path / "quantized.onnx")
    with torch.inference_mode():
        found = net(torch.from_numpy(images)).numpy()
    fused = np.concatenate([session(str(tmp_path / "quantized.onnx")).run(None, {"x": x[None]})[0] for x in images])
    assert np.abs(found - fused).max() <= (1.01 * step if activations == "int8" else 0)
    assert {
        tap.quantizer is not None and tap.quantizer.calibrator for tap in taps(net, torch.from_numpy(images[:1]))
    } == {"network"}


def quantized_stack(zero: int, dtype: str = "uint8") -> tuple[list[onnx.NodeProto], dict[str, Any]]:
    """Two convolutions with the integers of one zero point between them."""
    constants: dict[str, Any] = quantized("x", "uint8", 0.02, 120) | quantized("m", dtype, 0.013, zero)
    constants |= quantized("y", "uint8", 0.05, 100) | quantized("w", "int8", 0.004, 0)
    constants |= {"w1": integers("int8", 6, 4, 3, 3), "w2": integers("int8", 3, 6, 1, 1)}
    kernels = [helper.make_node("DequantizeLinear", [name, "w_s", "w_z"], [f"{name}r"]) for name in ("w1", "w2")]
    nodes = [q("x", "x", "xi"), dq("xi", "x", "xr"), *kernels]
    nodes += [helper.make_node("Conv", ["xr", "w1r"], ["c"], "one"), q("c", "m", "mi"), dq("mi", "m", "mr")]
    nodes += [helper.make_node("Conv", ["mr", "w2r"], ["d"], "two"), q("d", "y", "i"), dq("i", "y", "y")]
    return nodes, constants


OWN = [
    ("uint8", 0, QuantParams("uint8", (0.013,), "network")),
    ("int8", -128, QuantParams("uint8", (0.013,), "network")),
    ("uint8", 77, QuantParams("uint8", (0.013,), "network", 77)),
    ("int8", -20, QuantParams("int8", (0.013,), "network", -20)),
    ("int8", 0, QuantParams("int8", (0.013,), "network", 0)),
]


def test_maps_in_floating_point_of_a_quantized_network_are_named_and_can_be_left_out(write: Any) -> None:
    nodes, constants = quantized_stack(77)
    nodes += [helper.make_node("Tanh", ["y"], ["t"]), helper.make_node("Conv", ["t", "w3"], ["z"], "three")]
    net = load_onnx(write(nodes, {"x": X}, ["z"], constants | {"w3": RNG.standard_normal((2, 3, 1, 1)).astype(F32)}))
    images = torch.randn(4, 4, 6, 5)
    stored = compress_model(net, "context-rans", calibration=images)
    assert stored.notes == ("maps that the network itself has in floating point, 1 of 2, are rounded to 8 bits: three",)
    own = compress_model(net, "context-rans", calibration=images, taps=["*", "!three"])
    with torch.inference_mode():
        assert not torch.equal(stored(images), net(images))
        assert torch.equal(own(images), net(images))


@pytest.mark.parametrize("codec", ["context-rans", "zvc", "raw"])
@pytest.mark.parametrize(("dtype", "zero", "quantizer"), OWN)
def test_the_networks_own_integers_are_stored_so_that_a_lossless_codec_changes_no_bit(
    write: Any, dtype: str, zero: int, quantizer: QuantParams, codec: str
) -> None:
    nodes, constants = quantized_stack(zero, dtype)
    net = load_onnx(write(nodes, {"x": X}, ["y"], constants))
    images = torch.randn(4, 4, 6, 5)
    (tap,) = taps(net, images)
    assert (tap.name, tap.quantizer) == ("two", quantizer)
    stored = compress_model(net, codec, calibration=images[:1])
    wide = 40 * images  # clipped at both ends
    with torch.inference_mode():
        assert torch.equal(stored(images), net(images))
        assert torch.equal(stored(wide), net(wide))


def test_a_wrong_integer_is_refused_by_name_however_little_it_moves_the_output(write: Any) -> None:
    nodes, constants = quantized_stack(0)
    path = write(nodes, {"x": X}, ["y"], constants)
    net = load_onnx(path)
    model = onnx.load(path)
    x = RNG.standard_normal((1, 4, 6, 5)).astype(F32)
    outputs, compared = run_on_equal_integers(net, model, {"x": x}, [torch.from_numpy(x)])
    assert compared == sum(node.op_type == "QuantizeLinear" for node in model.graph.node)
    assert np.array_equal(outputs["y"].numpy(), session(str(path)).run(["y"], {"x": x})[0])
    layer = next(each for each in net.modules() if getattr(each, "weight", None) is not None)
    with torch.no_grad():
        layer.weight[0] += 40
    with pytest.raises(UnsupportedModel, match=r"^tensor '.*' differs from ONNX Runtime's by up to .* steps where"):
        run_on_equal_integers(net, model, {"x": x}, [torch.from_numpy(x)])
