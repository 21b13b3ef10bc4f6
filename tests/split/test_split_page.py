"""The commands and the program of docs/SPLIT.md run as they stand, on a small network and images of these names."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("grpc")
pytest.importorskip("grpc_health")

from certificates import authority, certificate

from fmapzip.split import load
from serving import ServerProcess

PAGE = (Path(__file__).parents[2] / "docs" / "SPLIT.md").read_text("utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
(PROGRAM,) = re.findall(r"```py\n(.*?)```", PAGE, re.DOTALL)
TOKEN = "0123456789abcdef"

NETWORK = """
import torch
from torch import nn


def squeezenet1_1():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 7, stride=8), nn.ReLU(), nn.Conv2d(4, 4, 3, stride=2), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)).eval()
"""


def command(name: str) -> list[str]:
    (found,) = [words for words in map(shlex.split, COMMANDS) if words[:2] == ["fmapzip", name]]
    return found[1:]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with everything that the page names."""
    from PIL import Image

    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: certificates cannot be made")
    (tmp_path / "nets.py").write_text(NETWORK)
    rng = np.random.default_rng(0)
    for name in ("imagenet200", "images"):
        (tmp_path / name).mkdir()
        for i in range(5):
            rough = Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8))
            rough.resize((256, 256)).save(tmp_path / name / f"{i}.png")
    authority(tmp_path, "ca")
    certificate(tmp_path, "server")
    (tmp_path / "tokens.txt").write_text(f"camera {TOKEN}\n")
    (tmp_path / "token.txt").write_text(f"{TOKEN}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fmapzip(*words: str) -> str:
    return subprocess.run([sys.executable, "-m", "fmapzip", *words], check=True, capture_output=True, text=True).stdout


def test_the_page_runs(place: Path) -> None:
    assert "Mbit/s" in fmapzip(*command("split"), "--torch-threads", "1")
    (place / "squeezenet").rename(place / "net")
    serve = command("serve")
    assert serve[:2] == ["serve", "net/"]
    with ServerProcess(Path("net"), *serve[2:], insecure=False) as server:
        address = f"localhost:{server.address.rpartition(':')[2]}"
        sent = fmapzip(*(address if word == "server:8443" else word for word in command("send")))
        assert "p99 ms" in sent
        images = torch.rand(2, 3, 224, 224)
        names = {"token": TOKEN, "images": images, "stream": images.split(1)}
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(PROGRAM.replace("server:8443", address), names)
        assert "ClientReport(images=4" in printed.getvalue()
        assert names["scores"].shape == (2, 5)
        assert torch.equal(torch.cat(names["outputs"]), names["scores"])
    assert load("net").manifest.preprocess is not None
