"""Networks of other packages, where they are installed: captures agree with each other and with the oracle."""

from __future__ import annotations

import importlib
import importlib.util
import pickle

import pytest

torch = pytest.importorskip("torch")

import oracle
import zoo

from fmapzip.torch import capture, compress_model, taps

IMAGE = torch.rand(1, 3, 224, 224)


DETECTOR = "torchvision:fasterrcnn_mobilenet_v3_large_320_fpn"
# Of the networks that benchmarks/breadth.py goes through: each way of capturing, views, windows, volumes.
DOZEN = [
    "torchvision:shufflenet_v2_x0_5", "torchvision:efficientnet_b0", "torchvision:swin_t", "torchvision:r3d_18",
    "torchvision:mvit_v2_tiny",
    "timm:edgenext_xx_small", "transformers:LevitModel", "timm:mobilevit_xxs", "timm:starnet_s050",
    "transformers:BeitModel", "transformers:GPT2Model", "transformers:SegformerModel",
    "transformers:CLIPTextModelWithProjection", "smp:Unet", DETECTOR,
]  # fmt: skip


def installed(name):
    package = zoo.PACKAGES[name.partition(":")[0]]
    if not importlib.util.find_spec(package):
        pytest.skip(f"{package} is not installed")
    zoo.load(name.partition(":")[0])


def make(family, name):
    installed(f"{family}:{name}")
    package = importlib.import_module(family)
    if family == "timm":
        return package.create_model(name, pretrained=False).eval()
    return package.models.get_model(name, weights=None).eval()


def attributes(net):
    """All that the modules of a network hold, containers looked into."""

    def tree(value):
        if isinstance(value, dict):
            return {key: tree(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value), [tree(item) for item in value]
        if isinstance(value, set):  # its order is nobody's
            return set, sorted(id(item) for item in value)
        return id(value)

    return {path: tree(vars(module)) for path, module in net.named_modules()}


def test_backbone_and_heads_of_a_detector_are_graphs():
    installed(DETECTOR)
    net, inputs = zoo.make(DETECTOR)
    captured = capture(net, inputs[:1])
    assert captured.method == "hooks"
    assert "graphs of backbone, rpn.head, roi_heads.box_head, roi_heads.box_predictor:" in captured.notes[-1]
    assert taps(net, inputs[:1], ["hooks"]) == list(captured.taps)
    stored = compress_model(net, "zvc", calibration=inputs)
    assert [sorted(found) for found in oracle.run(stored, inputs)] == 2 * [["boxes", "labels", "scores"]]
    assert len(stored.report().taps) == len(captured.taps)


@pytest.mark.parametrize("name", DOZEN)
def test_what_is_stored_is_what_layers_read(name):
    installed(name)
    net, inputs = zoo.make(name)
    before = attributes(net)
    captured = capture(net, inputs)
    assert attributes(net) == before
    pickle.dumps(net)
    oracle.check(captured, net, inputs, everywhere=True)
    assert not any(tap.problem for tap in captured.taps)


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


@pytest.mark.parametrize("name", ["torchvision:resnet50", "torchvision:r3d_18", "timm:mobilenetv3_small_050"])
def test_the_declared_preprocessing_is_the_packages_own(name):
    """On an image that no rounding of sides is needed for."""
    from PIL import Image

    from fmapzip.eval.model_input import brought

    family, _, network = name.partition(":")
    installed(name)
    package = importlib.import_module(family)
    image = Image.fromarray(torch.randint(0, 256, (512, 1024, 3), dtype=torch.uint8).numpy())
    if family == "timm":
        net = package.create_model(network)
        wanted = package.data.create_transform(**package.data.resolve_data_config({}, model=net))(image)
    else:
        net = torch.nn.Identity()
        transform = package.models.get_model_weights(network).DEFAULT.transforms()
        video = name == "torchvision:r3d_18"
        frame = package.transforms.functional.pil_to_tensor(image)
        wanted = transform(frame[None])[:, 0] if video else transform(image)
    found = torch.from_numpy(brought(name, net).of_image(image, "image"))
    assert found.shape == wanted.shape
    if name != "torchvision:r3d_18":  # which scales video without averaging
        assert (found - wanted).abs().max() < 0.02
