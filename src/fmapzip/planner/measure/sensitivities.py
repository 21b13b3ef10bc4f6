"""How much noise in each channel of each feature map moves the network's output: estimated, by gradients.

Small independent errors e_i of a map's values cost, to second order, ``sum_i e_i^2 d_i`` where d is the diagonal of
``J' M J``: J is the Jacobian from the map to the output, M is half the Fisher information of the softmax,
``(diag(p) - p p') / 2``, for KL, and diagonal for squared error. With M = A A' and a random sign vector v, the
squared gradient of ``(A v)' output`` has that diagonal as its mean (Hutchinson's estimator), so a few backward passes
give it for all maps at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fmapzip.planner.budget import Metric
from fmapzip.planner.measure.distortion import judged_tensor
from fmapzip.torch.capture import Captured, Tap
from fmapzip.torch.inputs import Inputs, batch_size, call, map_tensors
from fmapzip.torch.slot import Action

Sensitivities = dict[str, NDArray[np.float64]]


def noise_sensitivities(
    captured: Captured,
    taps: Sequence[Tap],
    batches: Sequence[Inputs],
    metric: Metric,
    probes: int,
    seed: int,
    weights: Sequence[Tensor] | None = None,
) -> Sensitivities:
    """Return for each tap and channel the distortion of unit noise energy, [C].

    Parameters
    ----------
    captured : Captured
    taps : sequence of Tap
    batches : sequence of Inputs
        Images to average over.
    metric : {"kl", "noise"}
        Distortion in nats, or in squared error of the output.
    probes : int
        Random vectors an image.
    seed : int
    weights : sequence of Tensor, optional
        Of each batch, what squared error of each value of the output counts, for ``noise``; by default 1.

    Returns
    -------
    dict of float64 arrays
        ``sum_c sensitivities[c] * (squared error of channel c of an image)`` estimates the distortion of that image.
    """
    generator = torch.Generator().manual_seed(seed)
    sums = {tap.name: torch.zeros(tap.shape[0], dtype=torch.float64) for tap in taps}
    count = 0
    each_weights: Sequence[Tensor | None] = [None] * len(batches) if weights is None else weights
    for inputs, counts in zip(batches, each_weights, strict=True):
        leaves: dict[str, Tensor] = {}
        output = _with_gradients(captured, taps, inputs, leaves, metric)
        flat = output.flatten(1)
        for probe in range(probes):
            signs = torch.randint(0, 2, flat.shape, generator=generator).to(flat) * 2 - 1
            found = torch.autograd.grad(
                flat,
                list(leaves.values()),
                _directions(flat.detach(), signs, metric, counts),
                retain_graph=probe + 1 < probes,
                allow_unused=True,
            )
            for tap, gradient in zip([tap for tap in taps if tap.name in leaves], found, strict=True):
                if gradient is not None:
                    squares = gradient.double().square().movedim(tap.axis, 0)
                    sums[tap.name] += squares.reshape(tap.shape[0], -1).sum(1)
        count += len(flat) * probes
    values = {tap.name: int(np.prod(tap.shape[1:])) for tap in taps}
    return {name: (total / (count * values[name])).numpy() for name, total in sums.items()}


def _with_gradients(
    captured: Captured, taps: Sequence[Tap], inputs: Inputs, leaves: dict[str, Tensor], metric: Metric
) -> Tensor:
    """Run the network with its maps as variables; put them into `leaves` and return the output."""

    def watching(name: str) -> Action:
        def watch(x: Tensor) -> Tensor:
            leaves[name] = x if x.requires_grad else x.detach().clone().requires_grad_()
            return leaves[name].clone()  # so that an operation in place does not write into the variable

        return watch

    wanted = {tap.name: watching(tap.name) for tap in taps}
    for slot in captured.slots:
        slot.action = wanted.get(slot.name)
    trained = [parameter for parameter in captured.module.parameters() if parameter.requires_grad]
    try:
        for parameter in trained:
            parameter.requires_grad_(False)
        with torch.inference_mode(False), torch.enable_grad():
            output = call(captured.module, map_tensors(lambda tensor: tensor.clone(), inputs))
            return judged_tensor(output, batch_size(inputs), metric)
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
        for slot in captured.slots:
            slot.action = None


def _directions(output: Tensor, signs: Tensor, metric: Metric, weights: Tensor | None) -> Tensor:
    """Return A v for each image, [N, K]."""
    if metric == "noise":
        return signs if weights is None else signs * weights.sqrt().to(signs)
    p = torch.softmax(output.double(), 1)
    spread = p.sqrt() * signs
    directions: Tensor = (spread - p * spread.sum(1, keepdim=True)) / np.sqrt(2)
    return directions.to(output.dtype)
