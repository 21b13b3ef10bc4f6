"""One interface to codecs of ours and to baselines: how a tap's maps are encoded, decoded and accounted for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fmapzip
from fmapzip import baselines
from fmapzip.baselines.base import Baseline, Parts
from fmapzip.bench.source import Tap
from fmapzip.codecs.base import Codec, IntegerMap
from fmapzip.fallbacks import fallbacks_of, without_plan
from fmapzip.geometry import frame_bound
from fmapzip.inspection import parts_of
from fmapzip.plan import Plan
from fmapzip.quantize import QuantParams
from fmapzip.zero_point import as_values, restore, value_bytes


class Job(ABC):
    """One method, ready for the maps of one tap.

    Attributes
    ----------
    side_bytes
        What the method keeps beside the maps for this tap: parameters of a plan, or a baseline's side information.
    path
        Which of its ways the tap takes; empty where there is one.
    """

    side_bytes: int = 0
    path: str = ""

    @abstractmethod
    def encode(self, q: IntegerMap) -> Any:
        """The bytes of one map, as something with the buffer protocol."""

    @abstractmethod
    def decode(self, data: Any, out: IntegerMap) -> IntegerMap:
        """The map, in a preallocated array where the method can write there."""

    @abstractmethod
    def parts(self, data: Any, shape: tuple[int, ...]) -> Parts:
        """Where the bytes went."""

    def error_bound(self, shape: tuple[int, ...]) -> float | None:
        """The largest error that the method promises for a value, if it does."""
        del shape
        return None


@dataclass(frozen=True)
class Method(ABC):
    """A codec or baseline with its settings, as a row of the report.

    Attributes
    ----------
    label
        As it was asked for on the command line.
    layout
        For general and image codecs, the order of the values that they see.
    """

    label: str
    layout: str = ""

    @property
    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What a report says of it beside its figures: id, settings, ours, lossless, speed_meaningful, source."""

    @property
    def lossless(self) -> bool:
        """Whether decoding must give back exactly the integers."""
        return bool(self.facts["lossless"])

    @property
    def timed(self) -> bool:
        """Whether its time says something."""
        return bool(self.facts["speed_meaningful"])

    @abstractmethod
    def job(self, tap: Tap, place: int, plan: Plan | None) -> Job:
        """The method for one tap."""

    def notes(self, plan: Plan | None) -> tuple[str, ...]:
        """What a reader of its figures should know."""
        del plan
        return ()


@dataclass(frozen=True)
class OurMethod(Method):
    """A codec of the registry: frames by a plan where the source has calibration, else each for itself."""

    codec: Codec | None = None
    threads: int = 1

    @property
    def facts(self) -> dict[str, Any]:
        """Ours."""
        assert self.codec is not None
        return {
            "codec": self.codec.id,
            "config": self.codec.config(),
            "ours": True,
            "lossless": self.codec.lossless,
            "speed_meaningful": True,
            "source": "this package",
        }

    def job(self, tap: Tap, place: int, plan: Plan | None) -> Job:
        """By the plan, or without one."""
        assert self.codec is not None
        return _FrameJob(self.codec, plan, place, self.threads, tap.quantizer if tap.zero_point else None)

    def notes(self, plan: Plan | None) -> tuple[str, ...]:
        """Where maps are stored by a lighter codec."""
        assert self.codec is not None
        return without_plan(self.codec) if plan is None else fallbacks_of(plan)


class _FrameJob(Job):
    def __init__(
        self, codec: Codec, plan: Plan | None, place: int, threads: int, quantizer: QuantParams | None
    ) -> None:
        alone = {"codec": codec, "quantizer": quantizer}
        self._options: dict[str, Any] = alone if plan is None else {"plan": plan, "tap": place}
        self._plan, self._threads = plan, threads
        self._buffer = np.empty(0, np.uint8)
        if plan is not None:
            parameters = plan[place].parameters
            self.side_bytes, self.path = len(parameters), plan[place].codec.path_taken(parameters)

    def encode(self, q: IntegerMap) -> NDArray[np.uint8]:
        if self._buffer.size < frame_bound(q.shape):
            self._buffer = np.empty(frame_bound(q.shape), np.uint8)
        length = fmapzip.encode_into(q, self._buffer, threads=self._threads, **self._options)
        return self._buffer[:length]

    def decode(self, data: Any, out: IntegerMap) -> IntegerMap:
        fmapzip.decode(data, out=out, plan=self._plan, threads=self._threads)
        return out

    def parts(self, data: Any, shape: tuple[int, ...]) -> Parts:
        return parts_of(fmapzip.inspect(data, self._plan).sections)


@dataclass(frozen=True)
class BaselineMethod(Method):
    """A baseline; one that is trained gets the calibration maps, or the maps themselves where there are none."""

    baseline: Baseline | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """Another's."""
        assert self.baseline is not None
        return {
            "codec": self.baseline.id,
            "config": self.baseline.config(),
            "ours": False,
            "lossless": self.baseline.lossless,
            "speed_meaningful": self.baseline.speed_meaningful,
            "source": self.baseline.source,
        }

    def side(self, tap: Tap) -> bytes:
        """The baseline's side information for a tap."""
        assert self.baseline is not None
        if not self.baseline.trained:
            return b""
        maps = tap.training() if tap.training else np.stack([tap.load(i) for i in range(tap.samples)])
        return self.baseline.train(value_bytes(maps, _counted_from(self.baseline, tap)))

    def job(self, tap: Tap, place: int, plan: Plan | None) -> Job:
        """With its side information for this tap."""
        assert self.baseline is not None
        return _BaselineJob(self.baseline, self.side(tap), _counted_from(self.baseline, tap))


class _BaselineJob(Job):
    def __init__(self, baseline: Baseline, side: bytes, zero_point: int) -> None:
        self._baseline, self._side, self._zero_point = baseline, side, zero_point
        self.side_bytes = len(side)

    def encode(self, q: IntegerMap) -> bytes:
        return self._baseline.encode(value_bytes(q, self._zero_point), self._side)

    def decode(self, data: Any, out: IntegerMap) -> IntegerMap:
        if self._zero_point == 0:
            return self._baseline.decode_to(data, out, self._side)
        moved = as_values(out, self._zero_point)
        return restore(self._baseline.decode_to(data, moved, self._side), self._zero_point, out)

    def parts(self, data: Any, shape: tuple[int, ...]) -> Parts:
        return self._baseline.parts(data, shape)

    def error_bound(self, shape: tuple[int, ...]) -> float | None:
        return self._baseline.error_bound(shape)


def _counted_from(baseline: Baseline, tap: Tap) -> int:
    """What a baseline's integers are counted from: zero is as cheap for it as for ours, where it does not lose."""
    return tap.zero_point if baseline.lossless else 0


def of_baseline(label: str, baseline: Baseline, layout_given: bool) -> list[BaselineMethod]:
    """A baseline as methods: one with layouts, of which none was asked for, as one for each layout."""
    if not baseline.layouts:
        return [BaselineMethod(label, baseline=baseline)]
    settings = baseline.config()
    name, given = settings.pop("codec"), settings.pop("layout")
    if layout_given:
        return [BaselineMethod(label, given, baseline)]
    return [
        BaselineMethod(label, layout, baselines.make(name, layout=layout, **settings)) for layout in baseline.layouts
    ]
