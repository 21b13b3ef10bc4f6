"""`fmapzip traffic`: the model of a chip, by hand on small layers, and the command on the demo network."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from fmapzip.cli.app import run
from fmapzip.errors import InvalidInput
from fmapzip.eval.request import Request
from fmapzip.registry import make
from fmapzip.report.model import model_of
from fmapzip.traffic import run as traffic
from fmapzip.traffic.chip import Chip, Reading, reading
from fmapzip.traffic.codec_energy import DECODERS, ENCODERS
from fmapzip.traffic.layers import Layer, layers


def test_layers_count_multiplications_and_weights() -> None:
    net = nn.Sequential(nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2), nn.Flatten(), nn.Linear(8 * 16, 10))
    net.append(nn.Unflatten(1, (10, 1, 1)))
    net.append(nn.ConvTranspose2d(10, 3, 4, stride=2))
    found = layers(net, torch.zeros(1, 4, 8, 8))
    assert [found[name].macs for name in ("0", "2", "4")] == [8 * 16 * 2 * 9, 1280, 10 * 3 * 16]
    assert [found[name].weights for name in ("0", "2", "4")] == [8 * 2 * 9, 1280, 480]
    assert (found["0"].rows, found["0"].kernel, found["0"].stride) == (8, 3, 2)


def test_a_layer_called_twice_is_two_layers() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 2, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(self.conv(x))  # type: ignore[no-any-return]

    assert set(layers(Twice(), torch.zeros(1, 2, 3, 3))) == {"conv", "conv#2"}


@pytest.mark.parametrize(
    ("weights", "buffer", "expected"),
    [
        (100, 10_000, Reading("rows", 1, 1.0, 500.0)),  # all of it fits
        (1000, 500, Reading("rows", 2, 1.25, 2500.0)),  # 5 rows stay: 1-5, then 4-8
        (200, 500, Reading("weights", 1, 1.0, 600.0)),  # the weights fit beside 3 rows
        (1000, 250, Reading("rows", 6, 2.25, 6900.0)),  # not even 3 rows fit: they are kept all the same
    ],
)
def test_a_map_of_eight_rows_is_read_in_the_cheaper_order(weights: int, buffer: int, expected: Reading) -> None:
    layer = Layer("conv", 0, weights, rows=8, kernel=3, stride=1, input_values=800)
    assert reading(layer, 400.0, buffer) == expected


def test_a_chip_without_memory_is_refused() -> None:
    with pytest.raises(InvalidInput, match="must be positive"):
        Chip(buffer_bytes=0)


def test_the_command_adds_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "traffic.json"
    options = ["--limit", "10", "--buffer", "8", "--codec-energy", "2", "--json", str(file)]
    options += ["--html", str(tmp_path / "traffic.html")]
    assert run(["traffic", "demo", "demo", "--codec", "zvc", *options]) == 0
    found = json.loads(file.read_text())
    for tap in found["taps"]:
        assert tap["raw_bytes"] == tap["raw_frame"] + sum(layer["raw_bytes"] for layer in tap["layers"])
        assert tap["coded_bytes"] == pytest.approx(
            tap["mean_frame"] + sum(layer["coded_bytes"] for layer in tap["layers"])
        )
        assert tap["worst_frame"] >= tap["mean_frame"]
    total = found["total"]
    assert total["raw_bytes"] == found["input_bytes"] + sum(tap["raw_bytes"] for tap in found["taps"])
    assert total["raw_millijoules"] == pytest.approx(total["raw_bytes"] * 8 * 20 / 1e9)
    reads = [sum(layer["coded_reads"] for layer in tap["layers"]) for tap in found["taps"]]
    coded_values = sum(tap["raw_frame"] * (1 + often) for tap, often in zip(found["taps"], reads, strict=True))
    assert total["codec_millijoules"] == pytest.approx(coded_values * 2 / 1e9)
    assert total["coded_millijoules"] == pytest.approx(total["coded_bytes"] * 160 / 1e9 + total["codec_millijoules"])
    assert total["ridge"] == 40
    for tap in found["taps"]:
        assert (tap["coded_bound"] == "compute") == (tap["coded_macs_per_byte"] >= total["ridge"])
        for layer in tap["layers"]:
            loops = layer["loops"]
            assert layer["macs"] == prod(loops[each] for each in ("G", "K", "C", "OY", "OX", "FY", "FX"))
    assert "stages.0.conv1" in capsys.readouterr().out
    model = model_of(found)
    assert [each["bytes_after"] for each in model["maps"]] == [tap["coded_bytes"] for tap in found["taps"]]
    assert f"of {len(found['taps'])} maps" in model["summary"][-1]
    assert model["maps"][0]["weights"] == sum(layer["weight_bytes"] for layer in found["taps"][0]["layers"])
    assert model["title"] in (tmp_path / "traffic.html").read_text()


def test_energy_of_coding_is_estimated_from_gates_or_said_to_be_unknown() -> None:
    request = Request("demo", "demo", limit=10)
    known = traffic(request, make("zvc"), Chip(), lambda *_: None)
    assert known["without_energy"] == []
    assert {tap["decode_pj"] for tap in known["taps"]} == {DECODERS["zvc"].picojoules()}
    other = traffic(request, make("context-rans", level="max"), Chip(), lambda *_: None)
    assert other["without_energy"] == [tap["name"] for tap in other["taps"]]
    assert other["total"]["codec_millijoules"] == 0
    assert model_of(other)["notes"][-1].startswith("The energy of coding is not counted of all maps")


def test_logic_is_that_of_the_committed_synthesis_and_proof() -> None:
    results = Path(__file__).parents[1] / "benchmarks" / "results"
    areas = {(r["block"], r["values"]): r["kge"] for r in json.loads((results / "synthesis.json").read_text())["rows"]}
    proof = json.loads((results / "hardware_proof.json").read_text())
    activities = {(r["block"], r["values"]): r["activity"] for r in proof["coverage"]}
    for logic in [*ENCODERS.values(), *DECODERS.values()]:
        key = logic.block, logic.values
        rates = [r["values_per_cycle"] for r in proof["rows"] if (r["block"], r["values"]) == key]
        assert logic.kge == areas[key]
        assert logic.activity == pytest.approx(activities[key], abs=0.001)
        assert min(rates) <= logic.rate <= max(rates)


def test_the_command_takes_a_plan_or_a_codec(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["traffic", "demo", "demo"]) == 3
    assert "one of them" in capsys.readouterr().err


def test_files_of_one_name_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(tmp_path / "layers.yaml")
    assert run(["traffic", "demo", "demo", "--codec", "zvc", "--zigzag", file, "--json", file]) == 3
    assert "two outputs of this command are named so" in capsys.readouterr().err
