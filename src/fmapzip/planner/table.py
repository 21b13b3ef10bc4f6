"""A plan's report as tables for a terminal, from the report's JSON object alone."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from fmapzip.report.settings import changed_settings
from fmapzip.tables import Figures, number, size

Report = dict[str, Any]


def render(report: Report) -> RenderableType:
    """The choice for each feature map, then what the plan does on both groups of images."""
    heading = Text.assemble((report["model"], "bold"), " on ", (report["data"], "bold"))
    heading.append(f"\nbudget: {report['budget']['words']}: ")
    heading.append("met" if report["met"] else "not met", "green" if report["met"] else "red")
    heading.append(_task(report))
    for note in report["notes"]:
        heading.append(f"\nnote: {note}", "yellow")
    return Group(heading, Text(), _taps(report), Text(), _figures(report), Text(), _legend(report))


def _task(report: Report) -> str:
    found = report["task"]
    if found is None:
        return ""
    text = f"\n{found['figure']} {found['value']:.2f} on {found['images']} images, {found['float_value']:.2f} in float"
    interval = found["loss_interval"]
    spread = "" if interval is None else f" (95 % interval {interval[0]:.2f} to {interval[1]:.2f})"
    return f"{text}: {found['loss']:.2f} lost{spread}"


def words(candidate: Report) -> str:
    """What a candidate is, in short: its codec and the settings that are not the defaults.

    Examples
    --------
    >>> words({"codec": "context-rans", "config": {"codec": "context-rans", "level": "default", "step": 3}})
    'context-rans:step=3'
    """
    return str(candidate["codec"]) + changed_settings(candidate["config"])


def _taps(report: Report) -> Figures:
    table = Figures(
        ["tap", "choice", "step", "clip ratio", "grid", "ratio", "bytes", "share %", "distortion alone", "runner-up"],
        left_out=["runner-up", "grid", "clip ratio", "bytes"],
        left_aligned=["choice", "grid", "runner-up"],
    )
    total = sum(tap["choice"]["bytes"] for tap in report["taps"])
    for tap in report["taps"]:
        choice, second = tap["choice"], tap["runner_up"]
        table.rows.append(
            [
                tap["name"],
                words(choice),
                number(choice["step"], 2),
                number(choice["clip_ratio"], 2),
                "channels" if choice["shaped"] else "tensor",
                number(tap["raw_bytes"] / choice["bytes"], 2),
                size(choice["bytes"]),
                number(choice["bytes"] / total, 1, 100),
                "-" if choice["distortion_alone"] is None else f"{choice['distortion_alone']:.2e}",
                "-" if second is None else f"{words(second)} step {second['step']:.3g}",
            ]
        )
    return table


def _figures(report: Report) -> Figures:
    kl = report["metric"] == "kl"
    distortion = (
        ["KL vs float", "8-bit KL", "expected drop", "top-1 lost", "95 % interval"] if kl else ["SQNR", "8-bit"]
    )
    table = Figures(["images", "number", "bytes", "ratio", "with plan", *distortion], left_aligned=["images"])
    for group in ("choosing", "verifying"):
        found = report[group]
        row = [group, str(found["images"]), size(found["frame_bytes"])]
        row += [number(found["ratio"], 3), number(found["ratio_with_plan"], 3)]
        row += _class_figures(found) if kl else _output_figures(found)
        table.rows.append(row)
    return table


def _class_figures(found: Report) -> list[str]:
    interval = found["drop_interval"]
    return [
        number(found["kl_vs_float"], 4),
        number(found["int8_kl_vs_float"], 4),
        number(found["expected_drop"], 2, 100),
        number(found["drop"], 2, 100),
        " to ".join(number(end, 1, 100) for end in interval) if interval else "-",
    ]


def _output_figures(found: Report) -> list[str]:
    return [number(found["output_sqnr_db"], 2), number(found["int8_output_sqnr_db"], 2)]


def _legend(report: Report) -> Text:
    distortion = "KL in nats" if report["metric"] == "kl" else "noise over signal of the output"
    return Text(
        f"{report['plan']['bytes']} bytes of plan, shared by {report['calibration_images']} calibration images.\n"
        "step: between reconstruction points, in steps of the calibrated 8-bit grid; clip ratio: largest value of the\n"
        f"grid, over the calibrated one's. distortion alone: {distortion}, the other maps in float. Drops are in\n"
        "points of top-1 against the 8-bit network; expected: by the float network's probabilities."
    )
