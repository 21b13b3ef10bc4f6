"""Layers and measured bytes of ``fmapzip traffic`` for tools of the field: ZigZag and AccelForge.

Both take a workload as YAML; what is written here is JSON, which is YAML. Layers of one image, each for itself: which
layer's output becomes which map, through additions and activations, is not said, so outputs have the ratio of all maps.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fmapzip.errors import InvalidInput

Report = Mapping[str, Any]

BITS = 8
SUM_BITS = 16
"""Of partial sums, as ZigZag's parser of ONNX has them."""
DIMENSIONS = ["B", "G", "K", "C", "OY", "OX", "FY", "FX"]


def input_ratios(report: Report) -> dict[str, float]:
    """Coded bytes over raw ones of what each layer reads; 1 of the network's input.

    Examples
    --------
    >>> layer = {"name": "conv1", "loops": None}
    >>> report = {"taps": [{"layers": [layer], "raw_frame": 100, "mean_frame": 40.0}], "input_layers": []}
    >>> input_ratios(report)
    {'conv1': 0.4}
    """
    found = {layer["name"]: 1.0 for layer in report["input_layers"]}
    for tap in report["taps"]:
        found |= {layer["name"]: tap["mean_frame"] / tap["raw_frame"] for layer in tap["layers"]}
    return found


def mean_ratio(report: Report) -> float:
    """Coded bytes of all maps over raw ones."""
    raw, coded = (sum(tap[key] for tap in report["taps"]) for key in ("raw_frame", "mean_frame"))
    return float(coded / raw)


def zigzag_workload(report: Report) -> list[dict[str, Any]]:
    """The layers as ZigZag's parser of workloads takes them, 8 bits each value.

    Returns
    -------
    list of dict
        In the order of the report: those that read the network's input, then the readers of each map. Layers without
        loops are left out.
    """
    return [
        {
            "id": number,
            "name": layer["name"],
            "operator_type": "Conv",
            "equation": "O[b][g][k][oy][ox]+=W[g][k][c][fy][fx]*I[b][g][c][iy][ix]",
            "dimension_relations": [f"i{x}={loops[f'S{y}']}*o{x}+{loops[f'D{y}']}*f{x}" for x, y in ("yY", "xX")],
            "loop_dims": DIMENSIONS,
            "loop_sizes": [1, *(loops[dimension] for dimension in DIMENSIONS[1:])],
            "operand_precision": {"O": SUM_BITS, "O_final": BITS, "W": BITS, "I": BITS},
            "operand_source": {"I": number, "W": number},
            "pr_loop_dims": ["IY", "IX"],
            "padding": [[loops["PY"]] * 2, [loops["PX"]] * 2],
        }
        for number, (layer, loops) in enumerate(_layers(report))
    ]


def zigzag_energy(report: Report, folder: Path) -> dict[str, float]:
    """What ZigZag's figures come to with the codec, in its unit, picojoules.

    Parameters
    ----------
    report
        As docs/TRAFFIC_JSON.md describes it; the workload was its `zigzag_workload`.
    folder
        ZigZag's dumps: a ``NAME_complete.json`` for each layer.

    Returns
    -------
    dict
        `raw` and `coded`: energy of all layers; of that `raw_memory` and `coded_memory`, of the outermost memory. Its
        share of inputs is scaled by the ratio of the layer's map, its share of outputs, but for the last layer's,
        by that of all maps; weights and what is nearer to the multipliers stay. The codec's own energy is not in it.

    Raises
    ------
    InvalidInput
        A layer's figures are missing, or are not ZigZag's.
    """
    inputs, outputs = input_ratios(report), mean_ratio(report)
    total = dict.fromkeys(("raw", "coded", "raw_memory", "coded_memory"), 0.0)
    known = [layer["name"] for layer, _ in _layers(report)]
    for name in known:
        ratios = {"I": inputs[name], "O": 1.0 if name == known[-1] else outputs, "W": 1.0}
        figures = _figures(folder, name)
        outer = {operand: _sum(levels[-1]) for operand, levels in figures["outer"].items()}
        coded = sum(energy * ratios[operand] for operand, energy in outer.items())
        raw = sum(outer.values())
        total["raw"] += figures["energy"]
        total["coded"] += figures["energy"] - raw + coded
        total["raw_memory"] += raw
        total["coded_memory"] += coded
    return total


