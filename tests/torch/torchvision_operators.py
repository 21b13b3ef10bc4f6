"""Stand-ins for the compiled operators of torchvision, where its build does not fit that of PyTorch."""

from __future__ import annotations

import importlib
from functools import cache

import torch


@cache
def provide():
    """Make torchvision import and its detectors run; return what keeps the operators alive."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    if hasattr(torch.ops.torchvision, "nms"):
        return library
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    try:
        extension = importlib.import_module("torchvision.extension")
    except ModuleNotFoundError:
        return library
    if extension._has_ops():
        return library
    module = importlib.import_module("torchvision.ops.roi_align")
    extension._has_ops = module._has_ops = lambda: True
    library.define(
        "roi_align(Tensor input, Tensor rois, float spatial_scale, int pooled_height, int pooled_width, "
        "int sampling_ratio, bool aligned) -> Tensor"
    )
    library.impl("roi_align", module._roi_align.__wrapped__, "CPU")
    library.impl("nms", _nms, "CPU")
    return library


def _nms(boxes, scores, iou_threshold):
    kept = []
    left = scores.argsort(descending=True, stable=True)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        low, high = boxes[best, :2].maximum(boxes[left, :2]), boxes[best, 2:].minimum(boxes[left, 2:])
        common = (high - low).clamp(min=0).prod(1)
        left = left[common / (areas[best] + areas[left] - common) <= iou_threshold]
    return torch.stack(kept) if kept else left
