"""What a link makes of the ways to run a network, and the choice of a cut for it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn

from fmapzip.cli.app import run
from fmapzip.cli.exits import Exit
from fmapzip.documents.partition import PARTITION
from fmapzip.errors import InvalidInput
from fmapzip.registry import make
from fmapzip.report.model import model_of
from fmapzip.split import load
from fmapzip.split.partition import Conditions, Way, best, break_even
from fmapzip.split.survey import survey

HERE = Way("here", (), "", 0.2, 0.0, 0.0, 0.0, 0.0, 0.0)
IMAGE = Way("image", (), "", 0.01, 0.22, 60_000, 4000, 0.0, 0.3)
RAW = Way("raw", ("a",), "raw", 0.05, 0.15, 100_000, 4000, 100_000, 0.01)
CODED = Way("coded", ("a",), "coded", 0.06, 0.16, 30_000, 4000, 100_000, 0.01)
WAYS = [HERE, IMAGE, RAW, CODED]


def test_latency_is_the_sum_and_the_interval_the_slowest_part() -> None:
    there = Conditions(bandwidth=8e6, round_trip=0.02, client_slower=4)
    assert CODED.latency(there) == pytest.approx(4 * 0.06 + 0.02 + 34_000 / 1e6 + 0.16)
    assert CODED.interval(there) == pytest.approx(0.24)
    assert RAW.interval(Conditions(0.8e6, 0.02)) == pytest.approx(1.0)
    assert HERE.latency(there) == HERE.interval(there) == pytest.approx(0.8)


def test_the_best_way_depends_on_the_link_the_device_and_the_distortion() -> None:
    def name(bandwidth: float, slower: float, goal: str = "latency", most: float | None = None) -> str:
        return best(WAYS, Conditions(bandwidth, 0.02, slower), goal, most)[0].name

    assert name(1e9, 1) == "here"
    assert name(1e9, 8) == "image"
    assert name(1e9, 8, most=0.1) == "raw"
    assert name(4e6, 8, most=0.1) == "coded"
    assert name(1e4, 8) == "here"
    assert name(1e9, 1, goal="images", most=0.1) == "raw"


def test_break_even_is_where_both_take_the_same() -> None:
    even = break_even(CODED, RAW, 4)
    there = Conditions(even.latency, 0.02, 4)
    assert CODED.latency(there) == pytest.approx(RAW.latency(there))
    there = Conditions(even.interval, 0.02, 4)
    assert CODED.interval(there) == pytest.approx(RAW.interval(there))
    assert break_even(RAW, CODED, 4).latency == 0
    free = Way("free", ("a",), "free", 0.05, 0.15, 30_000, 4000, 100_000, 0.01)
    assert break_even(free, RAW, 4).latency == math.inf


def test_the_least_energy_is_that_of_computing_and_of_the_link() -> None:
    there = Conditions(8e6, 0.02, 4, device_watts=5, radio_watts=2)
    assert CODED.energy(there) == pytest.approx(4 * 0.06 * 5 + 34_000 / 1e6 * 2)
    assert HERE.energy(there) == pytest.approx(4 * 0.2 * 5)
    assert best(WAYS, there, "energy", None)[0] is IMAGE
    assert best(WAYS, replace(there, radio_watts=200), "energy", 0.1)[0] is HERE
    assert CODED.energy(Conditions(8e6, 0.02)) is None
    with pytest.raises(InvalidInput, match="watts"):
        best(WAYS, Conditions(8e6, 0.02), "energy", None)
    with pytest.raises(InvalidInput, match="both"):
        Conditions(8e6, 0.02, device_watts=5)


def test_a_survey_measures_the_cuts_that_can_be_best(network: nn.Sequential, images: Tensor) -> None:
    found = survey(network, images, [make("context-rans"), make("context-rans", step=6)])
    assert found.cuts == 5
    cuts = {way.at for way in found.ways if way.at}
    assert len(cuts) == found.measured_cuts
    assert ("6",) in cuts
    assert ("2.conv2",) not in cuts
    for at in cuts:
        raw, exact, coarse = (way for way in found.ways if way.at == at)
        assert (raw.codec, exact.codec) == ("raw", "context-rans")
        assert raw.sent >= raw.uncoded
        assert coarse.sent < raw.sent
        assert raw.distortion == exact.distortion <= coarse.distortion


def test_the_command_chooses_for_a_link(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["split", "demo", "demo", "--limit", "30", "-o", str(tmp_path / "net")]
    assert run(where) == Exit.INPUT
    assert run([*where, "--at", "classifier", "--bandwidth", "1"]) == Exit.INPUT
    capsys.readouterr()
    report, page = tmp_path / "report.json", tmp_path / "report.html"
    options = ["--bandwidth", "10", "--rtt", "5", "--client-slower", "1000", "--json", str(report), "--html", str(page)]
    assert run([*where, "--at", "classifier", "--html", str(page)]) == Exit.INPUT
    assert run([*where, *options]) == Exit.OK
    out = capsys.readouterr().out
    assert "10 Mbit/s, 5 ms" in out
    found = json.loads(report.read_text())
    assert PARTITION.checked(found) == found
    assert found["conditions"]["bandwidth"] == 1e7
    near = min(range(41), key=lambda i: abs(found["bandwidths"][i] - 1e7))
    assert all(way["latencies"][near] == pytest.approx(way["latency"]) for way in found["ways"])
    shown = model_of(found)
    assert {"all on the device", found["ways"][0]["name"]} <= {line["name"] for line in shown["lines"]}
    assert found["ways"][0]["name"] in shown["summary"][0]
    assert "partitionPage" in page.read_text()
    chosen = next(way for way in found["ways"] if way["codec"] == "context-rans")
    assert load(tmp_path / "net").manifest.at == tuple(chosen["at"])
    assert run([*where, *options, "--max-distortion", "0"]) == Exit.INPUT
    assert "no cut has a distortion" in capsys.readouterr().err


def test_vectors_that_are_no_class_scores_are_judged_by_their_error(network: nn.Sequential, images: Tensor) -> None:
    scores, vectors = (survey(network, images, [make("context-rans")], metrics=m) for m in ("auto", "output"))
    assert (scores.class_scores, vectors.class_scores) == (True, False)
    with torch.inference_mode():
        exact = network(images).double()
    whole = max(way.distortion for way in vectors.ways)
    assert 0 < whole < float((exact - exact.mean()).square().sum() / exact.square().sum())
    with pytest.raises(InvalidInput, match="class scores"):
        survey(nn.Conv2d(3, 4, 3).eval(), images, [make("raw")], metrics="classes")


def test_images_can_be_sent_themselves(tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    for i in range(6):
        rough = Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8))
        rough.resize((20, 20)).save(tmp_path / "images" / f"{i}.png")
    (tmp_path / "net.py").write_text(
        "import torch\nfrom torch import nn\ndef network():\n    torch.manual_seed(0)\n"
        "    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(),"
        " nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))\n"
    )
    report = tmp_path / "report.json"
    command = ["split", f"{tmp_path / 'net.py'}:network", str(tmp_path / "images"), "--preprocess", "cifar"]
    options = ["--calib", "every:2", "-o", str(tmp_path / "net"), "--bandwidth", "1", "--json", str(report)]
    assert run([*command, *options]) == Exit.OK
    ways = {way["name"]: way for way in json.loads(report.read_text())["ways"]}
    assert ways["send the image, pixels"]["sent"] == 20 * 20 * 3
    assert ways["send the image, pixels"]["distortion"] < 1e-12
    assert ways["send the image, PNG"]["distortion"] < 1e-12
    coarse, fine = ways["send the image, JPEG 75"], ways["send the image, JPEG 95"]
    assert coarse["sent"] < fine["sent"]
    assert min(coarse["distortion"], fine["distortion"]) > 1e-12
    assert load(tmp_path / "net").manifest.preprocess is not None
