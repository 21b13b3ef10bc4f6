"""A baseline inside the network: its bytes in frames, so that its distortion is measured as that of our codecs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fmapzip import baselines, registry
from fmapzip.baselines.base import Baseline
from fmapzip.bench.source import Source
from fmapzip.codecs.base import Codec, IntegerMap, PythonCodec
from fmapzip.errors import CorruptFrame
from fmapzip.plan import Plan, TapPlan


@registry.register
@dataclass(frozen=True, repr=False)
class BaselineCodec(PythonCodec):
    """Any baseline as a codec; which one, and its side information, are its parameters."""

    id: ClassVar[str] = "bench-baseline"

    @property
    def lossless(self) -> bool:
        """Not promised: the baseline is known only from the parameters."""
        return False

    def encode_tile(self, tile: IntegerMap, parameters: bytes) -> bytes:
        """The baseline's bytes."""
        baseline, side = _read(parameters)
        return baseline.encode(np.ascontiguousarray(tile), side)  # type: ignore[arg-type]

    def decode_tile(
        self, body: bytes, shape: tuple[int, int, int], dtype: np.dtype[Any], parameters: bytes
    ) -> IntegerMap:
        """The baseline's map."""
        baseline, side = _read(parameters)
        try:
            return baseline.decode(body, shape, dtype, side)
        except ValueError as error:
            raise CorruptFrame(f"{baseline.id}: {error}") from error


def baseline_plan(baseline: Baseline, sides: Sequence[bytes], source: Source) -> Plan | None:
    """The plan that stores every tap by a baseline, with the quantizers of the source; None without a network."""
    exact = source.plan(registry.make("raw"))
    if exact is None:
        return None
    head = json.dumps(baseline.config()).encode() + b"\0"
    codec: Codec = BaselineCodec()
    taps = (
        TapPlan(tap.name, tap.shape, tap.quantizer, codec, head + side) for tap, side in zip(exact, sides, strict=True)
    )
    return Plan(tuple(taps), exact.metadata)


def _read(parameters: bytes) -> tuple[Baseline, bytes]:
    head, _, side = parameters.partition(b"\0")
    settings = json.loads(head)
    return baselines.make(settings.pop("codec"), **settings), side
