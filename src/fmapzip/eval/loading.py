"""Batches of images, read from disk as they are needed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fmapzip.errors import InvalidInput
from fmapzip.eval.dataset import Dataset
from fmapzip.eval.preprocess import Pixels
from fmapzip.eval.split import Split
from fmapzip.torch.batches import CALIBRATING, EVALUATING, Progress


def with_totals(progress: Progress, parts: Split) -> Progress:
    """The same, told also how many images the stages go through whose length only the split knows."""
    totals = {CALIBRATING: len(parts.calibration), EVALUATING: len(parts.images)}
    return lambda stage, done, total: progress(stage, done, totals.get(stage, total))


class Batches:
    """A data set as batches of tensors; iterating again reads the images again.

    One batch is in memory at a time, so what it takes does not depend on the number of images.

    Parameters
    ----------
    data
        The images and labels.
    batch
        How many images a batch has; the last may have fewer.
    seen
        Called with the number of images of each batch before it is handed out, for progress bars.

    Yields
    ------
    images, labels
        ``float32 [N, C, H, W]`` and ``int64 [N]``, a list of targets where they are no class indexes, or None.

    Raises
    ------
    InvalidInput
        ``batch`` is less than 1, an image cannot be read, or two differ in shape.

    Examples
    --------
    >>> from fmapzip.eval.data import load_data
    >>> [tuple(images.shape) for images, labels in Batches(load_data("demo"), 200)]
    [(200, 1, 32, 32), (200, 1, 32, 32), (50, 1, 32, 32)]
    """

    def __init__(self, data: Dataset, batch: int, seen: Callable[[int], None] | None = None) -> None:
        if batch < 1:
            raise InvalidInput(f"a batch has at least one image, not {batch}")
        self._data, self._batch, self._seen = data, batch, seen
        self._shape: tuple[int, ...] = ()

    def __len__(self) -> int:
        return math.ceil(len(self._data) / self._batch)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor | list[Any] | None]]:
        labels, target = self._data.labels, self._data.target
        for first in range(0, len(self._data), self._batch):
            rows = range(first, min(first + self._batch, len(self._data)))
            images = [self._data.read(i) for i in rows]
            self._check_shapes(rows, images)
            if self._seen is not None:
                self._seen(len(images))
            given: Tensor | list[Any] | None = None
            if target is not None:
                given = [target(i) for i in rows]
            elif labels is not None:
                given = torch.from_numpy(labels[first : rows.stop])
            yield torch.from_numpy(np.stack(images)), given

    def _check_shapes(self, rows: Iterable[int], images: Sequence[Pixels]) -> None:
        self._shape = self._shape or images[0].shape
        for i, image in zip(rows, images, strict=True):
            if image.shape != self._shape:
                raise InvalidInput(
                    f"{self._data.names[i]} is {list(image.shape)}, others are {list(self._shape)}: "
                    "images of one run must have one shape (--size and --letterbox bring them to one)"
                )
