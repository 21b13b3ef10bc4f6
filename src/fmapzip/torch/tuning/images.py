"""Images to tune on: all of them by row, some held back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from fmapzip.errors import InvalidInput

_HELD_BACK = 10  # every so many-th image
_MOST_HELD_BACK = 256


class TuningImages:
    """Images with or without labels, by row.

    Parameters
    ----------
    data : Tensor, pair of tensors, or sequence
        Images [N, ...]; images and labels; or what has a length and gives an image, or an image and its label, for a
        row, such as a `torch.utils.data.Dataset`.
    """

    def __init__(self, data: Any) -> None:
        pair = isinstance(data, tuple | list) and len(data) == 2 and all(isinstance(each, Tensor) for each in data)
        self._data = torch.utils.data.TensorDataset(*data) if pair else data
        if not (hasattr(self._data, "__len__") and hasattr(self._data, "__getitem__")):
            raise InvalidInput("images to tune on have a length and are read by row: tensors, or a Dataset")
        if len(self) < 2:
            raise InvalidInput(f"tuning needs at least 2 images, not {len(self)}")

    def __len__(self) -> int:
        return len(self._data)

    def batch(self, rows: Sequence[int]) -> tuple[Tensor, Tensor | None]:
        """Return some images and, if there are any, their labels, in CPU memory.

        Raises
        ------
        InvalidInput
            Images differ in shape, or labels are no class indices.
        """
        if isinstance(self._data, Tensor):
            return self._data[list(rows)].cpu(), None
        found = [self._data[i] for i in rows]
        if isinstance(found[0], tuple | list) and len(found[0]) > 1:
            images, labels = zip(*(each[:2] for each in found), strict=True)
            return _stacked(images), None if labels[0] is None else _indices(labels)
        return _stacked([each[0] if isinstance(each, tuple | list) else each for each in found]), None

    def parts(self) -> tuple[list[int], list[int]]:
        """Return the rows to train on, and evenly spread ones that are held back."""
        count = min(max(1, len(self) // _HELD_BACK), _MOST_HELD_BACK)
        held = {i * len(self) // count for i in range(count)}
        return [i for i in range(len(self)) if i not in held], sorted(held)


def _stacked(images: Sequence[Any]) -> Tensor:
    tensors = [torch.as_tensor(each) for each in images]
    shapes = {tuple(each.shape) for each in tensors}
    if len(shapes) > 1:
        raise InvalidInput(f"images to tune on have one shape, not {' and '.join(map(str, sorted(shapes)))}")
    return torch.stack(tensors).cpu()


def _indices(labels: Sequence[Any]) -> Tensor:
    found = torch.stack([torch.as_tensor(each) for each in labels])
    if found.ndim != 1 or found.is_floating_point() or found.dtype == torch.bool:
        shown = str(found.dtype).removeprefix("torch.")
        raise InvalidInput(f"labels are class indices, one an image, not {shown}{list(found.shape[1:])}")
    return found.to("cpu", torch.int64)


def mirrored(images: Tensor, chosen: Tensor) -> Tensor:
    """Return the images, those that are chosen [N] mirrored left to right."""
    return torch.where(chosen.view(-1, *[1] * (images.ndim - 1)), images.flip(-1), images) if chosen.any() else images


class Rows:
    """Some rows of images as batches, to go through several times."""

    def __init__(self, images: TuningImages, rows: Sequence[int], batch: int) -> None:
        self._images, self._rows, self._batch = images, rows, batch

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor | None]]:
        for first in range(0, len(self._rows), self._batch):
            yield self._images.batch(self._rows[first : first + self._batch])
