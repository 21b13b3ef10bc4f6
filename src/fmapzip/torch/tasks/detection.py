"""Average precision of detections, by COCO's own program."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fmapzip.errors import InvalidInput, MissingExtra
from fmapzip.torch.outputs import output_tensor
from fmapzip.torch.tasks import yolox
from fmapzip.torch.tasks.metric import Figures, Metric

MOST_BOXES = 100
Boxes = tuple[Tensor, Tensor, Tensor]
"""Left, top, right, bottom in the network's input, [N, 4]; scores; categories."""


@dataclass(frozen=True)
class _Matches:
    """How one image's detections met its objects: for each category COCO's own record, or None."""

    records: tuple[Any, ...]


class CocoMap(Metric):
    """COCO's mAP (over overlaps from 0.5 to 0.95) and mAP50, in percent, all sizes, by pycocotools.

    Parameters
    ----------
    decoder : {"boxes", "yolox"} or callable, optional
        From the output of one image to boxes in the network's input, scores and categories. ``boxes``: the output is a
        dict of ``boxes``, ``scores`` and ``labels`` (category ids), as torchvision's detectors give it; ``yolox``: what
        `fmapzip.torch.tasks.yolox` reads, the classes being the categories in order. By default the one that fits.
    """

    name = "coco_map"
    rounds = 200

    def __init__(self, decoder: str | Callable[[Any], Boxes] | None = None) -> None:
        if isinstance(decoder, str) and decoder not in ("boxes", "yolox"):
            raise InvalidInput(f"metric coco_map: there is no decoder {decoder!r}; there are boxes, yolox")
        _cocoeval()
        self._decoder = decoder
        self.weighs_errors = decoder in (None, "yolox")

    def image(self, output: Any, target: Any) -> tuple[NDArray[np.float64], Mapping[str, Any]]:
        """Return the detections in the image's own coordinates (left, top, width, height, score, category)."""
        if not isinstance(target, Mapping) or "objects" not in target:
            raise InvalidInput("--metric coco_map needs data with annotations.json")
        if target["scale"] is None:
            raise InvalidInput("--metric coco_map cannot map boxes back through a function of --preprocess")
        boxes, scores, categories = self._decoded(output, target["categories"])
        scale, offset = (torch.tensor(target[key] * 2, dtype=torch.float64) for key in ("scale", "offset"))
        found = (boxes.double() - offset) / scale
        limits = torch.tensor([target["width"], target["height"]] * 2, dtype=torch.float64)
        found = found.clamp(min=0).minimum(limits)
        parts = [found[:, :2], found[:, 2:] - found[:, :2], scores.double()[:, None], categories.double()[:, None]]
        kept = scores.argsort(descending=True, stable=True)[:MOST_BOXES]
        return torch.cat(parts, 1)[kept].numpy(), target

    def error_weights(self, output: Any) -> Tensor:
        """Return what errors of a YOLOX network's output count."""
        return yolox.error_weights(output_tensor(output))

    def units(self, kept: Sequence[Any]) -> Sequence[_Matches]:
        """Return how each image's detections met its objects."""
        categories = sorted({category for _, target in kept for category in target["categories"]})
        truth, found = _coco(), _coco()
        truth.dataset, found.dataset = _objects(kept, categories), _detections(kept, categories)
        with redirect_stdout(io.StringIO()):
            truth.createIndex()
            found.createIndex()
            judge = _cocoeval()(truth, found, "bbox")
            judge.params.imgIds, judge.params.catIds = list(range(len(kept))), categories
            judge.params.areaRng, judge.params.areaRngLbl = judge.params.areaRng[:1], judge.params.areaRngLbl[:1]
            judge.params.maxDets = [MOST_BOXES]
            judge.evaluate()
        count = len(kept)
        return [_Matches(tuple(judge.evalImgs[place::count])) for place in range(count)]

    def figures(self, units: Sequence[Any]) -> Figures:
        """Return both means over the categories that occur."""
        judge = _cocoeval()()
        categories = len(units[0].records)
        judge.params.imgIds, judge.params.catIds = list(range(len(units))), list(range(categories))
        judge.params.areaRng, judge.params.areaRngLbl = judge.params.areaRng[:1], judge.params.areaRngLbl[:1]
        judge.params.maxDets = [MOST_BOXES]
        judge._paramsEval = judge.params
        judge.evalImgs = [unit.records[place] for place in range(categories) for unit in units]
        with redirect_stdout(io.StringIO()):
            judge.accumulate()
        precision = judge.eval["precision"]
        return {"mAP": _mean(precision), "mAP50": _mean(precision[:1])}

    def _decoded(self, output: Any, categories: Sequence[int]) -> Boxes:
        found = isinstance(output, Mapping) and {"boxes", "scores", "labels"} <= set(output)
        if callable(self._decoder):
            return self._decoder(output)
        if self._decoder == "boxes" or (self._decoder is None and found):
            if not found:
                raise InvalidInput("--metric coco_map: the output is no dict of boxes, scores and labels")
            return output["boxes"], output["scores"], output["labels"]
        boxes, scores, classes = yolox.decoded(output_tensor(output))
        if len(classes) and int(classes.max()) >= len(categories):
            raise InvalidInput(f"--metric coco_map: class {int(classes.max())}, of {len(categories)} categories")
        return boxes, scores, torch.tensor(categories, dtype=torch.int64)[classes]


def _mean(precision: NDArray[np.float64]) -> float:
    known = precision[precision > -1]
    return float(100 * known.mean()) if known.size else float("nan")


def _objects(kept: Sequence[Any], categories: Sequence[int]) -> dict[str, Any]:
    objects = [
        {**each, "image_id": place, "id": 0} for place, (_, target) in enumerate(kept) for each in target["objects"]
    ]
    return _dataset(kept, categories, objects)


def _detections(kept: Sequence[Any], categories: Sequence[int]) -> dict[str, Any]:
    found = [
        {
            "image_id": place,
            "id": 0,
            "bbox": row[:4].tolist(),
            "score": float(row[4]),
            "category_id": int(row[5]),
            "area": float(row[2] * row[3]),
            "iscrowd": 0,
        }
        for place, (rows, _) in enumerate(kept)
        for row in rows
    ]
    return _dataset(kept, categories, found)


def _dataset(kept: Sequence[Any], categories: Sequence[int], entries: list[dict[str, Any]]) -> dict[str, Any]:
    for number, entry in enumerate(entries, 1):  # 0 would count as no match
        entry["id"] = number
    return {
        "info": {},
        "images": [{"id": place} for place in range(len(kept))],
        "categories": [{"id": category} for category in categories],
        "annotations": entries,
    }


def _coco() -> Any:
    from pycocotools.coco import COCO

    return COCO()


def _cocoeval() -> Any:
    try:
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise MissingExtra("--metric coco_map needs pycocotools: pip install 'fmapzip[tasks]'") from error
    return COCOeval
