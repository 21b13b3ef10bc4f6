"""Graphs whose feature maps are stored, in ONNX Runtime: the bytes and integers of PyTorch, for equal integers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper

pytest.importorskip("onnxruntime_extensions", reason="the extra 'onnx' is not whole")

from test_quantized import OWN, quantized_stack

import fmapzip
from fmapzip import Plan, QuantParams, TapPlan, registry
from fmapzip.errors import InvalidInput, PlanMismatch, UnsupportedModel
from fmapzip.onnx import export_stored, load_onnx, session
from fmapzip.onnx.runtime import BYTES_OUTPUT
from fmapzip.torch import compress_model, taps

RNG = np.random.default_rng(0)
F32 = np.float32
IMAGE = {"x": ("float32", ["n", 4, 12, 10])}
CODECS = ["raw", "zvc", registry.make("context-rans", step=3), registry.make("dct-cm", path="transform", step=4.0)]


def plain() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return options


def shortcut() -> tuple[list[onnx.NodeProto], dict[str, Any]]:
    """Three convolutions with a shortcut; the second map is also an output."""
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], "one", pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["r"], "relu"),
        helper.make_node("Conv", ["r", "w2"], ["b"], "two", pads=[1] * 4),
        helper.make_node("Add", ["b", "r"], ["s"], "add"),
        helper.make_node("Conv", ["s", "w3"], ["y"], "three"),
    ]
    shapes = {"w1": (8, 4, 3, 3), "w2": (8, 8, 3, 3), "w3": (5, 8, 1, 1)}
    return nodes, {name: RNG.standard_normal(shape).astype(F32) * F32(0.3) for name, shape in shapes.items()}


def planned(path: Path, images: Any, codec: Any) -> Plan:
    return compress_model(load_onnx(path), codec, calibration=torch.from_numpy(images)).plan


def assert_operators_are_pytorchs(path: Path, plan: Plan, images: Any) -> None:
    """Run a stored file with what goes into and comes out of its operators, and hold that against the plan's codecs."""
    model = onnx.load(path)
    stores = [node for node in model.graph.node if node.domain == "fmapzip"]
    assert [node.name for node in stores] == [f"fmapzip/{tap.name}" for tap in plan]
    for node in stores:
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in (node.input[0], node.output[0]))
    watched = path.with_name("watched.onnx")
    onnx.save(model, watched)
    running = session(watched, plain())
    wanted = [BYTES_OUTPUT, *(name for node in stores for name in (node.input[0], node.output[0]))]
    sizes, *tensors = running.run(wanted, {running.get_inputs()[0].name: images})
    assert sizes.shape == (len(images), len(plan))
    for i, tap in enumerate(plan):
        q, back = tensors[2 * i], tensors[2 * i + 1]
        axis = next(a.i for a in stores[i].attribute if a.name == "axis")
        given = np.moveaxis(q, axis, 1)
        if q.dtype == np.int8 and tap.quantizer.dtype == "uint8":
            given, back = (given.astype(int) + 128).astype(np.uint8), (back.astype(int) + 128).astype(np.uint8)
        frames = fmapzip.encode_batch(given, plan=plan, tap=i)
        assert sizes[:, i].tolist() == [len(frame) for frame in frames]
        assert np.array_equal(np.moveaxis(back, axis, 1), fmapzip.decode_batch(frames, plan=plan))


@pytest.mark.parametrize("opset", [11, 13, 17])
@pytest.mark.parametrize("codec", CODECS, ids=str)
def test_operators_give_the_bytes_and_integers_of_pytorch(write: Any, tmp_path: Path, codec: Any, opset: int) -> None:
    nodes, constants = shortcut()
    path = write(nodes, IMAGE, ["y", "s"], constants, opset)
    images = RNG.standard_normal((3, 4, 12, 10)).astype(F32)
    plan = planned(path, images, codec)
    export_stored(path, plan, tmp_path / "stored.onnx")
    assert_operators_are_pytorchs(tmp_path / "stored.onnx", plan, images)
    running = session(tmp_path / "stored.onnx")
    y, s, sizes = running.run(None, {"x": images})
    with torch.inference_mode():
        found = compress_model(load_onnx(path), plan)(torch.from_numpy(images))
    assert np.abs(found["y"].numpy() - y).max() < 0.1 * np.abs(y).max()  # an integer may move by a step
    assert np.abs(found["s"].numpy() - s).max() < 0.1 * np.abs(s).max()
    assert sizes.sum() > 0


@pytest.mark.parametrize(("dtype", "zero", "quantizer"), OWN)
def test_storing_a_quantized_graph_without_loss_changes_no_bit(
    write: Any, tmp_path: Path, dtype: str, zero: int, quantizer: QuantParams
) -> None:
    nodes, constants = quantized_stack(zero, dtype)
    path = write(nodes, {"x": ("float32", ["n", 4, 6, 5])}, ["y"], constants)
    images = RNG.standard_normal((3, 4, 6, 5)).astype(F32)
    plan = planned(path, images, "context-rans")
    assert plan[0].quantizer == quantizer
    export_stored(path, plan, tmp_path / "stored.onnx")
    kinds = [node.op_type for node in onnx.load(tmp_path / "stored.onnx").graph.node]
    assert kinds.count("QuantizeLinear") == [node.op_type for node in nodes].count("QuantizeLinear")  # its own
    y, _ = session(tmp_path / "stored.onnx", plain()).run(None, {"x": images})
    (want,) = onnxruntime.InferenceSession(str(path), plain(), providers=["CPUExecutionProvider"]).run(
        None, {"x": images}
    )
    assert np.array_equal(y, want)
    assert_operators_are_pytorchs(tmp_path / "stored.onnx", plan, images)


