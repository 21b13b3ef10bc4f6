"""Measuring candidates: bytes by real codecs, damage by running the network with one map coded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic

import torch

from fmapzip.plan import Plan
from fmapzip.planner.candidate import Candidate
from fmapzip.planner.damage import Reference, reference
from fmapzip.planner.images import Images
from fmapzip.planner.rate import Rates
from fmapzip.planner.replay import Stop, replay
from fmapzip.planner.state import State
from fmapzip.torch.actions import Code
from fmapzip.torch.batches import Progress
from fmapzip.torch.capture import Captured, Tap
from fmapzip.torch.slot import Action

Wanted = Mapping[str, Sequence[Candidate]]
Damages = dict[str, dict[str, list[float]]]
"""By tap and by a candidate's `damage_key`: the damage to each image."""


class Deadline:
    """When measuring is to end; None: never."""

    def __init__(self, seconds: float | None) -> None:
        self._end = None if seconds is None else monotonic() + seconds

    @property
    def passed(self) -> bool:
        """Whether the time is up."""
        return self._end is not None and monotonic() >= self._end


@dataclass(frozen=True)
class _Batch:
    """Which batch is measured, of how many, in what context, and what progress calls it."""

    number: int
    batches: int
    where: str
    stage: str

    def entry(self, name: str, candidate: Candidate) -> str:
        """Return what names the measurement."""
        return f"damage {self.where} {name} {candidate.damage_key} {self.number}"

    def done(self, done: int, each: int) -> tuple[int, int]:
        """Return how far all batches are."""
        return self.number * each + done, self.batches * each


@dataclass(frozen=True)
class Bench:
    """What measurements are made with.

    Parameters
    ----------
    captured : Captured
    taps : tuple of Tap
    choosing : Images
    reference : Reference
        Of `choosing`.
    rates : Rates
    state : State
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
    state: State
    threads: int
    progress: Progress
    deadline: Deadline

    def with_images(self, most: int) -> Bench:
        """Return the same with at most so many of its images."""
        fewer = self.choosing.some(most)
        return replace(self, choosing=fewer, reference=reference(self.captured, fewer, self.reference.metric))

    def damages(self, wanted: Wanted, context: Plan | None, stage: str) -> Damages:
        """Measure the damage of each candidate, its map alone being stored otherwise than in `context`.

        Parameters
        ----------
        wanted : mapping of tap name to candidates
        context : Plan or None
            What is done to the other maps; None: they stay float.
        stage : str
            For progress.

        Returns
        -------
        dict
            After the deadline there are fewer images, and candidates that there was no time for are missing.
        """
        actions = {tap.name: _keep if context is None else Code(tap, context, self.threads) for tap in self.taps}
        where = "float" if context is None else context.hash8.hex()
        found: Damages = {name: {c.damage_key: [] for c in candidates} for name, candidates in wanted.items()}
        for number in range(len(self.choosing.batches)):
            batch = _Batch(number, len(self.choosing.batches), f"{where} {len(self.choosing)}", stage)
            part = self._batch(wanted, actions, batch)
            if part is None:
                break
            for name, each in part.items():
                for key, values in each.items():
                    found[name][key] += values
        return {name: {k: v for k, v in each.items() if v} for name, each in found.items()}

    def _batch(self, wanted: Wanted, actions: Mapping[str, Action], batch: _Batch) -> Damages | None:
        """Measure on one batch; None where the deadline cut it off (of the first, what there was time for)."""
        entries = {
            (name, c.damage_key): batch.entry(name, c) for name, candidates in wanted.items() for c in candidates
        }
        found: Damages = {name: {} for name in wanted}

        def take(name: str, key: str, work: Callable[[], list[float]]) -> bool:
            entry = entries[name, key]
            if self.deadline.passed and entry not in self.state:
                return False
            found[name][key] = self.state.get(entry, work)
            return True

        if all(entry in self.state for entry in entries.values()):
            for name, key in entries:
                take(name, key, list)
            return found
        complete = True
        with torch.inference_mode():
            for stop in replay(self.captured, self.choosing.batches[batch.number], actions):
                for candidate in {c.damage_key: c for c in wanted.get(stop.name, ())}.values():
                    work = partial(self._one, stop, candidate, batch.number)
                    complete &= take(stop.name, candidate.damage_key, work)
                    self.progress(batch.stage, *batch.done(sum(map(len, found.values())), len(entries)))
        return found if complete or batch.number == 0 else None

    def _one(self, stop: Stop, candidate: Candidate, batch: int) -> list[float]:
        tap = next(tap for tap in self.taps if tap.name == stop.name)
        coded = Code(tap, Plan((self.rates.measure(tap, candidate).planned,)), self.threads)(stop.value)
        return self.reference.damages(batch, stop.finish(coded))


def _keep(x: torch.Tensor) -> torch.Tensor:
    return x
