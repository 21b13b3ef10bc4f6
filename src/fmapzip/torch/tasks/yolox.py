"""From what a YOLOX network gives to boxes."""

from __future__ import annotations

from math import isqrt

import torch
from torch import Tensor

from fmapzip.errors import InvalidInput

STRIDES = (8, 16, 32)
NMS_IOU, LEAST_SCORE = 0.65, 0.01


def decoded(output: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the boxes, scores and classes in a square input.

    Boxes are on grids of strides 8, 16 and 32: their middle as an offset from a cell's corner, their size as a
    logarithm, both in strides; then come the score of an object and the scores of the classes. A box is there once for
    each class whose score, times the object's, is above 0.01; of those of one class that overlap by more than 0.65,
    the best stays.

    Parameters
    ----------
    output : Tensor
        [A, 5 + K] of one image.

    Returns
    -------
    boxes, scores, classes : Tensor
        ``[N, 4]`` as left, top, right, bottom, best first.
    """
    side = _side(output)
    grids, strides = zip(*(_cells(side // stride, stride) for stride in STRIDES), strict=True)
    cells, stride = torch.cat(grids), torch.cat(strides)
    middle = (output[:, :2] + cells) * stride
    half = output[:, 2:4].exp() * stride / 2
    likely = output[:, 5:] * output[:, 4:5]
    rows, classes = (likely > LEAST_SCORE).nonzero(as_tuple=True)
    boxes, scores = torch.cat([middle - half, middle + half], 1)[rows], likely[rows, classes]
    chosen = best_of_class(boxes, scores, classes)
    return boxes[chosen], scores[chosen], classes[chosen]


def error_weights(output: Tensor) -> Tensor:
    """Return what a squared error of each value counts: of scores themselves, and of boxes in their own size.

    A score is that of an object times that of a class. An error of a box counts by its best score: almost all of the
    output describes boxes that are never seen.

    Parameters
    ----------
    output : Tensor
        [A, 5 + K] of one image.
    """
    _side(output)
    size, sure, classes = output[:, 2:4].exp(), output[:, 4:5], output[:, 5:]
    best = (classes * sure).amax(1, keepdim=True)
    whole = classes.square().sum(1, keepdim=True)
    return torch.cat([best / size.square(), best.expand_as(size), whole, sure.square().expand_as(classes)], 1)


def best_of_class(boxes: Tensor, scores: Tensor, classes: Tensor, overlap: float = NMS_IOU) -> Tensor:
    """Return the rows of boxes that no better one of their class overlaps by more than `overlap`, best first."""
    order = scores.argsort(descending=True, stable=True)
    boxes, classes = boxes[order], classes[order]
    area = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(1)
    kept: list[int] = []
    open_ = torch.ones(len(boxes), dtype=torch.bool)
    for i in range(len(boxes)):
        if not open_[i]:
            continue
        kept.append(i)
        both = (
            (torch.minimum(boxes[i, 2:], boxes[:, 2:]) - torch.maximum(boxes[i, :2], boxes[:, :2])).clamp(min=0).prod(1)
        )
        open_ &= (both <= overlap * (area + area[i] - both)) | (classes != classes[i])
    return order[kept]


def _side(output: Tensor) -> int:
    """Side of the square input whose grids have that many cells."""
    rows = output.shape[0] if output.ndim == 2 else 0
    side = STRIDES[-1] * isqrt(rows // 21) if rows else 0
    if not side or rows != sum((side // stride) ** 2 for stride in STRIDES) or output.shape[1] < 6:
        raise InvalidInput(
            f"the output {list(output.shape)} is not YOLOX's: [A, 5 + classes], strides 8, 16, 32 of a square input"
        )
    return side


def _cells(side: int, stride: int) -> tuple[Tensor, Tensor]:
    down, across = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return torch.stack([across, down], 2).reshape(-1, 2).float(), torch.full((side * side, 1), float(stride))
