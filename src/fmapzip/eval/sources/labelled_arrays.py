"""Images and labels in one ``.npz`` file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fmapzip.arrays import read_arrays
from fmapzip.errors import InvalidInput
from fmapzip.eval.dataset import Dataset
from fmapzip.eval.preprocess import Pixels, Preprocessing


def from_labelled_arrays(spec: str, file: Path, preprocessing: Preprocessing) -> Dataset:
    """The samples of an ``.npz`` file: ``images``, as a ``.npy`` file has them, and class indexes ``labels`` if any.

    Raises
    ------
    InvalidInput
        The file is damaged, has no images, or labels that are not one whole number an image.
    """
    arrays = dict(read_arrays(file))
    images, labels = arrays.get("images"), arrays.get("labels")
    if images is None or images.ndim < 4 or not len(images):
        raise InvalidInput(f"{spec}: holds no array 'images' of several samples, but {', '.join(arrays)}")
    if labels is not None and (labels.dtype.kind not in "iu" or labels.shape != (len(images),)):
        raise InvalidInput(f"{spec}: {len(images)} images, but 'labels' are {labels.dtype} {list(labels.shape)}")
    names = tuple(f"{file.name}[{place}]" for place in range(len(images)))

    def read(i: int, by: Preprocessing = preprocessing) -> Pixels:
        return by.of_array(images[i], f"{spec}[{i}]")

    if labels is None:
        return Dataset(spec, names, None, "none: an array", read, read_by=read)
    return Dataset(spec, names, labels.astype(np.int64), "the array 'labels'", read, read_by=read)
