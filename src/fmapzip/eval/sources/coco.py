"""A folder of images with ``annotations.json`` in COCO's format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from fmapzip.errors import InvalidInput
from fmapzip.eval.dataset import Dataset
from fmapzip.eval.preprocess import Pixels, Preprocessing

ANNOTATIONS = "annotations.json"


class _Image(msgspec.Struct):
    id: int
    file_name: str
    width: int
    height: int


class _Annotation(msgspec.Struct):
    image_id: int
    category_id: int
    bbox: list[float]
    area: float | None = None
    iscrowd: int = 0


class _Category(msgspec.Struct):
    id: int


class _Annotations(msgspec.Struct):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


def from_coco(spec: str, root: Path, preprocessing: Preprocessing) -> Dataset:
    """The images that the annotations list, each with its objects as target.

    Raises
    ------
    InvalidInput
        The annotations are of another format, list no image, or one that is not there.
    """
    source = root / ANNOTATIONS
    try:
        found = msgspec.json.decode(source.read_bytes(), type=_Annotations)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{source}: {error}") from error
    objects: dict[int, list[dict[str, Any]]] = {image.id: [] for image in found.images}
    for annotation in found.annotations:
        if annotation.image_id not in objects or len(annotation.bbox) != 4:
            raise InvalidInput(f"{source}: an annotation of image {annotation.image_id} is not of one that it lists")
        objects[annotation.image_id].append(_object(annotation))
    files = [root / _inside(source, image.file_name) for image in found.images]
    for path in files:
        if not path.is_file():
            raise InvalidInput(f"{source}: no such file: {path}")
    if not files:
        raise InvalidInput(f"{source}: lists no images")

    categories = sorted(category.id for category in found.categories)

    def target(i: int) -> dict[str, Any]:
        image = found.images[i]
        frame = preprocessing.frame((image.height, image.width))
        return {
            "image_id": image.id,
            "height": image.height,
            "width": image.width,
            "objects": objects[image.id],
            "categories": categories,
            "scale": None if frame is None else frame.scale,
            "offset": None if frame is None else frame.offset,
        }

    names = tuple(image.file_name for image in found.images)

    def read(i: int, by: Preprocessing = preprocessing) -> Pixels:
        return by.read(files[i])

    return Dataset(spec, names, None, f"objects of {ANNOTATIONS}", read, target, read)


def _object(annotation: _Annotation) -> dict[str, Any]:
    area = annotation.bbox[2] * annotation.bbox[3] if annotation.area is None else annotation.area
    return {
        "category_id": annotation.category_id,
        "bbox": annotation.bbox,
        "area": area,
        "iscrowd": annotation.iscrowd,
    }


def _inside(source: Path, name: str) -> str:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise InvalidInput(f"{source}: {name!r} leads out of the folder")
    return name
