"""Workloads for ZigZag and AccelForge from `fmapzip traffic`, and ZigZag's figures with a codec."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from fmapzip.cli.app import run
from fmapzip.errors import InvalidInput
from fmapzip.traffic import export
from fmapzip.traffic.layers import Loops, layers


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The report and both workloads of the demo network."""
    folder = tmp_path_factory.mktemp("traffic")
    files = {name: folder / f"{name}.yaml" for name in ("json", "zigzag", "accelforge")}
    options = [part for name, file in files.items() for part in (f"--{name}", str(file))]
    assert run(["traffic", "demo", "demo", "--codec", "context-rans", "--limit", "10", *options]) == 0
    return {"folder": folder, **{name: json.loads(file.read_text()) for name, file in files.items()}}


def test_loops_say_what_a_layer_reads() -> None:
    net = nn.Sequential(nn.Conv2d(4, 8, (3, 5), stride=(2, 1), padding="valid", groups=2, dilation=(1, 2)))
    net.extend([nn.Flatten(2), nn.Conv1d(8, 6, 3, padding=1), nn.Linear(9 * 12, 10)])
    net.append(nn.Unflatten(1, (6, 1)))
    net.append(nn.ConvTranspose2d(6, 3, 4))
    found = [layer.loops for layer in layers(net, torch.zeros(1, 4, 20, 20)).values()]
    assert found[0] == Loops(2, 4, 2, 9, 12, 3, 5, SY=2, DX=2)
    assert found[1] == Loops(1, 6, 8, 1, 108, FX=3, PX=1)
    assert found[2] == Loops(1, 10, 108, 1, 6)
    assert found[3] is None


def test_workloads_have_the_networks_multiplications(written: dict[str, Any]) -> None:
    report = written["json"]
    every = [*report["input_layers"], *(layer for tap in report["taps"] for layer in tap["layers"])]
    macs = [layer["macs"] for layer in every]
    assert [prod(layer["loop_sizes"]) for layer in written["zigzag"]] == macs
    sizes = {name: int(says.rpartition(" ")[2]) for name, says in _workload(written)["iteration_space_shape"].items()}
    found = [prod(size for name, size in sizes.items() if name.strip("gkcoyxf") == str(i)) for i in range(len(macs))]
    assert found == macs


def _workload(written: dict[str, Any]) -> Any:
    return written["accelforge"]["workload"]


def test_bits_of_a_value_are_those_that_were_measured(written: dict[str, Any]) -> None:
    ratios = export.input_ratios(written["json"])
    stored = written["accelforge"]["variables"]["stored_bits"]
    assert len(stored) == 2 * len(written["zigzag"])
    for einsum, (name, ratio) in zip(_workload(written)["einsums"], ratios.items(), strict=True):
        assert einsum["name"].endswith(name.replace(".", "_").replace("#", "_"))
        read, weights, _ = (access["name"] for access in einsum["tensor_accesses"])
        assert stored[read] == pytest.approx(8 * ratio)
        assert weights not in stored


def test_figures_are_scaled_at_the_outermost_memory_alone(written: dict[str, Any], tmp_path: Path) -> None:
    names = [layer["name"] for layer in written["zigzag"]]
    outer = {"I": [{"rd": 7.0}, {"rd": 20.0, "wr": 10.0}], "O": [{"rd": 2.0}, {"wr": 40.0}], "W": [5.0]}
    energy = {"energy_total": 100.0, "memory_energy_breakdown_per_level_per_operand": outer}
    for name in names:
        (tmp_path / f"{name}_complete.json").write_text(json.dumps({"outputs": {"energy": energy}}))
    found = export.zigzag_energy(written["json"], tmp_path)
    ratios, mean = export.input_ratios(written["json"]), export.mean_ratio(written["json"])
    saved = sum(30 * (1 - ratios[name]) for name in names) + 40 * (1 - mean) * (len(names) - 1)
    assert (found["raw"], found["raw_memory"]) == (100 * len(names), 75 * len(names))
    assert found["raw"] - found["coded"] == pytest.approx(saved)
    assert found["raw_memory"] - found["coded_memory"] == pytest.approx(saved)
    (tmp_path / f"{names[0]}_complete.json").write_text("{}")
    with pytest.raises(InvalidInput, match="not what ZigZag writes"):
        export.zigzag_energy(written["json"], tmp_path)
    with pytest.raises(InvalidInput, match="has no"):
        export.zigzag_energy(written["json"], tmp_path / "none")


def test_zigzag_runs_the_workload_and_its_energy_is_scaled(written: dict[str, Any]) -> None:
    api = pytest.importorskip("zigzag.api", exc_type=ImportError)
    inputs = Path(api.__file__).parent / "inputs"
    folder = written["folder"] / "dump"
    energy, *_ = api.get_hardware_performance_zigzag(
        str(written["folder"] / "zigzag.yaml"),
        *(str(inputs / part / "tpu_like.yaml") for part in ("hardware", "mapping")),
        opt="energy",
        dump_folder=str(folder),
        lpf_limit=3,
        nb_spatial_mappings_generated=1,
        loma_show_progress_bar=False,
    )
    found = export.zigzag_energy(written["json"], folder)
    assert found["raw"] == pytest.approx(energy)
    assert found["raw_memory"] < found["raw"]
    assert found["coded"] < 0.9 * found["raw"]
