"""A baseline inside the network: its bytes in frames, so that its distortion is measured as that of our codecs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from fmapzip import baselines, registry
from fmapzip.baselines.base import Baseline
from fmapzip.bench.source import Source
from fmapzip.codecs.base import Codec, IntegerMap, PythonCodec, Tradeoff
from fmapzip.errors import CorruptFrame, InvalidInput
from fmapzip.eval.codec_spec import read_spec
from fmapzip.plan import Plan, TapPlan


@registry.register
@dataclass(frozen=True, repr=False)
class BaselineCodec(PythonCodec):
    """Any baseline as a codec; which one, and its side information, are its parameters.

    Parameters
    ----------
    baseline : str
        What `train` makes parameters of: a baseline's name, with settings as `parse_codec` takes them.
    """

    id: ClassVar[str] = "bench-baseline"

    baseline: str = ""

    @property
    def lossless(self) -> bool:
        """Not promised: the baseline is known only from the parameters."""
        return False

    def train(self, maps: IntegerMap, zero_point: int = 0) -> bytes:
        """Which baseline it is, and its side information."""
        if zero_point:
            raise InvalidInput("baselines take maps without a zero point")
        made = self._made()
        return _written(made, made.train(maps))

    def tradeoffs(self) -> Sequence[Tradeoff]:
        """The baseline's steps, if it has any."""
        if not self.baseline or self._made().at_step(1.0) is None:
            return ()
        return (Tradeoff(lambda step, _: self._at_step(step)),)

    def _at_step(self, step: float) -> BaselineCodec:
        found = self._made().at_step(step)
        assert found is not None
        return replace(self, baseline=_spec(found))

    def _made(self) -> Baseline:
        name, settings = read_spec(self.baseline)
        return baselines.make(name, **settings)

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
    codec: Codec = BaselineCodec()
    taps = (
        TapPlan(tap.name, tap.shape, tap.quantizer, codec, _written(baseline, side))
        for tap, side in zip(exact, sides, strict=True)
    )
    return Plan(tuple(taps), exact.metadata)


def _spec(baseline: Baseline) -> str:
    """A baseline as `read_spec` takes it."""
    settings = [f"{key}={json.dumps(value)}" for key, value in baseline.config().items() if key != "codec"]
    return f"{baseline.id}:{','.join(settings)}"


def _written(baseline: Baseline, side: bytes) -> bytes:
    return json.dumps(baseline.config()).encode() + b"\0" + side


def _read(parameters: bytes) -> tuple[Baseline, bytes]:
    head, _, side = parameters.partition(b"\0")
    settings = json.loads(head)
    return baselines.make(settings.pop("codec"), **settings), side
