"""Networks of torchvision and timm, where they are installed: fx and export see the same taps."""

from __future__ import annotations

import importlib

import pytest

torch = pytest.importorskip("torch")

from fmapzip.torch import capture, compress_model, taps

IMAGE = torch.rand(1, 3, 224, 224)


@pytest.fixture(scope="module", autouse=True)
def _operators_of_torchvision():
    """Schemas that torchvision expects of its compiled part, which a CPU build of PyTorch may not match."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    yield
    library._destroy()


def make(family, name):
    try:
        package = importlib.import_module(family)
    except ImportError:
        pytest.skip(f"{family} is not installed")
    if family == "timm":
        return package.create_model(name, pretrained=False).eval()
    return package.models.get_model(name, weights=None).eval()


@pytest.mark.parametrize(
    ("family", "name", "count"),
    [
        ("torchvision", "resnet50", 49),
        ("torchvision", "mobilenet_v3_small", 53),
        ("torchvision", "densenet121", 120),
        ("torchvision", "efficientnet_b0", 81),
        ("torchvision", "convnext_tiny", 58),
        ("torchvision", "shufflenet_v2_x1_0", 53),
        ("torchvision", "googlenet", 39),
        ("timm", "resnet50", 49),
        ("timm", "regnety_002", 66),
        ("timm", "convnextv2_atto", 40),
        ("timm", "res2net50_26w_4s", 73),
    ],
)
def test_fx_and_export_agree(family, name, count):
    net = make(family, name)
    by_fx = taps(net, IMAGE, ["fx"])
    assert by_fx == taps(net, IMAGE, ["export"])
    assert len(by_fx) == count
    assert not any(tap.problem for tap in by_fx)


@pytest.mark.parametrize(("family", "name"), [("timm", "tf_efficientnet_b0"), ("torchvision", "swin_t")])
def test_networks_that_fx_cannot_trace_are_exported(family, name):
    captured = capture(make(family, name), IMAGE)
    assert captured.method == "export"
    assert captured.notes[0].startswith("torch.fx failed")


@pytest.mark.parametrize(
    ("family", "name"),
    [("torchvision", "convnext_tiny"), ("timm", "mobilenetv3_small_100"), ("timm", "tf_efficientnet_b0")],
)
def test_networks_run_stored_at_any_batch_size(family, name):
    stored = compress_model(make(family, name), "zvc", calibration=torch.rand(2, 3, 224, 224))
    with torch.inference_mode():
        for size in (1, 3):
            assert stored(torch.rand(size, 3, 224, 224)).shape == (size, 1000)
    assert stored.report().ratio > 0.9
