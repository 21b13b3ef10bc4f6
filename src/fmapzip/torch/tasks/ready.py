"""The metrics that are here, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fmapzip.errors import InvalidInput
from fmapzip.torch.tasks.accuracy import Accuracy
from fmapzip.torch.tasks.detection import CocoMap
from fmapzip.torch.tasks.fidelity import Psnr
from fmapzip.torch.tasks.metric import Metric
from fmapzip.torch.tasks.retrieval import RecallAt1
from fmapzip.torch.tasks.segmentation import MeanIou

READY: dict[str, Callable[..., Metric]] = {
    "top1": lambda: Accuracy(1),
    "top5": lambda: Accuracy(5),
    "miou": MeanIou,
    "coco_map": CocoMap,
    "psnr": Psnr,
    "recall_at_1": RecallAt1,
}

OF_FIGURE = {
    "top1": "top1",
    "top5": "top5",
    "mIoU": "miou",
    "mAP": "coco_map",
    "mAP50": "coco_map",
    "PSNR": "psnr",
    "recall@1": "recall_at_1",
}
"""The metric that has a figure."""


def ready(name: str, **settings: Any) -> Metric:
    """Return a metric by its name.

    Raises
    ------
    InvalidInput
        There is none of that name (the message lists them), or it has no such setting.

    Examples
    --------
    >>> ready("psnr", peak=255).name
    'psnr'
    """
    if name not in READY:
        raise InvalidInput(f"there is no metric {name!r}; there are {', '.join(READY)}, path/to/file.py:function")
    try:
        return READY[name](**settings)
    except TypeError as error:
        raise InvalidInput(f"metric {name!r}: {error}") from error
