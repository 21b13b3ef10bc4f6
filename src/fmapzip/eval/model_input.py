"""The preprocessing that a model brings: of its pretrained weights, or by the input of its file."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from math import floor
from typing import TYPE_CHECKING, Any

from fmapzip.eval.preprocess import IMAGENET, INTERPOLATIONS, MEAN, STD, Preprocessing, Size

if TYPE_CHECKING:
    from torch import nn

_RANGES = {"uint8": (0.0, 255.0), "int8": (-128.0, 127.0)}


def brought(spec: str, net: nn.Module) -> Preprocessing:
    """The preprocessing of a model that `load_model` gave for ``spec``; ImageNet's where it says nothing."""
    source, _, name = spec.rpartition(":")
    found = None
    if source == "torchvision":
        found = _of_torchvision(spec, name)
    elif source == "timm":
        found = _of_timm(spec, net)
    elif spec.endswith(".onnx"):
        found = _of_onnx(net)
    return found or IMAGENET


def _of_torchvision(spec: str, name: str) -> Preprocessing | None:
    models = importlib.import_module("torchvision.models")
    weights = getattr(models.get_model_weights(name), "DEFAULT", None)
    if weights is None:
        return None
    transform = weights.transforms()
    kind, mode = type(transform).__name__, str(getattr(transform, "interpolation", "bilinear"))
    interpolation = mode.rpartition(".")[2].lower()
    if kind == "ObjectDetection":
        return Preprocessing(spec)
    if kind not in ("ImageClassification", "SemanticSegmentation", "VideoClassification"):
        return Preprocessing(spec, function=transform)
    resize = list(transform.resize_size)
    return Preprocessing(
        spec,
        resize=resize[0] if len(resize) == 1 else (resize[0], resize[1]),
        crop=_pair(getattr(transform, "crop_size", None)),
        interpolation=interpolation,  # type: ignore[arg-type]
        mean=tuple(transform.mean),
        std=tuple(transform.std),
    )


def _of_timm(spec: str, net: nn.Module) -> Preprocessing | None:
    settings: Mapping[str, Any] = getattr(net, "pretrained_cfg", None) or {}
    if not settings.get("input_size"):
        return None
    planes, height, width = settings["input_size"]
    interpolation, mode = settings.get("interpolation", "bicubic"), settings.get("crop_mode") or "center"
    if planes not in (1, 3) or mode == "border" or interpolation not in INTERPOLATIONS:
        data = importlib.import_module("timm.data")
        return Preprocessing(spec, function=data.create_transform(**data.resolve_data_config({}, model=net)))
    share = settings.get("crop_pct") or 0.875
    scaled = (floor(height / share), floor(width / share))
    return Preprocessing(
        spec,
        channels="grey" if planes == 1 else "rgb",
        resize=scaled if mode == "squash" or height != width else scaled[0],
        crop=(height, width),
        interpolation=interpolation,
        mean=tuple(settings["mean"]),
        std=tuple(settings["std"]),
    )


def _of_onnx(net: nn.Module) -> Preprocessing | None:
    """By the first input of the file: its channels, its size, and whether it takes the pixels themselves."""
    inputs = getattr(net, "meta", {}).get("inputs", ())
    if not inputs or len(inputs[0].sizes) != 4:
        return None
    first = inputs[0]
    axes = (3, 1, 2) if first.channels_last else (1, 2, 3)
    planes, height, width = (first.sizes[axis] for axis in axes)
    shape = ", ".join("?" if size is None else str(size) for size in first.sizes)
    name, resize, crop = f"onnx input {first.dtype.name} [{shape}]", IMAGENET.resize, IMAGENET.crop
    if isinstance(height, int) and isinstance(width, int):
        resize, crop = ((height, width), None) if height != width else (floor(height / 0.875), (height, width))
    scaled = planes != 1 and not first.integers
    return Preprocessing(
        name,
        channels="grey" if planes == 1 else "rgb",
        resize=resize,
        crop=crop,
        range=_RANGES.get(first.dtype.name, (0.0, 1.0)),
        mean=MEAN if scaled else None,
        std=STD if scaled else None,
    )


def _pair(size: Any) -> Size | None:
    if size is None:
        return None
    sides = list(size) if isinstance(size, list | tuple) else [size]
    return int(sides[0]), int(sides[-1])
