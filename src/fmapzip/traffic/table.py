"""The report of ``fmapzip traffic`` for a terminal, from its JSON alone."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from fmapzip.tables import Figures, number, quotient, size

COLUMNS = ["map", "raw", "mean", "worst", "reads", "weights", "before", "after", "MAC/B", "bound", "ratio"]


def render(report: dict[str, Any]) -> RenderableType:
    """A table of maps, and what it comes to.

    Parameters
    ----------
    report
        As docs/TRAFFIC_JSON.md describes it.
    """
    table = Figures(COLUMNS, left_out=["MAC/B", "weights", "reads", "raw"], left_aligned=["bound"])
    table.rows = [_row(tap) for tap in report["taps"]]
    total = report["total"]
    sums = [_sum(report, key) for key in ("raw_frame", "mean_frame", "worst_frame")]
    moved = [
        size(total["raw_bytes"]),
        size(total["coded_bytes"]),
        "",
        "",
        _ratio(total["raw_bytes"], total["coded_bytes"]),
    ]
    table.total = ["with the input", *map(size, sums), "", "", *moved]
    heading = Text.assemble(
        (report["model"], "bold"), " on ", (report["data"], "bold"), f", {report['codec']}: one image"
    )
    heading.append(f", frames of {report['images']} images")
    unknown = report["without_energy"]
    if unknown:
        named = "all maps" if len(unknown) == len(report["taps"]) else ", ".join(unknown)
        heading.append(f"\nnote: the energy of coding is not counted of {named}: no block was measured", "yellow")
    for name in report["left_out"]:
        heading.append(f"\nnote: weights and multiplications of {name} are not known", "yellow")
    return Group(heading, Text(), table, Text(), _conclusion(report))


def _row(tap: dict[str, Any]) -> list[str]:
    reads = sum(layer["reads"] for layer in tap["layers"])
    weights = sum(layer["weight_bytes"] for layer in tap["layers"])
    frames = [size(tap[key]) for key in ("raw_frame", "mean_frame", "worst_frame")]
    bounds = dict.fromkeys((tap["raw_bound"], tap["coded_bound"]))
    intensity = number(tap["coded_macs_per_byte"], 1)
    moved = [size(tap["raw_bytes"]), size(tap["coded_bytes"]), intensity, " to ".join(bounds)]
    return [tap["name"], *frames, number(reads, 2), size(weights), *moved, _ratio(tap["raw_bytes"], tap["coded_bytes"])]


def _sum(report: dict[str, Any], key: str) -> float:
    return float(sum(tap[key] for tap in report["taps"]))


def _ratio(before: float, after: float) -> str:
    return number(quotient(before, after), 2)


def _conclusion(report: dict[str, Any]) -> Text:
    total, chip = report["total"], report["chip"]
    energies = [f"{total[key]:.3f} mJ" for key in ("raw_millijoules", "coded_millijoules")]
    times = [f"{1000 * total[key]:.3f} ms" for key in ("raw_seconds", "coded_seconds")]
    largest = max(report["taps"], key=lambda tap: tap["worst_frame"] / tap["mean_frame"])
    worst = _ratio(largest["worst_frame"], largest["mean_frame"])
    text = Text(f"energy {energies[0]} before, {energies[1]} after, at {chip['dram_pj_per_bit']:g} pJ a bit of DRAM")
    text.append(f"; {total['codec_millijoules']:.4f} mJ of it for coding")
    estimated = chip["codec_pj_per_value"] is None and len(report["without_energy"]) < len(report["taps"])
    text.append(", estimated from gates and their activity" if estimated else "")
    text.append(f"\ntime {times[0]} before, {times[1]} after, at {chip['bandwidth'] / 1e9:g} GB/s and")
    text.append(f" {chip['macs_per_second'] / 1e9:g} GMAC/s; {size(chip['buffer_bytes'])} on chip")
    text.append(f"\nbound by computing from {total['ridge']:.1f} multiplications a byte on")
    text.append(
        f"\nworst frame against mean: up to {worst} ({largest['name']}), all maps {total['worst_over_mean']:.2f}"
    )
    text.append("; buffers must hold the worst")
    return text
