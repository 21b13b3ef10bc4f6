"""One declaration of what happens to an image, wherever it comes from."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("PIL")
torch = pytest.importorskip("torch")
from PIL import Image

from fmapzip.errors import InvalidInput
from fmapzip.eval.input_options import InputOptions, named
from fmapzip.eval.model_input import brought
from fmapzip.eval.preprocess import IMAGENET, MEAN, protocol


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    return tmp_path / "x.png"


def pixels_of(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(np.float32)


def test_a_detectors_input_is_bgr_fitted_and_padded_with_114_at_the_right_and_bottom(photo: Path) -> None:
    found = InputOptions(letterbox="64", channels="bgr", range="255").applied(IMAGENET).read(photo)
    assert found.shape == (3, 64, 64)
    assert (found[:, 42:] == 114).all()
    scaled = Image.open(photo).resize((64, 42), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(found[:, :42], np.asarray(scaled).astype(np.float32)[..., ::-1].transpose(2, 0, 1))


def test_a_letterbox_scales_up_too_and_takes_height_and_width(photo: Path) -> None:
    found = InputOptions(letterbox="80x240").applied(protocol("none")).read(photo)
    assert found.shape == (3, 80, 240)
    np.testing.assert_allclose(found[:, :, 120:], 114 / 255)
    assert not np.allclose(found[:, :, 119], 114 / 255)


def test_size_is_exact_and_resize_and_crop_change_their_own_step(photo: Path) -> None:
    assert InputOptions(size="30x20").applied(IMAGENET).read(photo).shape == (3, 30, 20)
    changed = InputOptions(resize="50", crop="32x48").applied(IMAGENET)
    assert (changed.resize, changed.crop, changed.mean) == (50, (32, 48), MEAN)
    assert changed.read(photo).shape == (3, 32, 48)
    assert InputOptions(crop="200").applied(IMAGENET).resize == 256
    assert InputOptions(resize="30x30").applied(protocol("none")).read(photo).shape == (3, 30, 30)


def test_a_crop_that_is_larger_than_the_image_is_refused_by_name(photo: Path) -> None:
    with pytest.raises(InvalidInput, match=r"x\.png: the crop of 50 x 50 is larger than its 40 x 60 pixels"):
        InputOptions(crop="50").applied(protocol("none")).read(photo)


def test_range_mean_and_deviation_are_applied_in_that_order(photo: Path) -> None:
    found = InputOptions(range="-1,1", mean="0.5", std="0.25,0.5,1").applied(protocol("none")).read(photo)
    wanted = (pixels_of(photo) / 255 * 2 - 1 - 0.5) / np.array([0.25, 0.5, 1])
    np.testing.assert_allclose(found, wanted.transpose(2, 0, 1), rtol=1e-5, atol=1e-6)
    assert InputOptions(range="255").applied(IMAGENET).mean is None


def test_the_channels_order_takes_mean_and_deviation_with_it(photo: Path) -> None:
    plain, swapped = (InputOptions(size="8", channels=order).applied(IMAGENET) for order in ("rgb", "bgr"))
    np.testing.assert_array_equal(plain.read(photo)[::-1], swapped.read(photo))
    grey = InputOptions(size="8", channels="grey").applied(IMAGENET)
    assert grey.read(photo).shape == (1, 8, 8)
    assert grey.mean is None


def test_linear_scaling_does_not_average(photo: Path) -> None:
    smooth, sharp = (
        InputOptions(size="10", interpolation=how).applied(protocol("none")).read(photo)
        for how in ("bilinear", "linear")
    )
    assert sharp.std() > 1.5 * smooth.std()
    half = InputOptions(size="20x30", interpolation="linear").applied(protocol("none")).read(photo)
    blocks = pixels_of(photo).reshape(20, 2, 30, 2, 3).mean((1, 3)) / 255
    np.testing.assert_allclose(half, blocks.transpose(2, 0, 1), atol=0.01)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": "0"}, "--size 0"),
        ({"size": "big"}, "--size big"),
        ({"crop": "1x2x3"}, "--crop 1x2x3"),
        ({"letterbox": "99999"}, "1 to 16384"),
        ({"size": "4", "letterbox": "4"}, "--size and --letterbox exclude"),
        ({"letterbox": "4", "crop": "4"}, "--letterbox and --crop exclude"),
        ({"range": "1,0"}, "--range 1,0"),
        ({"range": "nan"}, "--range nan"),
        ({"mean": "a"}, "--mean a"),
        ({"mean": "1,2"}, "2 numbers for 3 channels"),
        ({"std": "0"}, "above 0"),
        ({"channels": "cmyk"}, "--channels cmyk"),
        ({"interpolation": "sinc"}, "--interpolation sinc"),
    ],
)
def test_an_option_that_is_not_understood_is_named(options: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        InputOptions(**options).applied(IMAGENET)  # type: ignore[arg-type]


def test_a_function_of_the_users_reads_pillows_image(tmp_path: Path, photo: Path) -> None:
    source = """
