"""Scikit-learn's bundled handwritten digits, enlarged to 32 x 32 and split once and for all.

Source: UCI "Optical Recognition of Handwritten Digits" test set, 1797 images of 8 x 8 pixels with
values 0..16, as shipped inside scikit-learn. The rows come in the order of their writers, so the split is
by row: the first ``TRAIN_ROWS`` rows train, the others are held out, mostly by other hands.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fmapzip.errors import InvalidInput, MissingExtra

TRAIN_ROWS = 1347
SIDE = 32
MEAN, STD = 0.31, 0.32
"""Of the enlarged training images, rounded; fixed, because the weights were trained with them."""


def digits(part: Literal["train", "test"]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The images and labels of one part of the digits.

    Parameters
    ----------
    part
        ``"train"``: rows 0..1346. ``"test"``: the 450 rows after them, never trained on.

    Returns
    -------
    images, labels
        ``uint8 [N, 32, 32]``, 0 (paper) to 255 (ink), and ``int64 [N]``, 0 to 9.

    Raises
    ------
    MissingExtra
        scikit-learn or Pillow is not installed.
    InvalidInput
        ``part`` is neither of the two.

    Examples
    --------
    >>> images, labels = digits("test")
    >>> images.shape, images.dtype
    ((450, 32, 32), dtype('uint8'))
    """
    if part not in ("train", "test"):
        raise InvalidInput(f"the digits have the parts 'train' and 'test', not {part!r}")
    try:
        from PIL import Image
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingExtra(
            f"the demo needs {(error.name or '').partition('.')[0]}: pip install 'fmapzip[demo]'"
        ) from error
    bunch = load_digits()
    rows = slice(0, TRAIN_ROWS) if part == "train" else slice(TRAIN_ROWS, None)
    small = np.rint(bunch.images[rows] * (255 / 16)).astype(np.uint8)
    size = (SIDE, SIDE)
    large = [np.asarray(Image.fromarray(x).resize(size, Image.Resampling.BILINEAR)) for x in small]
    return np.stack(large), bunch.target[rows].astype(np.int64)


def normalise(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The network's input, ``float32 [N, 1, 32, 32]``, from ``uint8 [N, 32, 32]``."""
    scaled = images.astype(np.float32) / np.float32(255)
    return ((scaled - np.float32(MEAN)) / np.float32(STD))[:, None]
