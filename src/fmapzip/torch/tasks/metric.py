"""What a metric is: from a network's outputs and what they should be to figures of which more is better."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fmapzip.errors import InvalidInput
from fmapzip.torch.outputs import output_tensor

Figures = Mapping[str, float]
Function = TypeVar("Function", bound=Callable[..., Any])

ROUNDS = 1000
"""Samples with replacement that an interval is of."""


class Metric(ABC):
    """A metric; more is better in each of its figures. Shares are in percent.

    What it keeps of each image should be small. `units` turns that into what an interval resamples, one an image.
    """

    name: str
    rounds: int = ROUNDS
    copies: str | None = None
    """Which distorted copies of the images it wants beside them, if any."""
    gallery: str | None = None
    """Data whose images it wants besides, if any."""
    weighs_errors: bool = False
    """Whether `error_weights` tells errors of the output apart."""

    @abstractmethod
    def image(self, output: Any, target: Any) -> Any:
        """Return what is kept of one image.

        Parameters
        ----------
        output
            The network's, without the batch's dimension.
        target
            What it should be; None where the data does not say.
        """

    def units(self, kept: Sequence[Any]) -> Sequence[Any]:
        """Return what figures are of, one an image (or a query): by default what was kept."""
        return kept

    def error_weights(self, output: Any) -> Tensor:
        """Return what a squared error of each value of the float network's output for an image counts.

        Where the metric hangs on few of the values, plans are to keep those: distortion is measured in this sum.
        """
        return torch.ones_like(output_tensor(output))

    @abstractmethod
    def figures(self, units: Sequence[Any]) -> Figures:
        """Return the figures of these units, by name."""

    def resampled(self, units: Sequence[Any], rows: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """Return the figures of the units in each of `rows`, by name."""
        found = [self.figures([units[i] for i in each]) for each in rows]
        return {name: np.array([one[name] for one in found], np.float64) for name in found[0]}


class Mean(Metric):
    """A metric whose figures are means over images."""

    def figures(self, units: Sequence[Any]) -> Figures:
        """Return the means."""
        names, values = _table(self.name, units)
        return dict(zip(names, map(float, values.mean(0)), strict=True))

    def resampled(self, units: Sequence[Any], rows: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """Return the means in each of `rows`."""
        names, values = _table(self.name, units)
        return {name: values[:, i][rows].mean(1) for i, name in enumerate(names)}


def whole_set(function: Function) -> Function:
    """Mark a metric's function as one that sees the outputs and the targets of all images, as two lists.

    Examples
    --------
    >>> @whole_set
    ... def spread(outputs, targets):
    ...     return {"spread": float(max(outputs) - min(outputs))}
    >>> metric = OfFunction("spread", spread)
    >>> metric.figures([metric.image(value, None) for value in (1.0, 4.0)])
    {'spread': 3.0}
    """
    function.whole_set = True  # type: ignore[attr-defined]
    return function


class OfFunction(Mean):
    """A metric by a user's function.

    Parameters
    ----------
    name : str
        Of the metric, and of its figure where the function gives a number.
    function : callable
        From the output and the target of one image to a number or a dict of numbers, whose means are the figures; or,
        marked by `whole_set`, from all outputs and all targets to the figures themselves.
    """

    def __init__(self, name: str, function: Callable[[Any, Any], Any]) -> None:
        self.name, self._function = name, function
        self._whole = bool(getattr(function, "whole_set", False))
        self.rounds = 200 if self._whole else ROUNDS

    def image(self, output: Any, target: Any) -> Any:
        """Return the figures of an image, or both as they are."""
        return (output, target) if self._whole else self._called(output, target)

    def figures(self, units: Sequence[Any]) -> Figures:
        """Return the figures."""
        if not self._whole:
            return super().figures(units)
        return self._called([output for output, _ in units], [target for _, target in units])

    def resampled(self, units: Sequence[Any], rows: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """Return the figures in each of `rows`."""
        return Metric.resampled(self, units, rows) if self._whole else super().resampled(units, rows)

    def _called(self, output: Any, target: Any) -> dict[str, float]:
        try:
            found = self._function(output, target)
            named = found if isinstance(found, Mapping) else {self.name: found}
            return {str(name): float(value) for name, value in named.items()}
        except Exception as error:
            raise InvalidInput(f"--metric {self.name} failed: {type(error).__name__}: {error}") from error


def _table(name: str, units: Sequence[Figures]) -> tuple[list[str], NDArray[np.float64]]:
    """Names of the figures, and their values [N, names]."""
    names = list(units[0])
    if any(list(each) != names for each in units):
        raise InvalidInput(f"--metric {name} gave other figures for one image than for another")
    return names, np.array([list(each.values()) for each in units], np.float64).reshape(len(units), len(names))
