"""Figures of several networks on the same images, with the intervals that chance leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils import _pytree as pytree

from fmapzip.errors import InvalidInput
from fmapzip.torch.outputs import of_image
from fmapzip.torch.results import TaskResult
from fmapzip.torch.tasks.keeping import of_json, to_json
from fmapzip.torch.tasks.metric import Metric

_ENDS = (2.5, 97.5)


class Judge:
    """Shows the outputs of networks to metrics, batch by batch.

    Parameters
    ----------
    metrics : sequence of Metric
    networks : int
        How many there are; losses are against the first.
    """

    def __init__(self, metrics: Sequence[Metric], networks: int) -> None:
        self._metrics = tuple(metrics)
        self._kept: list[list[list[Any]]] = [[[] for _ in metrics] for _ in range(networks)]

    def add(self, outputs: Sequence[Any], targets: Sequence[Any] | None, images: int) -> None:
        """Take the outputs of all networks for one batch."""
        if not self._metrics:
            return
        for network, output in zip(self._kept, outputs, strict=True):
            for i in range(images):
                one = detached(of_image(output, i, images))
                for kept, metric in zip(network, self._metrics, strict=True):
                    kept.append(metric.image(one, None if targets is None else targets[i]))

    def sums(self) -> list[list[list[Any]]]:
        """Return what was kept of each image as JSON values, for each network and metric."""
        return [[[to_json(each) for each in kept] for kept in network] for network in self._kept]

    def merge(self, sums: Sequence[Sequence[Sequence[Any]]], images: int) -> None:
        """Add what was kept elsewhere of the `images` that follow.

        Raises
        ------
        InvalidInput
            It is not of these networks and metrics, or not understood.
        """
        if len(sums) != len(self._kept) or any(
            [len(kept) for kept in one] != [images] * len(self._metrics) for one in sums
        ):
            raise InvalidInput("what metrics kept is of other networks, metrics or images")
        try:
            for network, found in zip(self._kept, sums, strict=True):
                for kept, other in zip(network, found, strict=True):
                    kept.extend(map(of_json, other))
        except (ValueError, TypeError) as error:
            raise InvalidInput(f"what metrics kept is damaged: {error}") from error

    def results(self) -> list[tuple[TaskResult, ...]]:
        """Return each network's figures."""
        found: list[list[TaskResult]] = [[] for _ in self._kept]
        for place, metric in enumerate(self._metrics):
            each = compared(metric, [kept[place] for kept in self._kept])
            for all_results, results in zip(found, each, strict=True):
                all_results.extend(results)
        return [tuple(results) for results in found]


def compared(metric: Metric, kept: Sequence[Sequence[Any]]) -> list[list[TaskResult]]:
    """Return the figures of each network, with 95 % intervals by bootstrap over images.

    All networks see the same samples with replacement, so that the interval of a loss is of paired differences.

    Parameters
    ----------
    metric : Metric
    kept : sequence
        What the metric kept of each image, for each network; losses are against the first.
    """
    units = [metric.units(each) for each in kept]
    count = len(units[0])
    if not count:
        raise InvalidInput(f"--metric {metric.name}: there is nothing to judge")
    rows = np.random.default_rng(0).integers(0, count, (metric.rounds, count))
    whole = [metric.figures(each) for each in units]
    drawn = [metric.resampled(each, rows) for each in units]
    found: list[list[TaskResult]] = []
    for network in range(len(units)):
        results = []
        for name, value in whole[network].items():
            loss = None if network == 0 else whole[0][name] - value
            spread = None if network == 0 else _interval(drawn[0][name] - drawn[network][name])
            results.append(TaskResult(metric.name, name, value, _interval(drawn[network][name]), loss, spread))
        found.append(results)
    return found


def detached(output: Any) -> Any:
    """Return an output whose tensors lie on the CPU."""
    return pytree.tree_map(lambda leaf: leaf.detach().to("cpu") if isinstance(leaf, Tensor) else leaf, output)


def _interval(values: NDArray[np.float64]) -> tuple[float, float] | None:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return None
    low, high = np.percentile(finite, _ENDS)
    return float(low), float(high)
