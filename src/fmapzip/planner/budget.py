"""What a plan may cost or must save."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from fmapzip.errors import InvalidInput

Kind = Literal["kl", "drop", "sqnr", "ratio", "bytes"]
Metric = Literal["kl", "noise"]

_UNITS: dict[Kind, str] = {
    "kl": "nats of KL(float || plan)",
    "drop": "points of top-1 against the 8-bit network",
    "sqnr": "dB of output SQNR",
    "ratio": "times smaller than 8-bit raw",
    "bytes": "bytes an image",
}


@dataclass(frozen=True)
class Budget:
    """A limit of one kind.

    Parameters
    ----------
    kind : {"kl", "drop", "sqnr", "ratio", "bytes"}
        ``kl``: at most `value` nats of mean KL(float || plan). ``drop``: at most `value` points (percent) of top-1
        against the 8-bit network. ``sqnr``: an output SQNR of at least `value` dB. ``ratio``: frames and plan at least
        `value` times smaller than 8-bit raw. ``bytes``: at most `value` bytes of frames and plan an image.
    value : float
        0 of ``kl`` or ``drop`` asks for a lossless plan.

    Examples
    --------
    >>> Budget("kl", 0.03)
    Budget(kind='kl', value=0.03)
    >>> str(Budget("sqnr", 30))
    'at least 30 dB of output SQNR'
    """

    kind: Kind
    value: float

    def __post_init__(self) -> None:
        if self.kind not in _UNITS:
            raise InvalidInput(f"there is no budget of kind {self.kind!r}; there are {', '.join(_UNITS)}")
        if not math.isfinite(self.value) or self.value < 0:
            raise InvalidInput(f"a budget of {self.value} {_UNITS[self.kind]}: it must be finite and at least 0")
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
        bound = "at least" if self.kind in ("sqnr", "ratio") else "at most"
        return f"{bound} {self.value:g} {_UNITS[self.kind]}"


def one_of(
    max_kl: float | None,
    max_drop: float | None,
    min_sqnr: float | None,
    min_ratio: float | None,
    max_bytes: float | None,
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
    if len(given) != 1:
        raise InvalidInput("give one budget: --max-kl, --max-drop, --min-sqnr, --min-ratio or --max-bytes")
    return Budget(*given[0])
