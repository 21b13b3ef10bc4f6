"""What a plan may cost or must save."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from fmapzip.errors import InvalidInput

Kind = Literal["kl", "drop", "sqnr", "ratio", "bytes", "task"]
Metric = Literal["kl", "noise"]

_UNITS: dict[Kind, str] = {
    "kl": "nats of KL(float || plan)",
    "drop": "points of top-1 against the 8-bit network",
    "sqnr": "dB of output SQNR",
    "ratio": "times smaller than 8-bit raw",
    "bytes": "bytes an image",
    "task": "lost against the float network",
}


@dataclass(frozen=True)
class Budget:
    """A limit of one kind.

    Parameters
    ----------
    kind : {"kl", "drop", "sqnr", "ratio", "bytes", "task"}
        ``kl``: at most `value` nats of mean KL(float || plan). ``drop``: at most `value` points (percent) of top-1
        against the 8-bit network. ``sqnr``: an output SQNR of at least `value` dB. ``ratio``: frames and plan at least
        `value` times smaller than 8-bit raw. ``bytes``: at most `value` bytes of frames and plan an image.
        ``task``: a metric's figure at most `value` below the float network's, in the metric's own unit.
    value : float
        0 of ``kl`` or ``drop`` asks for a lossless plan.
    figure : str, optional
        Of the metric, for ``task``.

    Examples
    --------
    >>> str(Budget("task", 0.5, "mAP"))
    'at most 0.5 of mAP lost against the float network'
    >>> str(Budget("sqnr", 30))
    'at least 30 dB of output SQNR'
    """

    kind: Kind
    value: float
    figure: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in _UNITS:
            raise InvalidInput(f"there is no budget of kind {self.kind!r}; there are {', '.join(_UNITS)}")
        if not math.isfinite(self.value) or self.value < 0:
            raise InvalidInput(f"a budget of {self.value} {_UNITS[self.kind]}: it must be finite and at least 0")
        if (self.figure is not None) != (self.kind == "task"):
            raise InvalidInput("a figure goes with a budget of kind 'task', and only with it")
        if self.value == 0 and self.kind in ("ratio", "bytes"):
            raise InvalidInput(f"a budget of 0 {_UNITS[self.kind]} asks for nothing that can be planned")

    @property
    def limits_size(self) -> bool:
        """Whether it limits bytes, and the distortion is to be as small as that allows."""
        return self.kind in ("ratio", "bytes")

    @property
    def lossless(self) -> bool:
        """Whether nothing may be lost beyond the 8-bit quantization."""
        return self.value == 0 and self.kind in ("kl", "drop")

    def __str__(self) -> str:
        if self.figure is not None:
            return f"at most {self.value:g} of {self.figure} {_UNITS[self.kind]}"
        bound = "at least" if self.kind in ("sqnr", "ratio") else "at most"
        return f"{bound} {self.value:g} {_UNITS[self.kind]}"


def one_of(
    max_kl: float | None,
    max_drop: float | None,
    min_sqnr: float | None,
    min_ratio: float | None,
    max_bytes: float | None,
    max_metric_loss: str | None = None,
) -> Budget:
    """Return the one budget that is given.

    Raises
    ------
    InvalidInput
        None or several are given, or its value is out of range.
    """
    given: list[tuple[Kind, float]] = []
    choices: tuple[tuple[Kind, float | None], ...] = (
        ("kl", max_kl),
        ("drop", max_drop),
        ("sqnr", min_sqnr),
        ("ratio", min_ratio),
        ("bytes", max_bytes),
    )
    for kind, value in choices:
        if value is not None:
            given.append((kind, value))
    if len(given) + (max_metric_loss is not None) != 1:
        raise InvalidInput(
            "give one budget: --max-kl, --max-drop, --min-sqnr, --min-ratio, --max-bytes or --max-metric-loss"
        )
    return Budget(*given[0]) if max_metric_loss is None else _of_task(max_metric_loss)


def _of_task(text: str) -> Budget:
    figure, _, value = text.partition("=")
    try:
        return Budget("task", float(value), figure)
    except ValueError as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(f"--max-metric-loss {text}: expected FIGURE=LOSS, as in mAP=0.5") from None
