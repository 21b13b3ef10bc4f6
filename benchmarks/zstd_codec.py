"""zstd over 8-bit integers as a codec of frames, so that a split sends them in the same way as ours."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

from fmapzip import baselines, registry
from fmapzip.bench.baseline_codec import BaselineCodec
from fmapzip.codecs.base import IntegerMap


@registry.register
@dataclass(frozen=True, repr=False)
class ZstdCodec(BaselineCodec):
    """zstd, level 3, of the map's bytes in planar order."""

    id: ClassVar[str] = "bench-zstd"

    def train(self, maps: IntegerMap, zero_point: int = 0) -> bytes:
        """Which baseline it is."""
        del maps, zero_point
        return json.dumps(baselines.make("zstd", level=3, layout="planar").config()).encode() + b"\0"
