"""The commands on ONNX files: in floating point and quantized, from first look to a graph that stores its maps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx", reason="the extra 'onnx' is not installed")
pytest.importorskip("onnxruntime_extensions", reason="the extra 'onnx' is not whole")

from onnx import helper, numpy_helper

from fmapzip.archive import Archive
from fmapzip.cli.app import run
from fmapzip.cli.exits import Exit
from fmapzip.eval.models import load_model
from fmapzip.onnx import session
from fmapzip.plan import Plan
from fmapzip.split import cut
from fmapzip.torch import compress_model

RNG = np.random.default_rng(0)


def weights(*shape: int) -> np.ndarray[Any, Any]:
    return (0.3 * RNG.standard_normal(shape)).astype(np.float32)


def network() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Conv", ["image", "w1"], ["a"], "stem/Conv", pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["r"], "stem/Relu"),
        helper.make_node("Conv", ["r", "w2"], ["b"], "body/Conv", pads=[1] * 4),
        helper.make_node("Tanh", ["b"], ["t"], "body/Tanh"),  # not only positive: its zero point is no limit
        helper.make_node("Conv", ["t", "w3"], ["c"], "head/Conv"),
        helper.make_node("GlobalAveragePool", ["c"], ["g"], "pool"),
        helper.make_node("Flatten", ["g"], ["scores"], "flatten"),
    ]
    constants = {"w1": weights(8, 1, 3, 3), "w2": weights(8, 8, 3, 3), "w3": weights(4, 8, 1, 1)}
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, ["n", 1, 12, 12])],
        [helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images, ``float.onnx``, and ``quantized.onnx``, which ONNX Runtime's own quantizer made of it."""
    from onnxruntime import quantization

    made = tmp_path_factory.mktemp("onnx")
    onnx.save(network(), made / "float.onnx")
    (made / "images").mkdir()
    images = [RNG.normal(0, 1, (1, 12, 12)).astype(np.float32) for _ in range(12)]
    for i, image in enumerate(images):
        np.save(made / "images" / f"{i}.npy", image)
    left = [{"image": image[None]} for image in images[:4]]

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc, unused-ignore]
        def get_next(self) -> dict[str, Any] | None:
            return left.pop() if left else None

    quantization.quantize_static(made / "float.onnx", made / "quantized.onnx", Reader())
    return made


def where(folder: Path, model: str) -> list[str]:
    return [str(folder / model), str(folder / "images"), "--preprocess", "none", "--calib", "every:2"]


@pytest.mark.parametrize("model", ["float.onnx", "quantized.onnx"])
def test_eval_capture_and_bench_take_onnx_files(folder: Path, tmp_path: Path, model: str) -> None:
    report = tmp_path / "report.json"
    words = ["--codec", "context-rans", "--codec", "zvc", "--json", str(report)]
    assert run(["eval", *where(folder, model), *words]) == Exit.OK
    found = json.loads(report.read_text())
    assert {tap["name"] for tap in found["codecs"][0]["taps"]} == {"body/Conv", "head/Conv"}
    assert run(["capture", *where(folder, model), "-o", str(tmp_path / "maps.fmz")]) == Exit.OK
    with Archive(tmp_path / "maps.fmz") as archive:
        assert archive.plan is not None
        own = [tap.quantizer.calibrator == "network" for tap in archive.plan]
    assert own == [model == "quantized.onnx"] * 2
    assert run(["bench", *where(folder, model), "--codec", "zvc", "--codec", "zstd", "--images", "1"]) == Exit.OK
    assert run(["bench", str(tmp_path / "maps.fmz"), "--codec", "zvc", "--images", "1"]) == Exit.OK


