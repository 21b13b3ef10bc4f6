"""What ``DATA`` on the command line names: images with labels, loaded one by one when asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fmapzip.errors import InvalidInput
from fmapzip.eval.dataset import Dataset
from fmapzip.eval.preprocess import IMAGENET, Preprocessing
from fmapzip.eval.sources.arrays import from_array_file
from fmapzip.eval.sources.clips import from_clips
from fmapzip.eval.sources.coco import ANNOTATIONS, from_coco
from fmapzip.eval.sources.folders import from_folder
from fmapzip.eval.sources.labelled_arrays import from_labelled_arrays
from fmapzip.eval.sources.pairs import from_pairs, is_paired
from fmapzip.eval.sources.tars import TAR, from_tars

__all__ = ["DEMO_PARTS", "Dataset", "load_data"]

_FILES: dict[str, Callable[[str, Preprocessing], Dataset]] = {
    ".npy": from_array_file,
    ".npz": from_labelled_arrays,
    TAR: lambda spec, read: from_tars(spec, [Path(spec)], read),
}

DEMO_PARTS = ("demo", "demo:calib")
DEMO_CALIBRATION_STEP = 13


def load_data(spec: str, preprocessing: Preprocessing | None = None, frames: int | None = None) -> Dataset:
    """The data set that ``spec`` names.

    Parameters
    ----------
    spec
        ``demo`` (the 450 held-out digits), ``demo:calib`` (104 of the digits it was trained on), a ``.npy`` file with
        a batch, a ``.npz`` file with ``images`` and perhaps ``labels``, a ``.tar`` file as WebDataset has them, or a
        directory: one of such tar files, one with ``labels.csv``
        (columns ``file,label``; labels are class indexes), one of class folders, one of images alone, without labels,
        one with ``annotations.json`` in COCO's format, or one of ``images`` beside ``masks`` or ``targets``. Class
        folders get the index of their line in ``classes.txt`` beside them if there is one, else their own number if
        every folder is named by one (``0``, ``1``, ``17``...), else their position in sorted order.
    preprocessing
        What happens to an image; by default ImageNet's. The demo has its own.
    frames
        How many frames of each clip to take, where the directory holds folders of frames.

    Raises
    ------
    InvalidInput
        No such directory, nothing to label the images by, a label that is no index, or a listed file
        that is missing.
    MissingExtra
        Pillow or scikit-learn is not installed.

    Examples
    --------
    >>> len(load_data("demo"))
    450
    """
    if spec in DEMO_PARTS:
        return _demo(spec)
    root, read = Path(spec), preprocessing or IMAGENET
    if root.is_file() and root.suffix.lower() in _FILES:
        return _FILES[root.suffix.lower()](spec, read)
    if not root.is_dir():
        what = "is not a directory" if root.exists() else "no such directory"
        raise InvalidInput(f"data {spec!r}: {what} (a directory of images, a .npy, .npz or .tar file, or 'demo')")
    if frames is not None:
        return from_clips(spec, root, read, frames)
    if (root / ANNOTATIONS).is_file():
        return from_coco(spec, root, read)
    if is_paired(root):
        return from_pairs(spec, root, read)
    tars = sorted(root.glob(f"*{TAR}"))
    return from_tars(spec, tars, read) if tars else from_folder(spec, root, read)


def _demo(spec: str) -> Dataset:
    from fmapzip.demo.digits import TRAIN_ROWS, digits, normalise

    calibration = spec == "demo:calib"
    first, step = (0, DEMO_CALIBRATION_STEP) if calibration else (TRAIN_ROWS, 1)
    images, labels = digits("train" if calibration else "test")
    images, labels = images[::step], labels[::step]
    names = tuple(f"digit {first + step * i}" for i in range(len(images)))
    return Dataset(spec, names, labels, "the digits themselves", lambda i: normalise(images[i : i + 1])[0])
