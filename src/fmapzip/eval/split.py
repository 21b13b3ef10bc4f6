"""Which rows calibrate and which are reported."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fmapzip.errors import InvalidInput
from fmapzip.eval.data import DEMO_PARTS, Dataset, load_data
from fmapzip.eval.places import place_of
from fmapzip.eval.preprocess import Preprocessing

STANDARD = "every:5"
"""The standard protocol: rows 0, 5, 10, ... calibrate, the others are reported."""


@dataclass(frozen=True)
class Split:
    """The two parts of a data set, disjoint unless calibration came from a place of its own; and the data set whole."""

    calibration: Dataset
    images: Dataset
    whole: Dataset
    rule: str


def split(
    data: Dataset, calib: str = STANDARD, preprocessing: Preprocessing | None = None, frames: int | None = None
) -> Split:
    """Divide ``data`` by the rule ``calib``.

    Parameters
    ----------
    data
        The rows to use (a limit is applied before).
    calib
        ``every:K``: rows 0, K, 2K, ... calibrate. ``first:N``: rows 0 to N-1 calibrate. Anything else
        is a data directory (or ``demo:calib``) that calibrates whole, and every row of ``data`` is reported.
    preprocessing, frames
        As for `load_data`, for a directory.

    Raises
    ------
    InvalidInput
        The rule leaves no image on one of the sides, or there is no such directory.

    Examples
    --------
    >>> parts = split(load_data("demo"), "every:5")
    >>> len(parts.calibration), len(parts.images)
    (90, 360)
    """
    rule = re.fullmatch(r"(every|first):(\d+)", calib)
    if rule is None:
        return _from_elsewhere(data, calib, preprocessing, frames)
    kind, number = rule[1], int(rule[2])
    if number < 1:
        raise InvalidInput(f"--calib {calib}: the number must be at least 1")
    rows = range(len(data))
    chosen = rows[::number] if kind == "every" else rows[:number]
    others = [i for i in rows if i not in chosen]
    if not others:
        raise InvalidInput(f"--calib {calib} leaves none of the {len(data)} images to report on")
    return Split(data.select(chosen), data.select(others), data, calib)


def _from_elsewhere(data: Dataset, calib: str, preprocessing: Preprocessing | None, frames: int | None) -> Split:
    if calib not in DEMO_PARTS and not place_of(calib).exists():
        raise InvalidInput(f"--calib {calib}: neither every:K, first:N nor a data directory")
    return Split(load_data(calib, preprocessing, frames), data, data, calib)
