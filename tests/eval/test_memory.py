import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("resource")

PROGRAM = """
import resource, sys
from fmapzip.cli.app import run
code = run(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, code)
"""

NET = """
import torch
from torch import nn

def net():
    torch.manual_seed(0)
    body = [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3)]
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for i in range(4):
        np.save(tmp_path / f"{i}.npy", rng.normal(size=(3, 64, 64)).astype(np.float32))
    (tmp_path / "net.py").write_text(NET)
    return tmp_path


def peak(folder: Path, images: int, *command: str) -> int:
    """Peak memory in MiB of a command on that many images; all their maps as floats take 0.25 MiB an image."""
    rows = "".join(f"{i % 4}.npy,{i % 10}\n" for i in range(images))
    (folder / "labels.csv").write_text("file,label\n" + rows)
    options = ["--preprocess", "none", "--calib", "first:8", "--batch", "8"]
    arguments = [command[0], "net.py:net", ".", *options, *command[1:]]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], check=True, cwd=folder, capture_output=True, text=True
    )
    used, code = done.stdout.splitlines()[-1].split()
    assert code == "0"
    return int(used)


@pytest.mark.parametrize(
    "command",
    [("eval", "--codec", "zvc", "--per-image", "i.jsonl"), ("capture", "-o", "maps.fmz")],
    ids=["eval", "capture"],
)
def test_peak_memory_does_not_depend_on_the_number_of_images(folder: Path, command: tuple[str, ...]) -> None:
    few, many = (peak(folder, images, *command) for images in (32, 480))
    assert many - few < 12
