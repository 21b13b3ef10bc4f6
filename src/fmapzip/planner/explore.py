"""Filling each feature map's pool: a trial of the families, then the best ones' candidates measured alone."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import numpy as np

import fmapzip
from fmapzip.codecs.base import Codec
from fmapzip.plan import Plan, TapPlan
from fmapzip.planner.candidate import Candidate
from fmapzip.planner.candidates import STEPS, Family, Source, families, fixed
from fmapzip.planner.gains import Gains
from fmapzip.planner.measure import Bench
from fmapzip.planner.pool import Pool
from fmapzip.quantize import QuantParams

_MEASURED_STEPS = STEPS[::2]
_TRIAL_STEPS = (2.0**1.5, 2.0**2.5)
_TRIAL_IMAGES = 4
_TOGETHER_IMAGES = 16
_WORTHWHILE = 0.998  # of the bytes of a family before it: what another must take less


class Explorer:
    """Fills the pools of all taps.

    Parameters
    ----------
    bench : Bench
    bases : sequence of QuantParams
        The calibrated quantizer of each tap.
    gains : dict of arrays
        As `noise_gains` returns them.
    codecs : sequence of Codec
    images : int
        Calibration images.
    """

    def __init__(
        self, bench: Bench, bases: Sequence[QuantParams], gains: Gains, codecs: Sequence[Codec], images: int
    ) -> None:
        self.together = bench.with_images(_TOGETHER_IMAGES)
        self.bench, self._codecs, self._images, self._gains = bench, codecs, images, gains
        self._sources = {
            tap.name: Source.of(bench.rates.maps(tap).numpy(), base, gains[tap.name])
            for tap, base in zip(bench.taps, bases, strict=True)
        }
        self._families: dict[str, list[Family]] = {}
        self.pools = tuple(Pool(tap, images) for tap in bench.taps)

    def fixed(self) -> None:
        """Add the candidates on the calibrated grid itself."""
        for pool in self.pools:
            self._add(pool, fixed(self._sources[pool.tap.name], self._codecs))

    def coarse(self) -> None:
        """Add candidates half an octave apart, and measure the damage of every second with the other maps in float."""
        for done, pool in enumerate(self.pools):
            self._families[pool.tap.name] = self._best_family(pool)
            self._add(pool, self._at(pool, STEPS))
            self.bench.progress("measuring bytes", done + 1, len(self.pools))
        wanted = {
            pool.tap.name: [c for c in pool.candidates if c.step in _MEASURED_STEPS or c.key not in pool.estimates]
            for pool in self.pools
        }
        damages = self.bench.damages(wanted, None, "measuring damage")
        for pool in self.pools:
            pool.learn(damages[pool.tap.name])
            _fill(pool)

    def fine(self, chosen: Sequence[Candidate]) -> None:
        """Add candidates a quarter of an octave on both sides of the chosen ones."""
        for pool, candidate in zip(self.pools, chosen, strict=True):
            self._add(pool, self._at(pool, [candidate.step * 2**0.25, candidate.step * 2**-0.25]))
            _fill(pool)
            _interpolate(pool)

    def _at(self, pool: Pool, steps: Sequence[float]) -> list[Candidate]:
        return [family.make(step) for family in self._families[pool.tap.name] for step in steps]

    def _add(self, pool: Pool, candidates: Sequence[Candidate]) -> None:
        for candidate in candidates:
            pool.add(candidate, self.bench.rates.measure(pool.tap, candidate))
            estimate = self._sources[pool.tap.name].estimate(candidate)
            if estimate is not None:
                pool.estimates[candidate.key] = estimate

    def _best_family(self, pool: Pool) -> list[Family]:
        """Return the family that takes the fewest bytes at the same estimated damage, the first of equals; if any.

        Every family is tried at one step. What is left of a difference in damage is made up for by the first one's
        slope, between two steps.
        """
        options = families(self._sources[pool.tap.name], self._codecs)
        if not options:
            return []
        (size, damage), (smaller, larger) = (self._trial(pool, options[0].make(step)) for step in _TRIAL_STEPS)
        slope = (smaller - size) / max(log(larger) - log(damage), 0.1)
        best, least = options[0], size
        for family in options[1:]:
            found, its_damage = self._trial(pool, family.make(_TRIAL_STEPS[0]))
            found -= slope * (log(its_damage) - log(damage))
            if found < _WORTHWHILE * least:
                best, least = family, found
        return [best]

    def _trial(self, pool: Pool, candidate: Candidate) -> tuple[float, float]:
        """Return size, the scales' bytes included, and estimated damage on a few images."""
        few = self.bench.rates.measure(pool.tap, candidate, _TRIAL_IMAGES)
        scales = 4 * len(candidate.quantizer.scale) / self._images
        estimate = self._sources[pool.tap.name].estimate(candidate)
        damage = self._noise(pool, candidate, few.planned) if estimate is None else estimate
        return few.size(self._images) + scales, max(damage, 1e-30)

    def _noise(self, pool: Pool, candidate: Candidate, planned: TapPlan) -> float:
        """Estimate the damage of a candidate from what its codec makes of a few maps."""

        def work() -> float:
            exact = self.bench.rates.maps(pool.tap).numpy()[:_TRIAL_IMAGES]
            plan = Plan((planned,))
            q = candidate.quantizer.quantize(exact, 1, pool.tap.name)
            decoded = fmapzip.decode_batch(fmapzip.encode_batch(q, plan=plan, tap=0), plan=plan)
            squares = (candidate.quantizer.dequantize(decoded, 1) - exact).astype(np.float64) ** 2
            energies = squares.reshape(*squares.shape[:2], -1).sum(2).mean(0)
            return float(energies @ self._gains[pool.tap.name])

        noise: float = self.bench.state.get(f"noise {pool.tap.name} {candidate.key}", work)
        return noise


def _fill(pool: Pool) -> None:
    """Estimate what was not measured, the estimates corrected by how wrong they are for steps on both sides."""
    known = sorted(
        (candidate.step, pool.alone[candidate.key] / pool.estimates[candidate.key])
        for candidate in pool.candidates
        if candidate.key in pool.measured and pool.estimates.get(candidate.key, 0.0) > 0
    )
    steps = np.log([step for step, _ in known] or [1.0])
    errors = np.log(np.maximum([error for _, error in known] or [1.0], 1e-9))
    for candidate in pool.candidates:
        if candidate.key in pool.estimates and candidate.key not in pool.measured:
            error = float(np.exp(np.interp(np.log(candidate.step), steps, errors)))
            pool.alone[candidate.key] = error * pool.estimates[candidate.key]


def _interpolate(pool: Pool) -> None:
    """Expect what has neither measurement nor estimate to damage as much as other candidates of its size."""
    known = sorted((pool.size(c), pool.alone[c.key]) for c in pool.candidates if c.key in pool.measured)
    if not known:
        return
    sizes, damages = [size for size, _ in known], [max(damage, 1e-12) for _, damage in known]
    for candidate in pool.candidates:
        if candidate.key not in pool.alone:
            pool.alone[candidate.key] = float(np.exp(np.interp(pool.size(candidate), sizes, np.log(damages))))