import numpy as np
def half(image): return np.asarray(image)[::2, ::2].transpose(2, 0, 1) / 128
def flat(image): return 1
def broken(image): return image.nothing
"""
    (tmp_path / "mine.py").write_text(source)
    ours = named(f"{tmp_path / 'mine.py'}:half")
    np.testing.assert_allclose(ours.read(photo), pixels_of(photo)[::2, ::2].transpose(2, 0, 1) / 128)
    with pytest.raises(InvalidInput, match="--size cannot change"):
        InputOptions(size="4").applied(ours)
    for name, message in (("flat", r"x\.png.*gave"), ("broken", r"x\.png.*AttributeError")):
        with pytest.raises(InvalidInput, match=message):
            named(f"{tmp_path / 'mine.py'}:{name}").read(photo)
    with pytest.raises(InvalidInput, match="no function 'absent'"):
        named(f"{tmp_path / 'mine.py'}:absent")


def test_arrays_of_8_bits_are_images_and_floats_are_inputs(tmp_path: Path, photo: Path) -> None:
    image = np.asarray(Image.open(photo))
    wanted = protocol("cifar").read(photo)
    for values in (image, image.transpose(2, 0, 1)):
        np.save(tmp_path / "y.npy", values)
        np.testing.assert_array_equal(protocol("cifar").read(tmp_path / "y.npy"), wanted)
    np.save(tmp_path / "y.npy", image[..., 0])
    assert InputOptions(channels="grey").applied(protocol("none")).read(tmp_path / "y.npy").shape == (1, 40, 60)
    np.save(tmp_path / "y.npy", wanted)
    np.testing.assert_array_equal(IMAGENET.read(tmp_path / "y.npy"), wanted)


class ImageClassification:
    """What torchvision's weights have under that name, as far as it is used."""

    resize_size, crop_size, mean, std, interpolation = [232], [224], [0.5, 0.4, 0.3], [0.2, 0.2, 0.2], "bicubic"


def test_torchvision_brings_its_weights_transforms(monkeypatch: pytest.MonkeyPatch) -> None:
    models = types.ModuleType("torchvision.models")
    weights = SimpleNamespace(DEFAULT=SimpleNamespace(transforms=ImageClassification))
    models.get_model_weights = lambda name: weights  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.models", models)
    found = brought("torchvision:resnet18", torch.nn.Identity())
    assert found.words == (
        "torchvision:resnet18: RGB, shorter side to 232 (bicubic), centre crop 224 x 224, 0 to 1, "
        "mean 0.5 0.4 0.3, deviation 0.2 0.2 0.2"
    )
    weights.DEFAULT.transforms = lambda: np.asarray
    assert brought("torchvision:raft", torch.nn.Identity()).function is np.asarray


def test_timm_brings_the_configuration_of_its_weights() -> None:
    net = torch.nn.Identity()
    net.pretrained_cfg = {
        "input_size": (3, 240, 240), "crop_pct": 0.95, "crop_mode": "center", "interpolation": "bicubic",
        "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5),
    }  # fmt: skip
    found = brought("timm:some_net", net)
    assert (found.resize, found.crop, found.interpolation) == (252, (240, 240), "bicubic")
    net.pretrained_cfg["crop_mode"] = "squash"
    assert brought("timm:some_net", net).resize == (252, 252)
    assert brought("timm:bare", torch.nn.Identity()) is IMAGENET


def onnx_file(path: Path, kind: str, shape: list[int | str]) -> str:
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    nodes = [helper.make_node("Cast", ["image"], ["out"], to=1)]
    head = helper.make_tensor_value_info("image", getattr(onnx.TensorProto, kind), shape)
    graph = helper.make_graph(nodes, "g", [head], [helper.make_tensor_value_info("out", 1, None)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return str(path)


@pytest.mark.parametrize(
    ("kind", "shape", "words"),
    [
        ("FLOAT", [1, 3, 224, 224], "RGB, shorter side to 256 (bilinear), centre crop 224 x 224, 0 to 1, mean"),
        ("FLOAT", [1, 3, 96, 64], "RGB, scaled to 96 x 64 (bilinear), 0 to 1, mean"),
        ("FLOAT", [1, 1, 28, 28], "grey, shorter side to 32 (bilinear), centre crop 28 x 28, 0 to 1"),
        ("UINT8", ["n", 64, 96, 3], "RGB, scaled to 64 x 96 (bilinear), 0 to 255"),
        ("UINT8", ["n", "h", "w", 3], "RGB, shorter side to 256 (bilinear), centre crop 224 x 224, 0 to 255"),
    ],
)
def test_the_input_of_an_onnx_file_gives_the_default(
    tmp_path: Path, kind: str, shape: list[int | str], words: str
) -> None:
    pytest.importorskip("onnxruntime")
    from fmapzip.eval.models import load_model

    file = onnx_file(tmp_path / "x.onnx", kind, shape)
    found = brought(file, load_model(file)).words
    assert found.startswith(f"onnx input {'float32' if kind == 'FLOAT' else 'uint8'} [")
    assert words in found
    assert ("mean" in found) == ("mean" in words)
