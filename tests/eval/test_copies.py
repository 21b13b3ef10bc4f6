"""Recall of distorted copies: which there are, how they are read, and what counts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PIL")
torch = pytest.importorskip("torch")
from PIL import Image

from fmapzip.cli.app import run
from fmapzip.errors import InvalidInput
from fmapzip.eval.copies import with_copies
from fmapzip.eval.data import load_data
from fmapzip.eval.distortions import SETS, distortions
from fmapzip.eval.input_options import InputOptions
from fmapzip.eval.preprocess import protocol
from fmapzip.torch.tasks import ready

READ = InputOptions(size="16").applied(protocol("none"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for i in range(8):
        small = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8))
        (tmp_path / "photos").mkdir(exist_ok=True)
        small.resize((60, 50), Image.Resampling.BICUBIC).save(tmp_path / "photos" / f"{i}.png")
    return tmp_path / "photos"


@pytest.mark.parametrize("name", SETS["all"] | SETS["harder"])
def test_every_distortion_gives_another_image_the_same_each_time(folder: Path, name: str) -> None:
    image = Image.open(folder / "0.png").convert("RGB")
    once, again = (np.asarray(distortions(name)[name](image)) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    assert once.shape[2] == 3
    assert once.shape != (50, 60, 3) or (once != np.asarray(image)).mean() > 0.3


def test_a_distortion_that_is_not_there_is_named() -> None:
    with pytest.raises(InvalidInput, match="no distortion 'mirror'; there are easy, hard, harder, all, crop"):
        distortions("flip+mirror")


def test_each_image_is_followed_by_its_copies_and_a_gallery_comes_last(folder: Path) -> None:
    data = with_copies(load_data(str(folder), READ).select([1, 4]), READ, "flip+dark", str(folder))
    assert data.names[:6] == ("1.png", "1.png (flip)", "1.png (dark)", "4.png", "4.png (flip)", "4.png (dark)")
    assert len(data) == 6 + 8
    assert data.target is not None
    assert data.target(4) == {"image": "4.png", "copy": "flip"}
    assert data.target(6) == {"image": f"{folder}/0.png", "copy": None}
    np.testing.assert_allclose(data.read(4), data.read(3)[:, :, ::-1], atol=0.02)
    np.testing.assert_allclose(data.read(5), data.read(3) / 2, atol=0.01)


def test_floats_are_no_image_to_make_a_copy_of(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 3, 4, 4), np.float32))
    data = with_copies(load_data(str(tmp_path / "x.npy"), READ), READ, "flip")
    with pytest.raises(InvalidInput, match="no image to make a copy of"):
        data.read(1)
    with pytest.raises(InvalidInput, match="images in files"):
        with_copies(load_data("demo"), READ, "flip")


def test_recall_counts_an_image_once_however_many_copies_it_has() -> None:
    metric = ready("recall_at_1")
    vectors = {"a": [1.0, 0.0], "b": [0.0, 1.0]}
    kept = [metric.image(torch.tensor(vectors[name]), {"image": name, "copy": None}) for name in "ab"]
    for name, copy, vector in (
        ("a", "x", [2.0, 1]),
        ("a", "y", [1.0, 2]),
        ("b", "x", [0.1, 9]),
        ("gone", "x", [1, 1.0]),
    ):
        kept.append(metric.image(torch.tensor(vector), {"image": name, "copy": copy}))
    assert [unit["recall@1"] for unit in metric.units(kept)] == [50, 100]
    assert metric.figures(metric.units(kept)) == {"recall@1": 75}
    with pytest.raises(InvalidInput, match="image, copy"):
        metric.image(torch.zeros(2), 3)


NET = """
import torch
def net():
    torch.manual_seed(0)
    first, second = torch.nn.Conv2d(3, 8, 3, 2), torch.nn.Conv2d(8, 16, 3, 2)
    return torch.nn.Sequential(first, torch.nn.ReLU(), second, torch.nn.Flatten())
"""


def test_eval_and_plan_by_recall(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET)
    words = [f"{tmp_path / 'net.py'}:net", str(folder), "--preprocess", "none", "--size", "16", "--calib", "every:2"]
    report = tmp_path / "r.json"
    metric = ["--metric", "recall_at_1:copies=jpeg+flip"]
    assert run(["eval", *words, "--codec", "zvc", *metric, "--json", str(report)]) == 0
    found = json.loads(report.read_text())
    assert found["images"] == 4 * 3
    assert found["calibration_images"] == 4
    (task,) = found["codecs"][0]["tasks"]
    assert (task["figure"], task["loss"]) == ("recall@1", 0)
    assert 0 < task["value"] < 100
    assert run(["eval", *words, "--codec", "zvc", *metric, "--metric", "psnr"]) == 3
    plan = ["plan", *words, "-o", str(tmp_path / "p.fmzp"), "--codec", "context-rans", "--time-limit", "0"]
    assert run([*plan, "--max-metric-loss", "recall@1=10", *metric, "--json", str(report)]) == 0
    assert json.loads(report.read_text())["task"]["loss"] <= 10
    assert json.loads(report.read_text())["calibration_images"] == 4 * 3