@pytest.mark.parametrize("model", ["float.onnx", "quantized.onnx"])
def test_a_plan_of_an_onnx_file_is_made_evaluated_and_exported(folder: Path, tmp_path: Path, model: str) -> None:
    plan, stored, report = tmp_path / "plan.fmzp", tmp_path / "stored.onnx", tmp_path / "report.json"
    assert run(["plan", *where(folder, model), "--min-sqnr", "20", "-o", str(plan)]) == Exit.OK
    assert run(["eval", *where(folder, model), "--plan", str(plan), "--json", str(report)]) == Exit.OK
    assert run(["export", str(folder / model), "--plan", str(plan), "-o", str(stored)]) == Exit.OK
    images = np.stack([np.load(path) for path in sorted((folder / "images").glob("*.npy"))])
    scores, sizes = session(stored).run(None, {"image": images})
    (exact,) = session_of(folder / model).run(None, {"image": images})
    assert sizes.shape == (len(images), len(Plan.load(plan)))
    assert np.sum((scores - exact) ** 2) < 0.02 * np.sum(exact**2)  # 17 dB, with some room


def session_of(path: Path) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def test_a_plan_for_another_network_is_refused_with_its_exit_code(folder: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.fmzp"
    assert (
        run(["plan", "demo", "demo", "--limit", "20", "--max-kl", "0.1", "--codec", "zvc", "-o", str(plan)]) == Exit.OK
    )
    code = run(["export", str(folder / "float.onnx"), "--plan", str(plan), "-o", str(tmp_path / "stored.onnx")])
    assert code == Exit.INPUT
    assert not (tmp_path / "stored.onnx").exists()


def test_an_onnx_file_is_tuned_evaluated_and_exported_with_its_tuned_weights(folder: Path, tmp_path: Path) -> None:
    new, plan, report, stored = (tmp_path / name for name in ("new.safetensors", "new.fmzp", "eval.json", "new.onnx"))
    how = ["--epochs", "2", "--batch", "4", "--lambda", "1", "--learning-rate", "0.01"]
    assert run(["tune", *where(folder, "float.onnx"), *how, "-o", str(new), "--plan-out", str(plan)]) == Exit.OK
    tuned = ["--weights", str(new), "--plan", str(plan)]
    assert run(["eval", *where(folder, "float.onnx"), *tuned, "--json", str(report)]) == Exit.OK
    assert json.loads(report.read_text())["codecs"][0]["ratio_payload"] > 1
    assert run(["export", str(folder / "float.onnx"), *tuned, "-o", str(stored)]) == Exit.OK
    net = load_model(str(folder / "float.onnx"), new)
    images = np.stack([np.load(path) for path in sorted((folder / "images").glob("*.npy"))])
    with torch.inference_mode():
        wanted = compress_model(net, Plan.load(plan))(torch.from_numpy(images)).numpy()
        untuned = load_model(str(folder / "float.onnx"))(torch.from_numpy(images)).numpy()
    (scores, _) = session(stored).run(None, {"image": images})
    assert np.abs(scores - wanted).max() < 0.1 * np.abs(untuned - wanted).max()


def test_halves_of_an_onnx_file_with_tuned_weights_hold_those_weights(folder: Path, tmp_path: Path) -> None:
    net = load_model(str(folder / "float.onnx"))
    changed = {name: value + 0.1 for name, value in net.state_dict().items()}
    torch.save(changed, tmp_path / "changed.pt")
    changed_net = load_model(str(folder / "float.onnx"), tmp_path / "changed.pt")
    image = torch.from_numpy(np.load(folder / "images" / "0.npy"))[None]
    with torch.inference_mode():
        halves = cut(changed_net, image, at="body/Conv")
        assert halves.onnx is None
        assert torch.equal(halves.tail(*halves.head(image)), changed_net(image))
        assert not torch.allclose(changed_net(image), net(image))


def test_a_file_of_integers_is_not_tuned(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["-o", str(tmp_path / "new.safetensors"), "--plan-out", str(tmp_path / "new.fmzp"), "--epochs", "1"]
    assert run(["tune", *where(folder, "quantized.onnx"), *out, "--batch", "4"]) == Exit.INPUT
    assert "own 8-bit integers is not learned" in capsys.readouterr().err
