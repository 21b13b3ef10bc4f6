"""README's commands run as they stand, and with a network and a folder of images of one's own."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from fmapzip.cli.app import run

README = Path(__file__).parents[2] / "README.md"
FEWER_IMAGES = ["--limit", "10"]
FEWER = {"bench": [*FEWER_IMAGES, "--images", "2"]}

NETS = """
import torch
from torch import nn

def small():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10),
    )
"""


def commands() -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text("utf-8"), re.S)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("fmapzip ")]
    return [shlex.split(line)[1:] for line in lines]


def test_the_commands_of_readme_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    names = []
    for command in commands():
        assert run([*command, *FEWER.get(command[0], FEWER_IMAGES)]) == 0, command
        names.append(command[0])
    assert names == ["eval", "plan", "eval", "tune", "eval", "bench"]
    tuned = ["tuned.fmzp", "tuned.safetensors"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["arena.html", "plan.fmzp", "report.html", *tuned]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("torch")
    image = pytest.importorskip("PIL.Image")
    monkeypatch.chdir(tmp_path)
    Path("nets.py").write_text(NETS, "utf-8")
    Path("photos").mkdir()
    rng = np.random.default_rng(0)
    for i in range(10):
        image.fromarray(rng.integers(0, 256, (24, 32, 3), np.uint8)).save(f"photos/{i}.png")
    return tmp_path


def test_a_folder_of_images_alone_is_enough(own: Path) -> None:
    words = ["nets.py:small", "photos", "--codec", "zvc"]
    assert run(["eval", *words, "--json", "r.json", "--html", "r.html", "--per-image", "lines.jsonl"]) == 0
    report = json.loads(Path("r.json").read_text("utf-8"))
    assert (report["images"], report["protocol"]["labels"]) == (8, "none: a folder of images alone")
    assert report["codecs"][0]["top1"] is None
    assert report["codecs"][0]["output_sqnr_db"] > 20
    assert [json.loads(line)["label"] for line in Path("lines.jsonl").read_text("utf-8").splitlines()] == [None] * 8
    assert run(["capture", "nets.py:small", "photos", "-o", "maps.fmz"]) == 0


def test_class_scores_compare_without_labels(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["nets.py:small", "photos", "--codec", "zvc", "--metrics", "classes"]
    assert run(["eval", *words]) == 0
    assert "KL" in capsys.readouterr().out
    assert run(["plan", *words, "--max-kl", "0.1", "-o", "p.fmzp", "--json", "p.json"]) == 0
    report = json.loads(Path("p.json").read_text("utf-8"))
    assert report["verifying"]["drop"] is None
    assert any("verified on 1 image only" in note for note in report["notes"])
