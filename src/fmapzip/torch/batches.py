"""Batches of images as users hand them over, and how far a long run is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fmapzip.errors import InvalidInput
from fmapzip.torch.inputs import Inputs, batch_size

Progress = Callable[[str, int, int | None], None]

CALIBRATING, EVALUATING = "calibrating quantizers", "evaluating"
"""Stages whose length is not known here: one pass over the calibration images, one over the others."""


def ignore_progress(stage: str, done: int, total: int | None) -> None:
    """Take notice of nothing."""


class Batches:
    """Batches to go through once, or several times.

    Parameters
    ----------
    source : Tensor, mapping or iterable
        One batch of inputs, or an iterable of batches, each inputs or a pair ``(inputs, labels)``; a network with
        several inputs gets ``((first, second), labels)`` or a dict of named inputs. Targets of other kinds than class
        indices are a list, one an image.
    what : str
        What the batches are, for errors.
    repeatable : bool
        Whether they must be there more than once; then an iterator is refused.
    """

    def __init__(self, source: Any, what: str, repeatable: bool = True) -> None:
        self._what = what
        self._source: Iterable[Any] = [source] if isinstance(source, Tensor | dict) else source
        if not isinstance(self._source, Iterable):
            raise InvalidInput(f"{what} must be a batch or an iterable of batches, not {type(source).__name__}")
        if repeatable and iter(self._source) is self._source:
            raise InvalidInput(f"{what} is read more than once: give a list or a DataLoader, not an iterator")

    def __iter__(self) -> Iterator[tuple[Inputs, Tensor | None]]:
        for inputs, labels, _ in self.with_targets():
            yield inputs, labels

    def with_targets(self) -> Iterator[tuple[Inputs, Tensor | None, Sequence[Any] | None]]:
        """Go through batches as inputs, class indices where the targets are such, and one target an image."""
        for batch in self._source:
            inputs, targets = _split(batch)
            if targets is None:
                yield inputs, None, None
                continue
            labels = None if _is_list_of_things(targets) else _as_labels(targets)
            if labels is not None and labels.shape != (batch_size(inputs),):
                raise InvalidInput(f"{self._what}: {batch_size(inputs)} images but labels of {list(labels.shape)}")
            if labels is None and len(targets) != batch_size(inputs):
                raise InvalidInput(f"{self._what}: {batch_size(inputs)} images but {len(targets)} targets")
            yield inputs, labels, targets if labels is None else labels.tolist()

    def first(self) -> Inputs:
        """Return the inputs of the first batch."""
        for inputs, _ in self:
            return inputs
        raise InvalidInput(f"{self._what}: there are no images")


def _split(batch: Any) -> tuple[Inputs, Any]:
    if not isinstance(batch, tuple | list):
        return batch, None
    if len(batch) == 1:
        return batch[0], None
    if len(batch) != 2:
        raise InvalidInput(f"a batch is inputs or a pair (inputs, labels), not {len(batch)} things")
    return batch[0], batch[1]


def _is_list_of_things(targets: Any) -> bool:
    """Whether targets are a list of what is no number: annotations, masks, images; one an image."""
    return isinstance(targets, list | tuple) and not all(
        isinstance(each, int | float | np.generic) or (isinstance(each, Tensor) and each.ndim == 0) for each in targets
    )


def _as_labels(labels: Tensor | Sequence[int]) -> Tensor:
    tensor = torch.as_tensor(labels)
    if tensor.is_floating_point() or tensor.dtype == torch.bool:
        raise InvalidInput(
            f"labels must be class indices, not {tensor.dtype}; several inputs go in a tuple of their own"
        )
    return tensor.to("cpu", torch.int64)
