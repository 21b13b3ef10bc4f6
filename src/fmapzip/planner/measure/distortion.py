"""Distortion of a network's output, image by image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from fmapzip.planner.budget import Metric
from fmapzip.planner.measure.images import Images
from fmapzip.torch.calibrate import running
from fmapzip.torch.capture import Captured
from fmapzip.torch.inputs import call
from fmapzip.torch.metrics import Scores, output_tensor
from fmapzip.torch.slot import Action


@dataclass(frozen=True)
class Reference:
    """The float network's outputs, and what their distortion is measured in.

    Parameters
    ----------
    outputs : tuple of Tensor
        One a batch.
    metric : {"kl", "noise"}
        ``kl``: KL(float || x) of the softmax outputs, in nats. ``noise``: squared error over the mean signal of an
        image, so that the mean over images is the pooled noise-to-signal ratio.
    """

    outputs: tuple[Tensor, ...]
    metric: Metric

    def distortions(self, batch: int, output: Tensor) -> list[float]:
        """Return the distortion of each image of a batch."""
        exact = self.outputs[batch]
        if self.metric == "kl":
            return Scores(exact).divergence_to(Scores(output)).tolist()
        noise = (output.double() - exact.double()).square().flatten(1).sum(1)
        return (noise / self.signal).tolist()

    @cached_property
    def signal(self) -> float:
        """Mean energy of an image's output."""
        energies = torch.cat([output.double().square().flatten(1).sum(1) for output in self.outputs])
        return float(energies.mean()) or 1.0


def run(captured: Captured, images: Images, actions: Mapping[str, Action]) -> list[Tensor]:
    """Return the outputs of the network's batches, its feature maps going through `actions`."""
    with running(captured, actions):
        return [output_tensor(call(captured.module, batch)) for batch in images.batches]


def reference(captured: Captured, images: Images, metric: Metric) -> Reference:
    """Run the float network."""
    return Reference(tuple(run(captured, images, {})), metric)


def mean(values: Sequence[float]) -> float:
    """Return the mean."""
    return sum(values) / len(values)
