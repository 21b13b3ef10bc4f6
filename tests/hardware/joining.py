"""Cases of a block one after another."""

from __future__ import annotations

from collections.abc import Sequence

from fmapzip.hardware.cases import Case, Words


def joined(cases: Sequence[Case]) -> Case:
    """One case of several."""
    return Case(_joined([case.inputs for case in cases]), _joined([case.outputs for case in cases]))


def _joined(parts: Sequence[Words]) -> Words:
    return {name: [word for part in parts for word in part[name]] for name in parts[0]}
