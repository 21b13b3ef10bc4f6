"""What a metric found, in words."""

from __future__ import annotations

from typing import Any


def task_words(task: dict[str, Any]) -> str:
    """One figure of a metric, what was lost of it, and how far chance reaches.

    Examples
    --------
    >>> task_words({"figure": "mAP", "value": 33.5, "loss": 0.25, "loss_interval": [-0.1, 0.6]})
    'mAP 33.50, 0.25 less than the float network (95 % interval -0.10 to 0.60).'
    """
    text = f"{task['figure']} {_rounded(task['value'])}"
    if task["loss"] is not None:
        text += f", {_rounded(task['loss'])} less than the float network"
    if task["loss_interval"] is not None:
        low, high = map(_rounded, task["loss_interval"])
        text += f" (95 % interval {low} to {high})"
    return text + "."


def _rounded(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
