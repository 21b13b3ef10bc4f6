"""How far the areas of classes overlap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from fmapzip.errors import InvalidInput
from fmapzip.torch.outputs import output_tensor
from fmapzip.torch.tasks.metric import Figures, Metric


class MeanIou(Metric):
    """Mean over classes of intersection over union, in percent, counted over all images.

    Class scores ``[K, H, W]`` of another size than the mask are scaled to it (bilinear).

    Parameters
    ----------
    ignore : int
        Class of the masks that does not count.

    Examples
    --------
    >>> miou = MeanIou()
    >>> scores = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
    >>> miou.figures([miou.image(scores, np.array([[0, 0]]))])
    {'mIoU': 25.0}
    """

    name = "miou"

    def __init__(self, ignore: int = 255) -> None:
        self._ignore = ignore

    def image(self, output: Any, target: Any) -> NDArray[np.int64]:
        """Return for each class the pixels found and right, found, and there: [3, K]."""
        scores, mask = output_tensor(output), torch.as_tensor(np.asarray(target))
        if scores.ndim != 3 or mask.ndim != 2 or mask.is_floating_point():
            raise InvalidInput(
                f"--metric miou needs scores [K, H, W] and masks [H, W], found {list(scores.shape)}, {list(mask.shape)}"
            )
        if scores.shape[1:] != mask.shape:
            scores = functional.interpolate(scores[None].float(), mask.shape, mode="bilinear", align_corners=False)[0]
        classes, counted = len(scores), mask != self._ignore
        found, there = scores.argmax(0)[counted], mask[counted].long()
        if len(there) and not 0 <= int(there.min()) <= int(there.max()) < classes:
            raise InvalidInput(f"--metric miou: a mask's class {int(there.max())} is not one of {classes}")
        parts = (found[found == there], found, there)
        return torch.stack([torch.bincount(part, minlength=classes) for part in parts]).numpy()

    def figures(self, units: Sequence[Any]) -> Figures:
        """Return the mean over the classes that occur."""
        right, found, there = np.sum(units, 0)
        union = found + there - right
        return {"mIoU": float(100 * (right[union > 0] / union[union > 0]).mean()) if union.any() else float("nan")}
