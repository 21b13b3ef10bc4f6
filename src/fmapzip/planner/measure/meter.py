"""Measuring candidates: bytes by real codecs, distortion by running the network with one map coded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic

import torch

from fmapzip.measurements import MeasurementCache
from fmapzip.plan import Plan
from fmapzip.planner.candidate import Candidate
from fmapzip.planner.measure.distortion import Reference, judged_tensor
from fmapzip.planner.measure.images import Images
from fmapzip.planner.measure.rate import Rates
from fmapzip.planner.measure.replay import Stop, replay
from fmapzip.torch.actions import Store
from fmapzip.torch.batches import Progress
from fmapzip.torch.capture import Captured, Tap
from fmapzip.torch.inputs import batch_size

Wanted = Mapping[str, Sequence[Candidate]]
Distortions = dict[str, dict[str, list[float]]]
"""By tap and by a candidate's `distortion_key`: the distortion of each image."""


class Deadline:
    """When measuring is to end; None: never."""

    def __init__(self, seconds: float | None) -> None:
        self._end = None if seconds is None else monotonic() + seconds

    @property
    def passed(self) -> bool:
        """Whether the time is up."""
        return self._end is not None and monotonic() >= self._end


@dataclass(frozen=True)
class DistortionMeter:
    """What measurements are made with.

    Parameters
    ----------
    captured : Captured
    taps : tuple of Tap
    choosing : Images
    reference : Reference
        Of `choosing`.
    rates : Rates
    cache : MeasurementCache
    threads : int
        Of the codecs.
    progress : callable
    deadline : Deadline
    """

    captured: Captured
    taps: tuple[Tap, ...]
    choosing: Images
    reference: Reference
    rates: Rates
    cache: MeasurementCache
    threads: int
    progress: Progress
    deadline: Deadline

    def distortions(self, wanted: Wanted) -> Distortions:
        """Measure the distortion of each candidate, its map alone being stored.

        Parameters
        ----------
        wanted : mapping of tap name to candidates

        Returns
        -------
        dict
            After the deadline there are fewer images, and candidates that there was no time for are missing.
        """
        found: Distortions = {name: {c.distortion_key: [] for c in candidates} for name, candidates in wanted.items()}
        for number in range(len(self.choosing.batches)):
            part = self._batch(wanted, number)
            if part is None:
                break
            for name, each in part.items():
                for key, values in each.items():
                    found[name][key] += values
        return {name: {k: v for k, v in each.items() if v} for name, each in found.items()}

    def _batch(self, wanted: Wanted, number: int) -> Distortions | None:
        """Measure on one batch; None where the deadline cut it off (of the first, what there was time for)."""
        entries = {
            (name, c.distortion_key): f"distortion {len(self.choosing)} {name} {c.distortion_key} {number}"
            for name, candidates in wanted.items()
            for c in candidates
        }
        actions = dict.fromkeys(wanted, _keep)
        whole = len(self.choosing.batches) * len(entries)
        found: Distortions = {name: {} for name in wanted}

        def take(name: str, key: str, work: Callable[[], list[float]]) -> bool:
            entry = entries[name, key]
            if self.deadline.passed and entry not in self.cache:
                return False
            found[name][key] = self.cache.get(entry, work)
            return True

        if all(entry in self.cache for entry in entries.values()):
            for name, key in entries:
                take(name, key, list)
            return found
        complete = True
        with torch.inference_mode():
            batch = self.choosing.batches[number]
            read = partial(judged_tensor, images=batch_size(batch), metric=self.reference.metric)
            for stop in replay(self.captured, batch, actions, read):
                for candidate in {c.distortion_key: c for c in wanted[stop.name]}.values():
                    work = partial(self._one, stop, candidate, number)
                    complete &= take(stop.name, candidate.distortion_key, work)
                    done = number * len(entries) + sum(map(len, found.values()))
                    self.progress("measuring distortion", done, whole)
        return found if complete or number == 0 else None

    def _one(self, stop: Stop, candidate: Candidate, batch: int) -> list[float]:
        tap = next(tap for tap in self.taps if tap.name == stop.name)
        coded = Store(tap, Plan((self.rates.measure(tap, candidate).planned,)), self.threads)(stop.value)
        return self.reference.distortions(batch, stop.finish(coded))


def _keep(x: torch.Tensor) -> torch.Tensor:
    return x
