"""AccelForge loads the workload that is written for it, and its DRAM moves what was measured."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
accelforge = pytest.importorskip("accelforge", exc_type=ImportError)  # Python 3.12 and newer

from fmapzip.traffic import export


def layer(name: str, channels: int, maps: int, side: int) -> dict[str, Any]:
    """A layer of 3x3 kernels, as docs/TRAFFIC_JSON.md describes it."""
    loops = {"G": 1, "K": maps, "C": channels, "OY": side, "OX": side, "FY": 3, "FX": 3}
    return {"name": name, "loops": {**loops, "SY": 1, "SX": 1, "DY": 1, "DX": 1, "PY": 0, "PX": 0}}


REPORT = {
    "input_layers": [layer("first", 3, 16, 8)],
    "taps": [
        {"layers": [layer("second", 16, 16, 6), layer("beside", 16, 8, 6)], "raw_frame": 1024, "mean_frame": 256.0},
        {"layers": [layer("last.conv", 16, 4, 4)], "raw_frame": 576, "mean_frame": 432.0},
    ],
}


def moved(folder: Path, workload: Path, memory: str) -> dict[str, float]:
    """Energy of the outermost memory for the tensors of the second layer; `memory` is said of that memory."""
    text = Path(accelforge.examples.arches.simple).read_text("utf-8")
    chip = folder / "chip.yaml"
    chip.write_text(text.replace("    name: MainMemory\n", f"    name: MainMemory\n{memory}", 1), "utf-8")
    spec = accelforge.Spec.from_yaml(str(chip), str(workload))
    found = spec.map_workload_to_arch(einsum_names=["L1_second"], print_progress=False)
    energy = found.energy(per_component=True, per_tensor=True)
    return {str(tensor): value for (part, tensor), value in energy.items() if part == "MainMemory" and value}


@pytest.mark.skipif(shutil.which("dot") is None, reason="AccelForge draws its mappings with Graphviz")
def test_a_memory_of_coded_maps_moves_what_was_measured(tmp_path: Path) -> None:
    workload = tmp_path / "workload.yaml"
    export.write(export.accelforge_workload(REPORT), workload)
    raw = moved(tmp_path, workload, "")
    coded = moved(tmp_path, workload, "    bits_per_value: stored_bits\n")
    ratios = {tensor: coded[tensor] / raw[tensor] for tensor in raw}
    assert ratios == pytest.approx({"I1": 256 / 1024, "W1": 1.0, "O1": export.mean_ratio(REPORT)}, rel=1e-4)
