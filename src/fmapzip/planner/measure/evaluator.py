"""Running the network with a whole plan: distortion, bytes and predictions, image by image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import sqrt

import torch
from torch import Tensor

from fmapzip.measurements import MeasurementCache
from fmapzip.plan import Plan
from fmapzip.planner.measure.distortion import Reference, judged_tensor, mean
from fmapzip.planner.measure.images import Images
from fmapzip.torch.actions import Store
from fmapzip.torch.calibrate import running
from fmapzip.torch.capture import Captured, Tap
from fmapzip.torch.inputs import batch_size, call


@dataclass(frozen=True)
class Outcome:
    """What a plan does on some images.

    Parameters
    ----------
    distortions : tuple of float
        Of each image.
    frame_bytes : tuple of int
        Of each image's frames.
    predictions : tuple of int
        The largest output of each image; empty where outputs are not class scores.
    """

    distortions: tuple[float, ...]
    frame_bytes: tuple[int, ...]
    predictions: tuple[int, ...]

    @property
    def distortion(self) -> float:
        """Mean over the images."""
        return mean(self.distortions)

    @property
    def bytes(self) -> float:
        """Mean over the images."""
        return mean(self.frame_bytes)


@dataclass(frozen=True)
class PlanEvaluator:
    """A network and images to run plans on.

    Parameters
    ----------
    name : str
        Names the images in stored measurements.
    captured : Captured
    taps : sequence of Tap
    images : Images
    reference : Reference
        Of these images.
    cache : MeasurementCache
    threads : int
        Of the codecs.
    """

    name: str
    captured: Captured
    taps: Sequence[Tap]
    images: Images
    reference: Reference
    cache: MeasurementCache
    threads: int

    def run(self, plan: Plan) -> Outcome:
        """Run a plan that covers all the taps."""
        actions = {tap.name: Store(tap, plan, self.threads) for tap in self.taps}
        distortions: list[float] = []
        sizes: list[int] = []
        predictions: list[int] = []
        for number in range(len(self.images.batches)):
            entry = f"joint {plan.hash.hex()} {self.name} {number}"
            found = self.cache.get(entry, partial(self._batch, actions, number))
            distortions += found[0]
            sizes += found[1]
            predictions += found[2]
        return Outcome(tuple(distortions), tuple(sizes), tuple(predictions))

    def _batch(self, actions: Mapping[str, Store], number: int) -> tuple[list[float], list[int], list[int]]:
        batch = self.images.batches[number]
        with running(self.captured, actions):
            found = call(self.captured.module, batch)
        count = batch_size(batch)
        output = judged_tensor(found, count, self.reference.metric)
        sizes = [0] * count
        for code in actions.values():
            for i, size in enumerate(code.sizes):
                sizes[i * count // len(code.sizes)] += size
        predictions = output.argmax(1).tolist() if self.reference.metric == "kl" else []
        return self.reference.distortions(number, output), sizes, predictions

    def expected_drop(self, plan: Outcome, eight_bit: Outcome) -> float:
        """Return the top-1 that is expected to be lost against the 8-bit network, as a fraction.

        By the float network's own probabilities: where a prediction changes, the probability of the 8-bit network's
        less that of the plan's. It needs no labels and varies far less than the count of hits.
        """
        probabilities = torch.cat([torch.softmax(output.double(), 1) for (output,) in self.reference.outputs])
        rows = torch.arange(len(probabilities))
        lost = probabilities[rows, list(eight_bit.predictions)] - probabilities[rows, list(plan.predictions)]
        return float(lost.mean())


def drop_interval(labels: Tensor, plan: Sequence[int], eight_bit: Sequence[int]) -> tuple[float, float, float]:
    """Return the top-1 lost against the 8-bit network, with its 95 % confidence interval, as fractions.

    The interval is Agresti and Min's (2005) for a difference of paired proportions: half an image is added to each
    cell of the table of hits and misses, so that it stays wide where few images are at hand.

    Examples
    --------
    >>> import torch
    >>> lost, low, high = drop_interval(torch.tensor([1, 2, 3, 4]), [1, 2, 0, 4], [1, 2, 3, 4])
    >>> lost, low < 0 < high
    (0.25, True)
    """
    truth = labels.tolist()
    before = [prediction == label for prediction, label in zip(eight_bit, truth, strict=True)]
    after = [prediction == label for prediction, label in zip(plan, truth, strict=True)]
    lost = sum(b and not a for b, a in zip(before, after, strict=True))
    won = sum(a and not b for b, a in zip(before, after, strict=True))
    n, b, c = len(truth) + 2, lost + 0.5, won + 0.5
    centre, half = (b - c) / n, 1.96 * sqrt((b + c) - (b - c) ** 2 / n) / n
    return (lost - won) / len(truth), centre - half, centre + half
