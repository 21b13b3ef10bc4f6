"""What a chip would read and write for a network, with and without a codec: an analytic model of one image."""

from __future__ import annotations

from fmapzip.traffic.chip import Chip
from fmapzip.traffic.run import run

__all__ = ["Chip", "run"]
