"""Cuts that send a part of the channels, or channels with steps of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn

from fmapzip.cli.app import run
from fmapzip.cli.exits import Exit
from fmapzip.errors import InvalidInput
from fmapzip.registry import make
from fmapzip.split import cut, load, save_split
from fmapzip.split.reduction import Scaled, fewer_channels, weighted_channels
from fmapzip.split.survey import survey


class Repeated(nn.Module):
    """Two channels, and six that are linear in them."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 2, 3)
        self.mix = nn.Conv2d(2, 6, 1)
        self.last = nn.Conv2d(8, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.last(torch.cat([x, self.mix(x)], 1)).mean((2, 3))


def test_channels_that_others_tell_need_not_cross(images: Tensor, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = Repeated().eval()
    whole = cut(net, images[:1], "last")
    assert [tap.shape for tap in whole.taps] == [(8, 10, 10)]
    reduced = fewer_channels(whole, images, 0.25)
    assert [tap.shape for tap in reduced.taps] == [(2, 10, 10)]
    with torch.inference_mode():
        torch.testing.assert_close(reduced.tail(*reduced.head(images)), net(images), rtol=1e-3, atol=1e-3)
        worse = fewer_channels(whole, images, 0.125)
        assert (worse.tail(*worse.head(images)) - net(images)).abs().max() > 0.01
    save_split(reduced, tmp_path / "net", images)
    split = load(tmp_path / "net")
    assert split.manifest.maps[0].shape == (2, 10, 10)
    with torch.inference_mode():
        assert torch.equal(split(images), split.tail(*split.codec.decode(split.codec.encode(split.head(images)))))


def test_the_kept_channels_are_exact_and_maps_without_negatives_stay_so(network: nn.Sequential, images: Tensor) -> None:
    whole = cut(network, images[:1], "3.conv2")
    half = fewer_channels(whole, images, 0.5)
    assert [tap.shape[0] for tap in half.taps] == [4, 4]
    steps = [half.tail.flat.get_submodule(f"received_{i}") for i in range(2)]
    with torch.inference_mode():
        for before, sent, step in zip(whole.head(images), half.head(images), steps, strict=True):
            completed = step(sent)
            same = [i for i in range(8) if torch.equal(completed[:, i], before[:, i])]
            assert len(same) >= 4
            assert completed.min() >= 0


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, 2.0])
def test_a_share_is_between_none_and_all(network: nn.Sequential, images: Tensor, share: float) -> None:
    with pytest.raises(InvalidInput, match="share"):
        fewer_channels(cut(network, images[:1], "3.conv1"), images, share)


def test_channels_that_the_output_hardly_reads_get_coarser_steps(images: Tensor) -> None:
    torch.manual_seed(0)
    last = nn.Conv2d(4, 3, 1)
    with torch.no_grad():
        last.weight[:, 1] *= 0.001
        last.weight[:, 2] *= 0.5
    net = nn.Sequential(nn.Conv2d(3, 4, 3), last, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    whole = cut(net, images[:1], "1")
    weighted = weighted_channels(whole, images)
    scaled = weighted.head.get_submodule("sent_0")
    assert isinstance(scaled, Scaled)
    assert scaled.factors.max() == 1
    assert scaled.factors[1] == 1 / 8
    with torch.inference_mode():
        torch.testing.assert_close(weighted.tail(*weighted.head(images)), net(images))


def test_vectors_cross_as_they_are(images: Tensor) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(432, 8), nn.ReLU(), nn.Linear(8, 4)).eval()
    whole = cut(net, images[:1], "3")
    assert fewer_channels(whole, images, 0.5).taps == whole.taps


def test_the_planner_tries_them_and_the_command_makes_the_best(
    tmp_path: Path, network: nn.Sequential, images: Tensor
) -> None:
    found = survey(network, images, [make("context-rans")], reductions=["none", "weighted", "1/2"])
    for at in {way.at for way in found.ways if way.at}:
        ways = {(way.codec, way.reduction): way for way in found.ways if way.at == at}
        assert set(ways) == {("raw", "none"), *(("context-rans", form) for form in ("none", "weighted", "1/2"))}
        assert ways["context-rans", "1/2"].uncoded == ways["context-rans", "none"].uncoded
        if at == ("2.conv1",):
            assert ways["context-rans", "1/2"].sent < ways["context-rans", "none"].sent
            assert ways["context-rans", "1/2"].distortion > ways["context-rans", "none"].distortion
    command = ["split", "demo", "demo", "--limit", "30", "-o", str(tmp_path / "net")]
    assert run([*command, "--at", "stages.2.conv1", "--reduction", "1/2", "--reduction", "1/4"]) == Exit.INPUT
    assert run([*command, "--at", "stages.2.conv1", "--reduction", "1/4"]) == Exit.OK
    assert load(tmp_path / "net").manifest.maps[0].shape[0] == 8
    report = tmp_path / "report.json"
    assert run([*command, "--bandwidth", "0.01", "--reduction", "1/4", "--json", str(report)]) == Exit.OK
    ways = json.loads(report.read_text())["ways"]
    assert {way["reduction"] for way in ways if way["codec"] == "context-rans"} == {"1/4"}
    assert all("1/4 of the channels" in way["name"] for way in ways if way["reduction"] == "1/4")
