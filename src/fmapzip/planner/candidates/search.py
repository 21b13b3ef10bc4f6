"""Filling each feature map's options: a trial of the families, then the best ones' candidates measured alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil, floor, log, log2

import numpy as np

import fmapzip
from fmapzip.codecs.base import Codec
from fmapzip.plan import Plan, TapPlan
from fmapzip.planner.candidate import Candidate
from fmapzip.planner.candidates.candidate_set import CandidateSet
from fmapzip.planner.candidates.drafts import drafts_of, meant_by
from fmapzip.planner.candidates.expected import learn
from fmapzip.planner.candidates.families import STEPS, Family, families, fixed
from fmapzip.planner.candidates.tap_model import TapModel
from fmapzip.planner.measure.meter import DistortionMeter
from fmapzip.planner.measure.rate import RATE_IMAGES
from fmapzip.planner.measure.sensitivities import Sensitivities
from fmapzip.quantize import QuantParams

_OCTAVES = STEPS[::2]  # distortion is measured at some of these
_TRIAL_STEPS = (2.0**1.5, 2.0**2.5)
_TRIAL_IMAGES = 8
_HASTY_STEPS, _HASTY_IMAGES = STEPS[::4], 2  # after the deadline
MEASURING_BYTES = "measuring bytes"
_WORTHWHILE = 0.998  # of the bytes of a family before it: what another must take less


class CandidateSearch:
    """Fills the sets of all taps.

    Parameters
    ----------
    meter : DistortionMeter
    bases : sequence of QuantParams
        The calibrated quantizer of each tap.
    sensitivities : dict of arrays
        As `noise_sensitivities` returns them.
    codecs : sequence of Codec
    images : int
        Calibration images.
    in_draft : bool
        Whether drafts are measured in the place of codecs; `finish` is then to be called.
    """

    def __init__(
        self,
        meter: DistortionMeter,
        bases: Sequence[QuantParams],
        sensitivities: Sensitivities,
        codecs: Sequence[Codec],
        images: int,
        in_draft: bool = False,
    ) -> None:
        self.meter, self._images, self._meant = meter, images, codecs
        self._codecs = drafts_of(codecs) if in_draft else tuple(codecs)
        self._models = {
            tap.name: TapModel(meter.rates.maps(tap).numpy(), base, sensitivities[tap.name])
            for tap, base in zip(meter.taps, bases, strict=True)
        }
        self._families: dict[str, Sequence[Family]] = {}
        self._measured: dict[str, set[float]] = {tap.name: set() for tap in meter.taps}
        self.candidate_sets = tuple(CandidateSet(tap, images) for tap in meter.taps)

    def fixed(self) -> None:
        """Add the candidates on the calibrated grid itself."""
        for options in self.candidate_sets:
            self._fixed(options)

    def coarse(self) -> None:
        """Add candidates an octave apart, their distortion estimated.

        After the deadline, the first family stands for all, and its steps are two octaves apart.
        """
        for done, options in enumerate(self.candidate_sets):
            self._coarse(options)
            self.meter.progress(MEASURING_BYTES, done + 1, len(self.candidate_sets))

    def alone(self, part: tuple[int, int], lossless: bool) -> int:
        """Measure every ``n``-th map, from that of index `i` on, in what does not depend on the others' candidates.

        That are the candidates of `fixed` and, unless only `lossless` ones are wanted, of `coarse`, with the
        distortion of each octave. `part` is ``(i, n)``; the number of maps is returned.
        """
        mine = self.candidate_sets[part[0] :: part[1]]
        for done, options in enumerate(mine):
            self._fixed(options)
            if not lossless:
                self._coarse(options)
            self.meter.progress(MEASURING_BYTES, done + 1, len(mine))
        if mine and not lossless:
            octaves = {options.tap.name: [c for c in options.candidates if c.step in _OCTAVES] for options in mine}
            self.meter.distortions(octaves)
        return len(mine)

    def near(self, chosen: Sequence[Candidate]) -> bool:
        """Add candidates half an octave from the chosen ones, and measure the distortions of the octaves about them.

        Each with the other maps in float. Returns whether there is something new to choose by: not where all was known
        before, nor after the deadline.
        """
        if self._late:
            return False
        new = False
        for options, candidate in zip(self.candidate_sets, chosen, strict=True):
            steps = [candidate.step * 2**0.5, candidate.step * 2**-0.5]
            before = len(options.candidates)
            self._add(options, self._at(options, [step for step in steps if STEPS[0] <= step <= STEPS[-1]]))
            new |= len(options.candidates) > before
            about = octaves_about(candidate.step) - self._measured[options.tap.name]
            self._measured[options.tap.name] |= about
            new |= bool(about)
        if new:
            wanted = {
                options.tap.name: [c for c in options.candidates if c.step in self._measured[options.tap.name]]
                for options in self.candidate_sets
            }
            learn(self.candidate_sets, self.meter.distortions(wanted))
        return new

    def fine(self, chosen: Sequence[Candidate]) -> None:
        """Add candidates a quarter of an octave on both sides of the chosen ones."""
        for options, candidate in zip(self.candidate_sets, chosen, strict=True):
            self._add(options, self._at(options, [candidate.step * 2**0.25, candidate.step * 2**-0.25]))

    def finish(self, chosen: Sequence[Candidate]) -> tuple[Candidate, ...]:
        """Return the smallest of what each chosen candidate's draft stands for."""
        found = []
        for done, (options, candidate) in enumerate(zip(self.candidate_sets, chosen, strict=True)):
            ways = [replace(candidate, codec=codec) for codec in meant_by(candidate.codec, self._meant)]
            self._add(options, ways)
            if candidate.key in options.measured:
                options.measured |= {way.key for way in ways}
            found.append(min(ways, key=options.size))
            self.meter.progress("finishing drafts", done + 1, len(self.candidate_sets))
        return tuple(found)

    def _fixed(self, options: CandidateSet) -> None:
        self._add(options, fixed(self._models[options.tap.name], self._codecs))

    def _coarse(self, options: CandidateSet) -> None:
        tried = families(self._models[options.tap.name], self._codecs)
        self._families[options.tap.name] = tried[:1] if self._late else self._best(options, tried)
        self._add(options, self._at(options, _HASTY_STEPS if self._late else _OCTAVES))

    def _at(self, options: CandidateSet, steps: Sequence[float]) -> list[Candidate]:
        return [family.make(step) for family in self._families[options.tap.name] for step in steps]

    def _add(self, options: CandidateSet, candidates: Sequence[Candidate]) -> None:
        for candidate in candidates:
            rate = self.meter.rates.measure(options.tap, candidate, _HASTY_IMAGES if self._late else RATE_IMAGES)
            options.add(candidate, rate, self._estimate(options, candidate, rate.planned))

    @property
    def _late(self) -> bool:
        return self.meter.deadline.passed

    def _best(self, options: CandidateSet, tried: Sequence[Family]) -> Sequence[Family]:
        """Return the family that takes the fewest bytes at the same estimated distortion, the first of equals; if any.

        Every family is tried at one step. What is left of a difference in distortion is made up for by the first one's
        slope, between two steps.
        """
        if len(tried) < 2:
            return tried
        (size, distortion), (smaller, larger) = (self._trial(options, tried[0].make(step)) for step in _TRIAL_STEPS)
        slope = (smaller - size) / max(log(larger) - log(distortion), 0.1)
        best, least = tried[0], size
        for family in tried[1:]:
            found, its_distortion = self._trial(options, family.make(_TRIAL_STEPS[0]))
            found -= slope * (log(its_distortion) - log(distortion))
            if found < _WORTHWHILE * least:
                best, least = family, found
        return [best]

    def _trial(self, options: CandidateSet, candidate: Candidate) -> tuple[float, float]:
        """Return size, the scales' bytes included, and estimated distortion on a few images."""
        few = self.meter.rates.measure(options.tap, candidate, _TRIAL_IMAGES)
        scales = 4 * len(candidate.quantizer.scale) / self._images
        return few.size(self._images) + scales, max(self._estimate(options, candidate, few.planned), 1e-30)

    def _estimate(self, options: CandidateSet, candidate: Candidate, planned: TapPlan) -> float:
        """Return the distortion that the noise sensitivities let expect."""
        found = self._models[options.tap.name].distortion(candidate.quantizer, candidate.codec)
        return self._noise(options, candidate, planned) if found is None else found

    def _noise(self, options: CandidateSet, candidate: Candidate, planned: TapPlan) -> float:
        """Estimate the distortion of a candidate from what its codec makes of a few maps."""

        def work() -> float:
            exact = self.meter.rates.maps(options.tap).numpy()[:_TRIAL_IMAGES]
            plan = Plan((planned,))
            q = candidate.quantizer.quantize(exact, 1, options.tap.name)
            decoded = fmapzip.decode_batch(fmapzip.encode_batch(q, plan=plan, tap=0), plan=plan)
            errors = candidate.quantizer.dequantize(decoded, 1) - exact
            return self._models[options.tap.name].noise(errors.astype(np.float64))

        noise: float = self.meter.cache.get(f"noise {options.tap.name} {candidate.key}", work)
        return noise


def octaves_about(step: float) -> set[float]:
    """Return the whole octaves below and above a step, one of which it may be; within those that are measured.

    Examples
    --------
    >>> octaves_about(3), octaves_about(4), octaves_about(100)
    ({2.0, 4.0}, {4.0}, {32.0})
    """
    octave = log2(step)
    return {min(max(2.0**k, _OCTAVES[0]), _OCTAVES[-1]) for k in (floor(octave + 1e-9), ceil(octave - 1e-9))}
