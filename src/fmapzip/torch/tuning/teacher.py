"""The network as it was: what its outputs are on the images that train, computed once where they are class scores."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fmapzip.errors import InvalidInput
from fmapzip.torch.capture import first_line
from fmapzip.torch.tuning.images import TuningImages, mirrored
from fmapzip.torch.tuning.tasks import scores_classes

_MOST_KEPT = 1 << 28  # bytes of class scores


class Teacher:
    """The float network, in eval mode and without gradients.

    Class scores that fit into memory are computed before training, always in the same batches: that a run was resumed
    changes no bit of them.

    Parameters
    ----------
    model : nn.Module
        Copied.
    device : torch.device
    images : TuningImages
    row : int
        Of an image that tells what outputs are.

    Attributes
    ----------
    classes : bool
        Whether outputs are class scores.
    """

    def __init__(self, model: nn.Module, device: torch.device, images: TuningImages, row: int) -> None:
        self.network = copy.deepcopy(model).eval().requires_grad_(False).to(device)
        self._device, self._images = device, images
        self._first = self._first_of(images.batch([row])[0])
        self.classes = scores_classes(self._first)
        self._scores: Tensor | None = None
        self._place: dict[int, int] = {}

    def __call__(self, images: Tensor) -> Any:
        """Return what the network gives for images."""
        with torch.no_grad():
            return self.network(images.to(self._device))

    def _first_of(self, image: Tensor) -> Any:
        try:
            return self(image)
        except Exception as error:
            shown = f"{str(image.dtype).removeprefix('torch.')}{list(image.shape)}"
            raise InvalidInput(
                f"network {type(self.network).__name__} does not run on the images to tune on, {shown}: "
                f"{first_line(error)}"
            ) from error

    def remember(self, rows: Sequence[int], batch: int, mirror: bool) -> None:
        """Compute the class scores of rows, and of their mirror images, if they fit into memory."""
        if not (self.classes and isinstance(self._first, Tensor)):
            return
        ways = (False, True) if mirror else (False,)
        if self._first.nbytes * len(ways) * len(rows) > _MOST_KEPT:
            return
        parts = [
            self(mirrored(self._images.batch(some)[0], torch.full((len(some),), way)))
            for way in ways
            for some in (rows[first : first + batch] for first in range(0, len(rows), batch))
        ]
        self._scores = torch.cat(parts).view(len(ways), len(rows), -1)
        self._place = {row: i for i, row in enumerate(rows)}

    def of_rows(self, rows: Sequence[int], ways: Tensor, images: Tensor) -> Any:
        """Return the outputs of rows, mirrored or not; `images` are what they look like."""
        if self._scores is None:
            return self(images)
        return self._scores[ways.long(), torch.tensor([self._place[row] for row in rows])]
