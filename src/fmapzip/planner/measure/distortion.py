"""Distortion of a network's output, image by image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from fmapzip.errors import InvalidInput
from fmapzip.planner.budget import Metric
from fmapzip.planner.measure.images import Images
from fmapzip.torch.calibrate import running
from fmapzip.torch.capture import Captured
from fmapzip.torch.inputs import batch_size, call
from fmapzip.torch.metrics import Scores
from fmapzip.torch.outputs import joined, judged_outputs, output_tensor


@dataclass(frozen=True)
class Reference:
    """The float network's outputs, and what their distortion is measured in.

    Parameters
    ----------
    outputs : tuple of tuple of Tensor
        Of each batch those that are judged: one, or with ``noise`` perhaps several.
    metric : {"kl", "noise"}
        ``kl``: KL(float || x) of the softmax outputs, in nats. ``noise``: squared error over the mean signal of an
        image, so that the mean over images is the pooled noise-to-signal ratio; of several outputs, their mean.
    """

    outputs: tuple[tuple[Tensor, ...], ...]
    metric: Metric

    def distortions(self, batch: int, output: Tensor) -> list[float]:
        """Return the distortion of each image of a batch."""
        exact = joined(self.outputs[batch])
        if self.metric == "kl":
            return Scores(exact).divergence_to(Scores(output)).tolist()
        noise = (output.double() - exact.double()).square().flatten(1)
        return (noise @ self.weights).tolist()

    @cached_property
    def weights(self) -> Tensor:
        """What a unit of squared error of each value of an image's output counts."""
        signals = [
            float(torch.cat([_energies(x) for x in each]).mean()) or 1.0 for each in zip(*self.outputs, strict=True)
        ]
        parts = [
            torch.full((output[0].numel(),), 1 / (signal * len(signals)), dtype=torch.float64)
            for output, signal in zip(self.outputs[0], signals, strict=True)
        ]
        return torch.cat(parts)


def reference(captured: Captured, images: Images, metric: Metric) -> Reference:
    """Run the float network."""
    with running(captured, {}):
        found = [_judged(call(captured.module, batch), batch_size(batch), metric) for batch in images.batches]
    return Reference(tuple(found), metric)


def judged_tensor(output: Any, images: int, metric: Metric) -> Tensor:
    """Return what distortion is measured on: the class scores, or all outputs that are judged, as one tensor."""
    return joined(_judged(output, images, metric))


def _judged(output: Any, images: int, metric: Metric) -> tuple[Tensor, ...]:
    if metric == "kl":
        return (output_tensor(output),)
    found = tuple(judged_outputs(output, images).values())
    if not found:
        raise InvalidInput("planning needs an output with a float tensor that has a row an image")
    return found


def _energies(output: Tensor) -> Tensor:
    return output.double().square().flatten(1).sum(1)


def mean(values: Sequence[float]) -> float:
    """Return the mean."""
    return sum(values) / len(values)
