"""Distortion of a network's outputs: accuracy, changed predictions, divergence and signal-to-noise ratio."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from fmapzip.documents.shard import EachOutput, EvidenceSums, NetworkSums
from fmapzip.errors import InvalidInput
from fmapzip.sums import ExactSum
from fmapzip.torch.outputs import named_outputs, output_tensor
from fmapzip.torch.results import OutputResult
from fmapzip.torch.statistics import decibels

MetricsChoice = Literal["auto", "classes", "output"]

_CHANCE = 0.02  # probability below which hits are not taken for luck
_DEVIATIONS = 12


class ClassEvidence:
    """Decides whether outputs are class scores: whether their largest value hits the label more often than chance.

    The shape cannot tell: a trunk's [N, 1280] features look like scores.
    """

    def __init__(self) -> None:
        self._hits = self._images = 0
        self._classes: int | None = None
        self._fits = True

    def add(self, outputs: Any, labels: Tensor | None) -> None:
        """Look at the output for a batch, and its labels."""
        if labels is None or not named_outputs(outputs, len(labels)):
            self._fits = False
            return
        output = output_tensor(outputs)
        if not has_classes(output) or int(labels.max()) >= output.shape[1]:
            self._fits = False
            return
        self._classes = output.shape[1]
        self._hits += int((output.argmax(1).to("cpu") == labels).sum())
        self._images += len(labels)

    def sums(self) -> EvidenceSums:
        """Return what was counted."""
        return EvidenceSums(self._hits, self._images, self._classes, self._fits)

    def merge(self, sums: EvidenceSums) -> None:
        """Add what was counted elsewhere, on the images that follow."""
        self._hits += sums.hits
        self._images += sums.images
        self._classes = self._classes if sums.classes is None else sums.classes
        self._fits &= sums.fits

    @property
    def class_scores(self) -> bool:
        """Whether that many hits are too many for luck."""
        if not self._fits or not self._classes:
            return False
        return _luck(self._hits, self._images, 1 / self._classes) < _CHANCE


def _luck(hits: int, images: int, p: float) -> float:
    """Return the probability of as many hits or more, where each of `images` is one with the probability `p`."""
    mean, deviation = images * p, math.sqrt(images * p * (1 - p))
    low = max(0, int(mean - _DEVIATIONS * deviation))  # what lies further off counts for nothing
    high = min(hits, int(mean + _DEVIATIONS * deviation) + 1)

    def share(k: int) -> float:
        ways = math.lgamma(images + 1) - math.lgamma(k + 1) - math.lgamma(images - k + 1)
        return math.exp(ways + k * math.log(p) + (images - k) * math.log1p(-p))

    return 1 - math.fsum(share(k) for k in range(low, high))


def has_classes(output: Tensor) -> bool:
    """Whether a batch of outputs could be class scores: [N, K] with at least 2 classes."""
    return output.ndim == 2 and output.shape[1] > 1


def check_classes(output: Tensor, labels: Tensor | None) -> None:
    """Refuse outputs that cannot be class scores, and labels that are not among the classes."""
    if not has_classes(output):
        raise InvalidInput(f"the output is {list(output.shape)}; class scores are [N, K]")
    if labels is not None and len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < output.shape[1]:
        raise InvalidInput(f"label {int(labels.max())} is not one of the network's {output.shape[1]} classes")


class Scores:
    """Class scores of a batch: predictions and log-probabilities, in double precision."""

    def __init__(self, output: Tensor) -> None:
        scores = output.detach().to("cpu", torch.float64)
        self.log_probabilities = torch.log_softmax(scores, 1)
        self.best = torch.topk(scores, min(5, scores.shape[1]), 1).indices
        self.predictions = scores.argmax(1)

    def divergence_to(self, other: Scores) -> Tensor:
        """Return KL(self || other) of each image in nats, [N]."""
        ours, theirs = self.log_probabilities, other.log_probabilities
        terms = torch.where(ours == theirs, torch.zeros_like(ours), ours.exp() * (ours - theirs))
        return terms.sum(1).clamp(min=0)


@dataclass
class _OneOutput:
    """Sums over the images of one of several outputs."""

    signal: ExactSum = field(default_factory=ExactSum)
    noise: ExactSum = field(default_factory=ExactSum)
    divergence: ExactSum = field(default_factory=ExactSum)
    images: int = 0
    scores: bool = True
    comparable: bool = True

    def sums(self) -> EachOutput:
        parts = (self.signal.text, self.noise.text, self.divergence.text)
        return EachOutput(*parts, self.images, self.scores, self.comparable)

    def merge(self, sums: EachOutput) -> None:
        self.signal.merge(ExactSum.of_text(sums.signal))
        self.noise.merge(ExactSum.of_text(sums.noise))
        self.divergence.merge(ExactSum.of_text(sums.divergence))
        self.images += sums.images
        self.scores &= sums.scores
        self.comparable &= sums.comparable


class OutputFigures:
    """Running figures of one network's outputs against the float and the 8-bit network's.

    Sums are exact, so that they are the same for any division of the images into parts.
    """

    def __init__(self) -> None:
        self.images = self._labelled = self._hits1 = self._hits5 = 0
        self._changed = {"float": 0, "int8": 0}
        self._divergence = {"float": ExactSum(), "int8": ExactSum()}
        self._outputs: dict[str, _OneOutput] = {}
        self._judged: set[str] = set()

    def add_scores(self, scores: Scores, labels: Tensor | None) -> None:
        """Count hits."""
        self.images += len(scores.predictions)
        if labels is not None:
            self._labelled += len(labels)
            self._hits1 += int((scores.predictions == labels).sum())
            self._hits5 += int((scores.best == labels[:, None]).any(1).sum())

    def compare(self, against: Literal["float", "int8"], reference: Scores, scores: Scores) -> Tensor:
        """Compare with a reference network; return KL(reference || this) of each image."""
        divergence = reference.divergence_to(scores)
        self._changed[against] += int((reference.predictions != scores.predictions).sum())
        for value in divergence.tolist():
            self._divergence[against].add(value)
        return divergence

    def add_outputs(
        self, reference: Mapping[str, Tensor], output: Mapping[str, Tensor], judged: Collection[str]
    ) -> None:
        """Add the squared error of each output against the float network's, and the divergence where it has classes.

        Parameters
        ----------
        reference, output
            As `named_outputs` gives them.
        judged
            Names of those that the total is over.
        """
        self._judged |= set(judged)
        for name, wanted in reference.items():
            found, got = self._outputs.setdefault(name, _OneOutput()), output.get(name)
            if got is None or got.shape != wanted.shape:
                found.comparable = False
                continue
            for one, other in zip(wanted.detach().double(), got.detach().double(), strict=True):
                found.signal.add(float(one.square().sum()))
                found.noise.add(float((one - other).square().sum()))
            found.images += len(wanted)
            found.scores &= has_classes(wanted)
            if found.scores and len(reference) > 1:
                for value in Scores(wanted).divergence_to(Scores(got)).tolist():
                    found.divergence.add(value)

    def sums(self, seconds: ExactSum) -> NetworkSums:
        """Return what was counted, beside the seconds that it took."""
        return NetworkSums(
            images=self.images,
            labelled=self._labelled,
            hits1=self._hits1,
            hits5=self._hits5,
            changed_vs_float=self._changed["float"],
            changed_vs_int8=self._changed["int8"],
            kl_vs_float=self._divergence["float"].text,
            kl_vs_int8=self._divergence["int8"].text,
            outputs={name: one.sums() for name, one in self._outputs.items()},
            judged=sorted(self._judged),
            seconds=seconds.text,
        )

    def merge(self, sums: NetworkSums) -> None:
        """Add what was counted elsewhere, on the images that follow."""
        self.images += sums.images
        self._labelled += sums.labelled
        self._hits1 += sums.hits1
        self._hits5 += sums.hits5
        self._changed["float"] += sums.changed_vs_float
        self._changed["int8"] += sums.changed_vs_int8
        self._divergence["float"].merge(ExactSum.of_text(sums.kl_vs_float))
        self._divergence["int8"].merge(ExactSum.of_text(sums.kl_vs_int8))
        for name, one in sums.outputs.items():
            self._outputs.setdefault(name, _OneOutput()).merge(one)
        self._judged |= set(sums.judged)

    @property
    def top1(self) -> float | None:
        """Accuracy, None without labels."""
        return self._hits1 / self._labelled if self._labelled else None

    @property
    def top5(self) -> float | None:
        """Share of images whose label is among the five best, None without labels."""
        return self._hits5 / self._labelled if self._labelled else None

    def changed(self, against: Literal["float", "int8"]) -> int | None:
        """Predictions that differ, None without class scores."""
        return self._changed[against] if self.images else None

    def divergence(self, against: Literal["float", "int8"]) -> float | None:
        """Mean KL, None without class scores."""
        return self._divergence[against].value / self.images if self.images else None

    @property
    def sqnr_db(self) -> float | None:
        """Signal-to-noise ratio of the total in dB, None where it is infinite or nothing can be compared."""
        found = [self._outputs[name] for name in self._outputs if name in self._judged]
        if not found or not all(one.comparable for one in found):
            return None
        if len(found) == 1:
            return decibels(found[0].signal.value, found[0].noise.value)
        heard = [one.noise.value / one.signal.value for one in found if one.signal.value > 0]
        share = sum(heard) / len(heard) if heard else 0.0
        return -10 * math.log10(share) if share > 0 else None

    def outputs(self, classes: bool) -> tuple[OutputResult, ...]:
        """Return the figures of each output, where there are several."""
        if len(self._outputs) < 2:
            return ()
        return tuple(
            OutputResult(
                name=name,
                judged=name in self._judged,
                kl_vs_float=one.divergence.value / one.images if classes and one.scores and one.images else None,
                sqnr_db=decibels(one.signal.value, one.noise.value) if one.comparable else None,
            )
            for name, one in self._outputs.items()
        )
