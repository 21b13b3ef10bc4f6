"""Which calibration images choose, and which verify."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from fmapzip.errors import InvalidInput
from fmapzip.torch.batches import Batches
from fmapzip.torch.calibrate import spread
from fmapzip.torch.inputs import Inputs, batch_size, map_tensors

VERIFY_EVERY = 4
MOST_IMAGES = 256
# Input values in a batch, and images: larger batches fall out of the cache.
_BATCH_VALUES, _BATCH_IMAGES = 640_000, 64


@dataclass(frozen=True)
class Images:
    """Images in small batches, in memory.

    Parameters
    ----------
    batches : tuple of inputs
    labels : int64 tensor or None
        Of all of them.
    targets : tuple or None
        What metrics compare with, one an image.
    """

    batches: tuple[Inputs, ...]
    labels: Tensor | None
    targets: tuple[Any, ...] | None = None

    def __len__(self) -> int:
        return sum(batch_size(batch) for batch in self.batches)

    def some(self, most: int) -> Images:
        """Return at most `most` of them, evenly spread."""
        return _take(self, sorted(spread(len(self), most)))


def gather(batches: Batches, most: int = MOST_IMAGES) -> Images:
    """Load at most `most` evenly spread images."""
    total = sum(batch_size(inputs) for inputs, _ in batches)
    if not total:
        raise InvalidInput("planning: there are no images")
    wanted, first = spread(total, most), 0
    samples: list[Inputs] = []
    labels: list[Tensor] = []
    targets: list[Any] = []
    for inputs, given, meant in batches.with_targets():
        count = batch_size(inputs)
        places = [i - first for i in sorted(wanted) if first <= i < first + count]
        samples += [_sample(inputs, i) for i in places]
        if given is not None:
            labels.append(given[places])
        if meant is not None:
            targets += [meant[i] for i in places]
        first += count
    return Images(
        _batched(samples),
        torch.cat(labels) if sum(map(len, labels)) == len(samples) else None,
        tuple(targets) if len(targets) == len(samples) else None,
    )


def divide(images: Images) -> tuple[Images, Images]:
    """Split into those that choose and, every fourth, those that verify.

    Raises
    ------
    InvalidInput
        There are fewer than 2 images.
    """
    count = len(images)
    if count < 2:
        raise InvalidInput("planning needs at least 2 calibration images: some choose, others verify")
    verifying = [i for i in range(count) if i % VERIFY_EVERY == min(VERIFY_EVERY, count) - 1]
    choosing = [i for i in range(count) if i not in verifying]
    return _take(images, choosing), _take(images, verifying)


def _take(images: Images, rows: Sequence[int]) -> Images:
    samples = [_sample(batch, i) for batch in images.batches for i in range(batch_size(batch))]
    labels = None if images.labels is None else images.labels[list(rows)]
    targets = None if images.targets is None else tuple(images.targets[i] for i in rows)
    return Images(_batched([samples[i] for i in rows]), labels, targets)


def _sample(inputs: Inputs, row: int) -> Inputs:
    return map_tensors(lambda tensor: tensor[row : row + 1], inputs)  # type: ignore[no-any-return]


def _batched(samples: Sequence[Inputs]) -> tuple[Inputs, ...]:
    values = sum(leaf.numel() for leaf in pytree.tree_leaves(samples[0]) if isinstance(leaf, Tensor))
    step = min(_BATCH_IMAGES, max(1, _BATCH_VALUES // max(1, values)))
    return tuple(_joined(samples[i : i + step]) for i in range(0, len(samples), step))


def _joined(samples: Sequence[Inputs]) -> Any:
    first = samples[0]
    if isinstance(first, Tensor):
        return torch.cat(list(samples))  # type: ignore[arg-type]
    leaves, structure = zip(*(pytree.tree_flatten(sample) for sample in samples), strict=True)
    joined = [torch.cat(parts) if isinstance(parts[0], Tensor) else parts[0] for parts in zip(*leaves, strict=True)]
    return pytree.tree_unflatten(joined, structure[0])
