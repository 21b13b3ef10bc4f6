"""What the page shows of a report of ``fmapzip tune``: the way that the epochs took, and each map before and after."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from fmapzip.report.settings import changed_settings

Values = dict[str, Any]
_ENDS = {
    "epochs": "all epochs done",
    "time": "time was up",
    "patience": "no better for some epochs",
    "nan": "the loss was no number",
}


def model_of_tuning(report: Values, conditions: list[tuple[str, str]]) -> Values:
    """The page's data.

    Parameters
    ----------
    report
        As docs/TUNE_JSON.md describes it.
    conditions
        Names and values of the environment.
    """
    kl = report["distortion"] == "kl"
    epochs = [_epoch(epoch) for epoch in report["epochs"]]
    return {
        "title": f"Tuning: {_short(report['model'])} on {_short(report['tuned_on'])}",
        "kind": "tune",
        "facts": [
            ("taps", str(len(report["taps"]))),
            ("tuning images", str(report["tuning_images"])),
            ("calibration images", str(report["calibration_images"])),
            ("epochs", f"{len(epochs) - 1}, {_ENDS[report['stopped']]}"),
            ("kept", f"epoch {report['kept']}"),
            ("plan", f"{report['plan']['bytes']} bytes"),
        ],
        "summary": _words(report, kl),
        "environment": conditions,
        "metric": {"name": "KL to the untuned network, nats" if kl else "squared error over squares", "log": True},
        "kept": report["kept"],
        "epochs": epochs,
        "untuned": [
            {"bits": point["real_bits"], "distortion": point["distortion"], "coarser": point["coarser"]}
            for point in untuned_curve(report)
        ],
        "taps": [],
        "maps": [{**tap, "label": tap["codec"] + changed_settings(tap["config"])} for tap in report["taps"]],
        "rows": [],
        "notes": [
            "Bits are of frames alone, a value, on images that are held back from training; 'fmapzip eval' with the "
            "tuned weights and their plan measures the result with every byte counted.",
            "Epoch 0 is the network before tuning, stored as it was asked for; the curve of the untuned network goes "
            "on from there with all grids coarser by one factor.",
        ],
    }


def untuned_curve(report: Values) -> list[Values]:
    """The untuned network's points, from the most bits on: epoch 0, then coarser grids."""
    return [{**report["epochs"][0], "coarser": 1.0}, *report["untuned"]]


def without_training(report: Values, bits: float) -> float | None:
    """The distortion of the untuned network at as many bits a value, between its points; None beyond them."""
    points = [(point["real_bits"], point["distortion"]) for point in untuned_curve(report) if point["distortion"]]
    for (more, low), (fewer, high) in pairwise(points):
        if fewer <= bits <= more and fewer < more:
            share = (more - bits) / (more - fewer)
            return math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
    return None


def _words(report: Values, kl: bool) -> list[str]:
    first, last = report["epochs"][0], report["epochs"][report["kept"]]
    name = "KL" if kl else "error"
    found = [
        f"Tuning brought the maps from {first['real_bits']:.3f} to {last['real_bits']:.3f} bits a value, ratio "
        f"{_ratio(first['real_bits'])} to {_ratio(last['real_bits'])}, and {name} from "
        f"{_small(first['distortion'])} to {_small(last['distortion'])}.",
    ]
    alone = without_training(report, last["real_bits"])
    if alone is not None:
        found.append(f"The untuned network stored in as many bits has {name} {_small(alone)}.")
    before, after = (sum(tap[key] * tap["values"] for tap in report["taps"]) for key in ("zeros_before", "zeros_after"))
    values = sum(tap["values"] for tap in report["taps"])
    found.append(f"Zeros: {before / values:.1%} before, {after / values:.1%} after.")
    return found


def _epoch(epoch: Values) -> Values:
    kept = ("number", "lambda", "task", "distortion", "seconds")
    return {**{key: epoch[key] for key in kept}, "expected": epoch["bits"], "bits": epoch["real_bits"]}


def _ratio(bits: float | None) -> str:
    return f"{8 / bits:.2f}" if bits else "-"


def _small(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _short(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2]