def test_options_are_taken_again(write: Any, tmp_path: Path) -> None:
    nodes, constants = shortcut()
    path, options = write(nodes, IMAGE, ["y"], constants), plain()
    images = RNG.standard_normal((2, 4, 12, 10)).astype(F32)
    for codec in ("raw", "zvc"):
        export_stored(path, planned(path, images, codec), tmp_path / "stored.onnx")
        assert session(tmp_path / "stored.onnx", options).run(None, {"x": images})[1].shape == (2, 2)


def test_layers_over_the_last_dimension_and_scales_a_channel(write: Any, tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w1"], ["a"], "one"), helper.make_node("Relu", ["a"], ["r"], "relu")]
    nodes.append(helper.make_node("MatMul", ["r", "w2"], ["y"], "two"))
    constants = {"w1": RNG.standard_normal((6, 8)).astype(F32), "w2": RNG.standard_normal((8, 3)).astype(F32)}
    path = write(nodes, {"x": ("float32", ["n", 5, 6])}, ["y"], constants)
    images = RNG.standard_normal((2, 5, 6)).astype(F32)
    (tap,) = taps(load_onnx(path), torch.from_numpy(images))
    scales = tuple(0.02 * (i + 1) for i in range(8))
    plan = Plan(
        (TapPlan(tap.name, tap.shape, QuantParams("uint8", scales), registry.make("zvc")),), {"inputs": [[5, 6]]}
    )
    export_stored(path, plan, tmp_path / "stored.onnx")
    assert_operators_are_pytorchs(tmp_path / "stored.onnx", plan, images)


def test_a_graph_in_half_precision_is_stored(write: Any, tmp_path: Path) -> None:
    nodes, constants = shortcut()
    half = {name: value.astype(np.float16) for name, value in constants.items()}
    path = write(nodes, {"x": ("float16", ["n", 4, 12, 10])}, ["y"], half)
    images = RNG.standard_normal((2, 4, 12, 10)).astype(np.float16)
    plan = planned(path, images.astype(F32), "zvc")
    export_stored(path, plan, tmp_path / "stored.onnx")
    assert_operators_are_pytorchs(tmp_path / "stored.onnx", plan, images)


def test_a_pytorch_network_is_written_and_stored(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="torch.onnx needs onnxscript")
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(4, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.Conv2d(8, 8, 3), torch.nn.ReLU(),
        torch.nn.Conv2d(8, 3, 1),
    ).eval()  # fmt: skip
    images = torch.randn(3, 4, 12, 10)
    stored = compress_model(net, "context-rans", calibration=images)
    export_stored(net, stored.plan, tmp_path / "stored.onnx")
    assert_operators_are_pytorchs(tmp_path / "stored.onnx", stored.plan, images.numpy())


def test_what_does_not_fit_is_refused(write: Any, tmp_path: Path) -> None:
    nodes, constants = shortcut()
    path = write(nodes, IMAGE, ["y"], constants)
    plan = planned(path, RNG.standard_normal((2, 4, 12, 10)).astype(F32), "zvc")
    other = Plan((TapPlan("four", (8, 12, 10), QuantParams("uint8", (0.1,)), registry.make("zvc")),), plan.metadata)
    with pytest.raises(PlanMismatch, match="no tap 'four'"):
        export_stored(path, other, tmp_path / "stored.onnx")
    small = Plan((TapPlan("two", (8, 6, 5), QuantParams("uint8", (0.1,)), registry.make("zvc")),), plan.metadata)
    with pytest.raises(PlanMismatch, match=r"\[8, 12, 10\], in the plan \[8, 6, 5\]"):
        export_stored(path, small, tmp_path / "stored.onnx")
    with pytest.raises(PlanMismatch, match="does not say what the network reads"):
        export_stored(path, Plan(plan.taps), tmp_path / "stored.onnx")
    with pytest.raises(InvalidInput, match="no such file"):
        export_stored(tmp_path / "none.onnx", plan, tmp_path / "stored.onnx")
    with pytest.raises(InvalidInput, match="holds no plan"):
        session(path)
    with pytest.raises(InvalidInput, match="no such file"):
        session(tmp_path / "none.onnx")
    assert not (tmp_path / "stored.onnx").exists()


def test_an_output_of_the_same_name_is_refused(write: Any, tmp_path: Path) -> None:
    nodes, constants = shortcut()
    nodes[-1].output[0] = BYTES_OUTPUT
    path = write(nodes, IMAGE, [BYTES_OUTPUT], constants)
    plan = planned(path, RNG.standard_normal((2, 4, 12, 10)).astype(F32), "zvc")
    with pytest.raises(UnsupportedModel, match="has an output 'stored_bytes' already"):
        export_stored(path, plan, tmp_path / "stored.onnx")