def _figures(folder: Path, name: str) -> dict[str, Any]:
    path = next(iter(folder.rglob(f"{name}_complete.json")), None)
    if path is None:
        raise InvalidInput(f"{folder} has no {name}_complete.json of ZigZag")
    try:
        energy = json.loads(path.read_text("utf-8"))["outputs"]["energy"]
        return {
            "energy": float(energy["energy_total"]),
            "outer": dict(energy["memory_energy_breakdown_per_level_per_operand"]),
        }
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"{path} is not what ZigZag writes of a layer ({error!r})") from error


def _sum(energy: Any) -> float:
    """Of one memory: a number, or one for each direction."""
    return float(sum(energy.values()) if isinstance(energy, dict) else energy)


def accelforge_workload(report: Report) -> dict[str, Any]:
    """The layers as AccelForge's workload, an Einsum each, with the bits that a value takes in memory.

    Returns
    -------
    dict
        Its `workload`, of 8 bits a value, and under `variables` a `stored_bits`: 8 times coded bytes over raw ones, of
        inputs and outputs. The memory of an architecture that says ``bits_per_value: stored_bits`` holds coded maps.
    """
    inputs, outputs = input_ratios(report), mean_ratio(report)
    shape: dict[str, str] = {}
    stored: dict[str, float] = {}
    einsums = []
    known = list(_layers(report))
    for number, (layer, loops) in enumerate(known):
        g, k, c, oy, ox, fy, fx = (f"{d.lower()}{number}" for d in DIMENSIONS[1:])
        sizes = (loops[dimension] for dimension in DIMENSIONS[1:])
        shape |= {name: f"0 <= {name} < {size}" for name, size in zip((g, k, c, oy, ox, fy, fx), sizes, strict=True)}
        stored[f"I{number}"] = BITS * inputs[layer["name"]]
        stored[f"O{number}"] = BITS * (1.0 if number == len(known) - 1 else outputs)
        rows, columns = (_reach(loops, axis, o, f) for axis, o, f in (("Y", oy, fy), ("X", ox, fx)))
        read = {f"G{number}": g, f"C{number}": c, f"IY{number}": rows, f"IX{number}": columns}
        names = {operand: f"{operand}{number}" for operand in "IWO"}
        einsums.append(
            {
                "name": re.sub(r"\W", "_", f"L{number}_{layer['name']}"),
                "tensor_accesses": [
                    {"name": names["I"], "projection": read},
                    {"name": names["W"], "projection": [g, k, c, fy, fx]},
                    {"name": names["O"], "projection": [g, k, oy, ox], "output": True},
                ],
                "renames": {"input": names["I"], "weight": names["W"], "output": names["O"]},
            }
        )
    workload = {"iteration_space_shape": shape, "bits_per_value": {"All": BITS}, "einsums": einsums}
    return {"variables": {"stored_bits": stored}, "workload": workload}


def _reach(loops: Mapping[str, int], axis: str, output: str, kernel: str) -> str:
    """Where a layer reads, as a sum of its loops; behind the padding."""
    stride, dilation = loops[f"S{axis}"], loops[f"D{axis}"]
    parts = [name if step == 1 else f"{step} * {name}" for step, name in ((stride, output), (dilation, kernel))]
    return " + ".join(parts)


def _layers(report: Report) -> Iterator[tuple[Mapping[str, Any], Mapping[str, int]]]:
    """Layers and their loops, the first ones first."""
    every = [*report["input_layers"], *(layer for tap in report["taps"] for layer in tap["layers"])]
    yield from ((layer, layer["loops"]) for layer in every if layer["loops"] is not None)


def write(workload: Any, path: Path) -> None:
    """Write a workload: JSON, which is YAML."""
    path.write_text(json.dumps(workload, indent=1) + "\n", "utf-8")
