"""ONNX files cut in two ONNX files, which ONNX Runtime runs here and there."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from onnx import helper, numpy_helper
from torch import Tensor

from fmapzip.errors import InvalidInput
from fmapzip.onnx import load_onnx
from fmapzip.split import cut, load, save_split
from fmapzip.split.reduction import with_reduction

pytestmark = pytest.mark.usefixtures("one_thread")
RNG = np.random.default_rng(0)
WEIGHTS = {
    "w1": RNG.standard_normal((8, 3, 3, 3)),
    "w2": RNG.standard_normal((8, 8, 3, 3)) / 8,
    "w3": RNG.standard_normal((4, 8 * 10 * 10)) / 30,
}
FLOAT = onnx.TensorProto.FLOAT


def write(path: Path, nodes: list[Any], batch: int | str, more: dict[str, Any] | None = None) -> Path:
    tensors = [numpy_helper.from_array(w.astype(np.float32), name) for name, w in WEIGHTS.items()]
    tensors += [numpy_helper.from_array(np.asarray(value), name) for name, value in (more or {}).items()]
    inputs = [helper.make_tensor_value_info("image", FLOAT, [batch, 3, 12, 12])]
    outputs = [helper.make_tensor_value_info("scores", FLOAT, None)]
    graph = helper.make_graph(nodes, "net", inputs, outputs, tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def residual() -> list[Any]:
    """A shortcut, and a reshape whose batch is taken from a tensor of the head."""
    pads = {"pads": [1, 1, 1, 1]}
    return [
        helper.make_node("Conv", ["image", "w1"], ["a"], "stem"),
        helper.make_node("Relu", ["a"], ["r"], "relu"),
        helper.make_node("Shape", ["a"], ["sizes"], "sizes"),
        helper.make_node("Gather", ["sizes", "zero"], ["count"], "count"),
        helper.make_node("Concat", ["count", "flat"], ["wanted"], "wanted", axis=0),
        helper.make_node("Conv", ["r", "w2"], ["b"], "branch", **pads),
        helper.make_node("Relu", ["b"], ["c"], "relu2"),
        helper.make_node("Conv", ["c", "w2"], ["d"], "branch2", **pads),
        helper.make_node("Add", ["d", "r"], ["e"], "add"),
        helper.make_node("Reshape", ["e", "wanted"], ["f"], "reshape"),
        helper.make_node("Gemm", ["f", "w3"], ["scores"], "last", transB=1),
    ]


SHAPES = {"zero": np.array([0]), "flat": np.array([800])}


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(4, 3, 12, 12, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("batch", [1, "batch"])
@pytest.mark.parametrize(("at", "crosses"), [("branch", ["branch"]), ("branch2", ["branch", "branch2"])])
def test_both_halves_are_onnx_and_the_network(
    at: str, crosses: list[str], batch: int | str, images: Tensor, tmp_path: Path
) -> None:
    file = write(tmp_path / "net.onnx", residual(), batch, SHAPES)
    manifest = save_split(cut(load_onnx(file), images[:1], at), tmp_path / "split", images)
    assert [each.name for each in manifest.maps] == crosses
    assert sorted(os.listdir(tmp_path / "split")) == ["head.onnx", "manifest.json", "rung-0.fmzp", "tail.onnx"]
    split = load(tmp_path / "split")
    whole = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    for i in range(4):
        image = images[i : i + 1]
        (wanted,) = whole.run(None, {"image": image.numpy()})
        # ONNX Runtime fuses layers across the cut where there is none, and then rounds otherwise
        assert np.allclose(split.tail(*split.head(image)).numpy(), wanted, rtol=1e-5, atol=1e-5)
        assert torch.equal(split(images)[i], split(image)[0])
    floats = [map.numpy() for map in split.head(images[:1])]
    stored = [map.numpy() for map in split.codec.decode(split.codec.encode(split.head(images[:1])))]
    plain = onnxruntime.InferenceSession(str(tmp_path / "split" / "tail.onnx"), providers=["CPUExecutionProvider"])
    names = [value.name for value in plain.get_inputs()]
    assert np.array_equal(split(images[:1]).numpy(), plain.run(None, dict(zip(names, stored, strict=True)))[0])
    assert all(np.abs(a - b).max() < 0.05 for a, b in zip(floats, stored, strict=True))


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize("reduction", ["weighted", "1/2"])
@pytest.mark.parametrize("batch", [1, "batch"])
def test_a_reduction_is_part_of_the_onnx_files(
    reduction: str, batch: int | str, images: Tensor, tmp_path: Path
) -> None:
    file = write(tmp_path / "net.onnx", residual(), batch, SHAPES)
    whole = cut(load_onnx(file), images[:1], "branch2")
    reduced = with_reduction(whole, reduction, images)
    manifest = save_split(reduced, tmp_path / "split", images)
    assert manifest.tail.name == "tail.onnx"
    channels = 4 if reduction == "1/2" else 8
    assert [each.shape for each in manifest.maps] == [(channels, 10, 10)] * 2
    split = load(tmp_path / "split")
    with torch.inference_mode():
        for got, wanted in zip(split.head(images), reduced.head(images), strict=True):
            torch.testing.assert_close(got, wanted)
        sent = reduced.head(images)
        torch.testing.assert_close(split.tail(*sent), reduced.tail(*sent), rtol=1e-4, atol=1e-4)
        if reduction == "weighted":  # what is multiplied at one end is divided at the other
            torch.testing.assert_close(split.tail(*sent), whole.whole.module(images), rtol=1e-4, atol=1e-4)


def test_a_served_one_gives_what_one_place_gives_bit_for_bit(images: Tensor, tmp_path: Path) -> None:
    pytest.importorskip("grpc_reflection")
    from fmapzip.split import Client
    from serving import ServerProcess

    file = write(tmp_path / "net.onnx", residual(), "batch", SHAPES)
    save_split(cut(load_onnx(file), images[:1], "branch2"), tmp_path / "split", images)
    with ServerProcess(tmp_path / "split") as server:
        with Client(server.address, tmp_path / "split", insecure=True) as client:
            outputs = [client(image[None]) for image in images]
        assert server.stop() == 0
    split = load(tmp_path / "split")
    assert all(torch.equal(output, split(image[None])) for output, image in zip(outputs, images, strict=True))


def test_the_integers_of_a_quantized_network_cross_as_they_are(images: Tensor, tmp_path: Path) -> None:
    grids = {"s": np.float32(0.05), "z": np.uint8(0), "si": np.float32(1 / 255), "sw": np.float32(0.02)}
    weights = {name: np.clip(np.rint(WEIGHTS[name] / 0.02), -127, 127).astype(np.int8) for name in ("w1", "w2")}
    more = {**grids, "q1": weights["w1"], "q2": weights["w2"], "zw": np.int8(0)}
    nodes = [
        helper.make_node("QuantizeLinear", ["image", "si", "z"], ["qi"], "quantize"),
        helper.make_node("DequantizeLinear", ["qi", "si", "z"], ["di"], "dequantize"),
        helper.make_node("DequantizeLinear", ["q1", "sw", "zw"], ["d1"], "weights"),
        helper.make_node("Conv", ["di", "d1"], ["a"], "stem"),
        helper.make_node("QuantizeLinear", ["a", "s", "z"], ["qa"], "quantize_a"),
        helper.make_node("DequantizeLinear", ["qa", "s", "z"], ["da"], "dequantize_a"),
        helper.make_node("DequantizeLinear", ["q2", "sw", "zw"], ["d2"], "weights2"),
        helper.make_node("Conv", ["da", "d2"], ["b"], "second"),
        helper.make_node("QuantizeLinear", ["b", "s", "z"], ["qb"], "quantize_b"),
        helper.make_node("DequantizeLinear", ["qb", "s", "z"], ["scores"], "dequantize_b"),
    ]
    file = write(tmp_path / "net.onnx", nodes, "batch", more)
    save_split(cut(load_onnx(file), images[:1], "second"), tmp_path / "split", images)
    split = load(tmp_path / "split")
    whole = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    assert (tmp_path / "split" / "tail.onnx").is_file()
    for image in images.split(1):
        assert np.array_equal(split(image).numpy(), whole.run(None, {"image": image.numpy()})[0])
    reduced = with_reduction(cut(load_onnx(file), images[:1], "second"), "3/4", images)
    assert save_split(reduced, tmp_path / "split", images).tail.name == "tail.onnx"
    with torch.inference_mode():
        split, maps = load(tmp_path / "split"), reduced.head(images)
        torch.testing.assert_close(split.tail(*maps), reduced.tail(*maps), atol=0.051, rtol=0)  # one step of its grid


def test_a_half_that_was_tampered_with_is_a_typed_error(images: Tensor, tmp_path: Path) -> None:
    """Its manifest names it rightly; other files of the machine are not read."""
    file = write(tmp_path / "net.onnx", residual(), "batch", SHAPES)
    save_split(cut(load_onnx(file), images[:1], "branch"), tmp_path / "split", images)
    tail = tmp_path / "split" / "tail.onnx"
    model = onnx.load(tail)
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(1 << 16))
    for tensor in model.graph.initializer:
        if len(tensor.raw_data):
            onnx.external_data_helper.set_external_data(tensor, str(secret), 0, len(tensor.raw_data))
            tensor.ClearField("raw_data")
    unknown = onnx.load(tail)
    unknown.graph.node[-1].domain = "of.somebody"
    for data in (model.SerializeToString(), unknown.SerializeToString(), b"", b"no model", tail.read_bytes()[:-9]):
        manifest = json.loads((tmp_path / "split" / "manifest.json").read_text())
        manifest["tail"]["sha256"] = hashlib.sha256(data).hexdigest()
        tail.write_bytes(data)
        (tmp_path / "split" / "manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(InvalidInput, match=r"tail\.onnx is no file that ONNX Runtime can load"):
            load(tmp_path / "split")


def test_what_cannot_be_cut_in_the_file_is_a_program_and_said(images: Tensor, tmp_path: Path) -> None:
    nodes = [*residual()[:2], *residual()[5:8], helper.make_node("Add", ["d", "r"], ["scores"], "add")]
    network = load_onnx(write(tmp_path / "net.onnx", nodes, "batch"))
    (tmp_path / "net.onnx").write_bytes((write(tmp_path / "other.onnx", residual(), "batch", SHAPES)).read_bytes())
    network.meta["tensors"] = ("",) * len(network.meta["tensors"])
    with pytest.warns(UserWarning, match="programs, not ONNX: 'branch' crosses and is no tensor"):
        save_split(cut(network, images[:1], "branch"), tmp_path / "split", images)
    split = load(tmp_path / "split")
    assert (tmp_path / "split" / "tail.pt2").is_file()
    assert split(images[:1]).shape == (1, 8, 10, 10)
