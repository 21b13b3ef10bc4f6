"""Codecs of an installed package are planned like ours: by the entry point alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn

import fmapzip
from fmapzip import registry
from fmapzip.bench.baseline_codec import BaselineCodec
from fmapzip.errors import InvalidInput
from fmapzip.planner import Budget, make_plan
from fmapzip.torch import evaluate

MODULE = '''
import time
import zlib
from dataclasses import dataclass, replace

import numpy as np

from fmapzip.codecs.base import PythonCodec, Tradeoff


@dataclass(frozen=True, repr=False)
class Rounded(PythonCodec):
    """Multiples of a step, deflated; says what it makes of maps."""

    id = "toy-rounded"

    step: int = 1

    @property
    def lossless(self):
        return self.step == 1

    def tradeoffs(self):
        return (Tradeoff(lambda step, maps: replace(self, step=int(step)), requantizes=True),)

    def approximation(self, maps):
        top = np.iinfo(maps.dtype).max // self.step * self.step
        return np.clip(np.rint(maps / self.step) * self.step, -top, top).astype(maps.dtype)

    def encode_tile(self, tile, parameters):
        return zlib.compress(self.approximation(tile).tobytes())

    def decode_tile(self, body, shape, dtype, parameters):
        return np.frombuffer(zlib.decompress(body), dtype).reshape(shape)


@dataclass(frozen=True, repr=False)
class Silent(Rounded):
    """The same with a step that need not be whole, and no word on what it makes of maps."""

    id = "toy-silent"

    def tradeoffs(self):
        return (Tradeoff(lambda step, maps: replace(self, step=max(1, round(step)))),)

    def approximation(self, maps):
        return None

    def encode_tile(self, tile, parameters):
        return zlib.compress(Rounded(self.step).approximation(tile).tobytes())


@dataclass(frozen=True, repr=False)
class Plain(Rounded):
    """Lossless, and nothing else."""

    id = "toy-plain"

    def tradeoffs(self):
        return ()


@dataclass(frozen=True, repr=False)
class Slow(Plain):
    """The same, and takes a hundredth of a second for each tile."""

    id = "toy-slow"

    def decode_tile(self, body, shape, dtype, parameters):
        time.sleep(0.01)
        return super().decode_tile(body, shape, dtype, parameters)
'''

ENTRY_POINTS = """[fmapzip.codecs]
toy-rounded = toy_codecs:Rounded
toy-silent = toy_codecs:Silent
toy-plain = toy_codecs:Plain
toy-slow = toy_codecs:Slow
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package whose metadata name the codecs, on the path."""
    (tmp_path / "toy_codecs.py").write_text(MODULE)
    metadata = tmp_path / "toy_codecs-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-codecs\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(tmp_path)
    registry._installed.cache_clear()
    yield
    registry._installed.cache_clear()


def _images(network: nn.Module) -> list[tuple[Tensor, Tensor]]:
    x = torch.nn.functional.avg_pool2d(torch.randn(16, 3, 20, 20), 3, 1) * 2
    with torch.no_grad():
        return [(x, network(x * 2).argmax(1))]


def _network() -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(72, 10)).eval()


@pytest.mark.parametrize("name", ["toy-rounded", "toy-silent", "toy-plain"])
@pytest.mark.usefixtures("installed")
def test_a_codec_of_an_entry_point_is_planned(name: str) -> None:
    network = _network()
    images = _images(network)
    found = make_plan(network, images, Budget("kl", 0.005), codecs=[name])
    assert found.met
    assert {tap.codec.id for tap in found.plan} == {name}
    assert max(candidate.step for candidate in found.chosen) > 1
    assert any(tap.codec.config()["step"] > 1 for tap in found.plan) == (name != "toy-plain")
    assert evaluate(network, images, [fmapzip.Plan.from_bytes(found.plan.to_bytes())]).codecs[0].ratio_payload > 2


@pytest.mark.usefixtures("installed")
def test_codecs_that_decode_too_slowly_are_left_out() -> None:
    network = _network()
    images, lossless, codecs = _images(network), Budget("kl", 0), ["toy-slow", "raw"]
    most = 8 * 20 * 20 / 0.01 / 1e6  # MB/s that the slow one can reach on the largest map
    assert "toy-slow" in {tap.codec.id for tap in make_plan(network, images, lossless, codecs=codecs).plan}
    found = make_plan(network, images, lossless, codecs=codecs, min_decode=most)
    assert {tap.codec.id for tap in found.plan} == {"raw"}
    assert any(note.startswith("Slow(step=1) is left out: it decodes at ") for note in found.notes)
    with pytest.raises(InvalidInput, match="no codec decodes at"):
        make_plan(network, images, lossless, codecs=["toy-slow"], min_decode=most)


def test_a_baseline_with_steps_is_planned_map_by_map() -> None:
    network = _network()
    images = _images(network)
    codec = BaselineCodec(baseline="projection")
    found = make_plan(network, images, Budget("ratio", 3.0), codecs=[codec])
    assert found.met
    assert len({tap.codec for tap in found.plan}) > 1
    assert all(json.loads(tap.parameters.partition(b"\0")[0])["error"] > 0 for tap in found.plan)
    plan = fmapzip.Plan.from_bytes(found.plan.to_bytes())
    assert evaluate(network, images, [plan]).codecs[0].ratio_payload > 3
    assert not BaselineCodec(baseline="huffman").tradeoffs()
