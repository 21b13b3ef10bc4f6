"""A tuning's report as tables for a terminal, from the report's JSON object alone."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from fmapzip.report.settings import changed_settings
from fmapzip.tables import Figures, number

Report = dict[str, Any]

_ENDS = {
    "epochs": "all epochs done",
    "time": "time is up",
    "patience": "no better for some epochs",
    "nan": "the loss was no number: what was best before is kept",
}


def render(report: Report) -> RenderableType:
    """How the epochs went, then each map before and after."""
    heading = Text.assemble((report["model"], "bold"), " tuned on ", (report["tuned_on"], "bold"))
    heading.append(f": {report['tuning_images']} images, some held back; {_ENDS[report['stopped']]}")
    heading.append(f"\nepoch {report['kept']} is kept; its plan is of {report['calibration_images']} images")
    target = _target(report)
    if target:
        heading.append(f"\n{target}")
    return Group(heading, Text(), _epochs(report), Text(), _taps(report), Text(), _legend(report))


def epoch_line(epoch: Report) -> str:
    """An epoch in one line.

    Examples
    --------
    >>> found = {"number": 2, "real_bits": 2.0, "bits": 1.98, "distortion": 0.0123, "lambda": 0.1}
    >>> epoch_line(found)
    'epoch 2: 2.000 bits a value (1.980 expected), ratio 4.00, distortion 0.0123, lambda 0.1'
    """
    return (
        f"epoch {epoch['number']}: {epoch['real_bits']:.3f} bits a value ({epoch['bits']:.3f} expected), "
        f"ratio {8 / epoch['real_bits']:.2f}, distortion {epoch['distortion']:.3g}, lambda {epoch['lambda']:.3g}"
    )


def _target(report: Report) -> str:
    """What was asked for, and what it came to on held-back images."""
    kept, protocol = report["epochs"][report["kept"]], report["protocol"]
    if protocol["target_ratio"] is not None and kept["real_bits"]:
        return f"asked for a ratio of {protocol['target_ratio']:g}; held-back images have {8 / kept['real_bits']:.3g}"
    if protocol["max_kl"] is not None:
        return f"asked for a KL of {protocol['max_kl']:g}; held-back images have {kept['distortion']:.3g}"
    return ""


def _epochs(report: Report) -> Figures:
    name = "KL" if report["distortion"] == "kl" else "error"
    table = Figures(["epoch", "lambda", "task", name, "expected bits", "bits", "ratio", "seconds"])
    for epoch in report["epochs"]:
        table.rows.append(
            [
                str(epoch["number"])
                + ("p" if epoch["replanned"] else "")
                + ("*" if epoch["number"] == report["kept"] else ""),
                f"{epoch['lambda']:.3g}",
                number(epoch["task"], 4),
                number(epoch["distortion"], 4),
                number(epoch["bits"], 3),
                number(epoch["real_bits"], 3),
                "-" if not epoch["real_bits"] else number(8 / epoch["real_bits"], 2),
                number(epoch["seconds"], 0),
            ]
        )
    return table


def _taps(report: Report) -> Figures:
    table = Figures(
        ["tap", "codec", "bits before", "bits", "expected", "zeros % before", "zeros %"],
        left_out=["codec", "zeros % before"],
        left_aligned=["codec"],
    )
    for tap in report["taps"]:
        table.rows.append(
            [
                tap["name"],
                tap["codec"] + changed_settings(tap["config"]),
                number(tap["bits_before"], 3),
                number(tap["bits_after"], 3),
                number(tap["expected_bits_after"], 3),
                number(tap["zeros_before"], 1, 100),
                number(tap["zeros_after"], 1, 100),
            ]
        )
    return table


def _legend(report: Report) -> Text:
    distortion = "KL in nats" if report["distortion"] == "kl" else "squared error over squares"
    return Text(
        f"On images that were held back from training: {distortion} against the network that tuning began with,\n"
        "bits a value of frames, and as training counts them (context-rans: level default, shared weights).\n"
        "*: kept; p: the planner's steps were taken.\n"
        "`fmapzip eval --weights ... --plan ...` measures the result."
    )
