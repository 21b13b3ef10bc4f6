"""Samples with what they are judged by, in a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmapzip.eval.preprocess import Pixels, Preprocessing


@dataclass(frozen=True)
class Dataset:
    """Images and their class indexes, in a fixed order; pixels are read when asked for.

    Attributes
    ----------
    spec
        What the user typed.
    names
        One per image, for reports: the file relative to the data directory, or the row of the demo's.
    labels
        ``int64 [N]``: the index of each image's class among the network's outputs; None where nothing tells.
    label_rule
        How the indexes were found, or what there is instead, in words.
    read
        From a position in ``names`` to ``float32 [C, H, W]``.
    target
        From a position to what a metric compares with, where that is no class index: annotations, a mask, an image.
    read_by
        The same as ``read`` by another preprocessing; None where the samples are not those of files.
    """

    spec: str
    names: tuple[str, ...]
    labels: NDArray[np.int64] | None
    label_rule: str
    read: Callable[[int], Pixels]
    target: Callable[[int], Any] | None = None
    read_by: Callable[[int, Preprocessing], Pixels] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def select(self, rows: Sequence[int]) -> Dataset:
        """The data set of these rows, in the order given."""
        kept, target, read_by = tuple(rows), self.target, self.read_by
        return Dataset(
            self.spec,
            tuple(self.names[i] for i in kept),
            None if self.labels is None else self.labels[list(kept)],
            self.label_rule,
            lambda i: self.read(kept[i]),
            None if target is None else lambda i: target(kept[i]),
            None if read_by is None else lambda i, by: read_by(kept[i], by),
        )
