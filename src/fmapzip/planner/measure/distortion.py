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
from fmapzip.torch.outputs import joined, judged_outputs, of_image, output_tensor
from fmapzip.torch.tasks import Metric as TaskMetric


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
    importance : tuple of Tensor, optional
        For ``noise`` of one output: of each batch, what squared errors of the values count, [N, K], in the signal too.
    """

    outputs: tuple[tuple[Tensor, ...], ...]
    metric: Metric
    importance: tuple[Tensor, ...] | None = None

    def distortions(self, batch: int, output: Tensor) -> list[float]:
        """Return the distortion of each image of a batch."""
        exact = joined(self.outputs[batch])
        if self.metric == "kl":
            return Scores(exact).divergence_to(Scores(output)).tolist()
        noise = (output.double() - exact.double()).square().flatten(1)
        return (noise * self.weights[batch]).sum(1).tolist()

    @cached_property
    def weights(self) -> tuple[Tensor, ...]:
        """What a unit of squared error of each value of the outputs counts: of each batch, [1, K] or [N, K]."""
        if self.importance is not None:
            energies = [
                (_squares(output) * counts).sum(1)
                for (output,), counts in zip(self.outputs, self.importance, strict=True)
            ]
            signal = float(torch.cat(energies).mean()) or 1.0
            return tuple(counts / signal for counts in self.importance)
        signals = [
            float(torch.cat([_energies(x) for x in each]).mean()) or 1.0 for each in zip(*self.outputs, strict=True)
        ]
        parts = [
            torch.full((output[0].numel(),), 1 / (signal * len(signals)), dtype=torch.float64)
            for output, signal in zip(self.outputs[0], signals, strict=True)
        ]
        return (torch.cat(parts)[None],) * len(self.outputs)


def reference(captured: Captured, images: Images, metric: Metric, task: TaskMetric | None = None) -> Reference:
    """Run the float network.

    Parameters
    ----------
    captured : Captured
    images : Images
    metric : {"kl", "noise"}
    task : Metric, optional
        What says which errors of the outputs count, for ``noise``.
    """
    found: list[tuple[Tensor, ...]] = []
    importance: list[Tensor] = []
    weighing = task if task is not None and task.weighs_errors and metric == "noise" else None
    with running(captured, {}):
        for batch in images.batches:
            output, count = call(captured.module, batch), batch_size(batch)
            found.append(_judged(output, count, metric))
            if weighing is not None and len(found[-1]) == 1:
                each = [weighing.error_weights(of_image(output, i, count)) for i in range(count)]
                importance.append(torch.stack([weights.double().flatten() for weights in each]))
    return Reference(tuple(found), metric, tuple(importance) or None)


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
    return _squares(output).sum(1)


def _squares(output: Tensor) -> Tensor:
    return output.double().square().flatten(1)


def mean(values: Sequence[float]) -> float:
    """Return the mean."""
    return sum(values) / len(values)
