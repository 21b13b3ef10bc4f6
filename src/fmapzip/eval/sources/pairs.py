"""Images with another image as target: ``images/`` beside ``masks/`` (class indexes) or ``targets/``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmapzip.errors import InvalidInput
from fmapzip.eval.dataset import Dataset
from fmapzip.eval.image_files import open_image, open_mask
from fmapzip.eval.preprocess import Pixels, Preprocessing
from fmapzip.eval.sources.folders import images_in

PICTURES, MASKS, TARGETS = "images", "masks", "targets"


def is_paired(root: Path) -> bool:
    """Whether a folder holds images and their targets."""
    return (root / PICTURES).is_dir() and ((root / MASKS).is_dir() or (root / TARGETS).is_dir())


def from_pairs(spec: str, root: Path, preprocessing: Preprocessing) -> Dataset:
    """The images, each with the target of the same name (but for its ending).

    Raises
    ------
    InvalidInput
        There is no image, or one without a target.
    """
    folder = MASKS if (root / MASKS).is_dir() else TARGETS
    beside = {path.stem: path for path in images_in(root / folder)}
    files = images_in(root / PICTURES)
    if not files:
        raise InvalidInput(f"{root / PICTURES}: no images")
    for path in files:
        if path.stem not in beside:
            raise InvalidInput(f"{path}: {root / folder} has nothing of that name")
    load: Callable[[Path], Any] = _mask(preprocessing) if folder == MASKS else _picture

    def read(i: int, by: Preprocessing = preprocessing) -> Pixels:
        return by.read(files[i])

    return Dataset(
        spec,
        tuple(f"{PICTURES}/{path.name}" for path in files),
        None,
        f"images of {folder}/",
        read,
        lambda i: load(beside[files[i].stem]),
        read,
    )


def _mask(preprocessing: Preprocessing) -> Callable[[Path], NDArray[np.int64]]:
    return lambda path: preprocessing.of_mask(open_mask(path), path)


def _picture(path: Path) -> NDArray[np.float32]:
    """An image as it is, RGB from 0 to 1, [3, H, W]."""
    return np.ascontiguousarray(np.asarray(open_image(path), np.float32).transpose(2, 0, 1) / np.float32(255))
