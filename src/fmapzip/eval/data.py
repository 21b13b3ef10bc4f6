"""What ``DATA`` on the command line names: images with labels, loaded one by one when asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from fmapzip.errors import FmapzipError, InvalidInput
from fmapzip.eval.dataset import Dataset
from fmapzip.eval.places import is_local, place_of
from fmapzip.eval.preprocess import IMAGENET, Preprocessing
from fmapzip.eval.sources.arrays import from_array_file
from fmapzip.eval.sources.clips import from_clips
from fmapzip.eval.sources.coco import ANNOTATIONS, from_coco
from fmapzip.eval.sources.folders import from_folder
from fmapzip.eval.sources.labelled_arrays import from_labelled_arrays
from fmapzip.eval.sources.pairs import from_pairs, is_paired
from fmapzip.eval.sources.tables import PARQUET, SAVED, SEVERAL, from_parquet, from_saved
from fmapzip.eval.sources.tars import TAR, from_tars

__all__ = ["DEMO_PARTS", "Dataset", "load_data"]

_FILES: dict[str, Callable[[str, Path, Preprocessing], Dataset]] = {
    ".npy": lambda spec, file, read: from_array_file(spec, _here(file), read),
    ".npz": lambda spec, file, read: from_labelled_arrays(spec, _here(file), read),
    TAR: lambda spec, file, read: from_tars(spec, [file], read),
    PARQUET: lambda spec, file, read: from_parquet(spec, [file], read),
}
_SEVERAL: dict[str, Callable[[str, Sequence[Path], Preprocessing], Dataset]] = {TAR: from_tars, PARQUET: from_parquet}
"""Endings of files that together are one data set."""

DEMO_PARTS = ("demo", "demo:calib")
DEMO_CALIBRATION_STEP = 13


def load_data(spec: str, preprocessing: Preprocessing | None = None, frames: int | None = None) -> Dataset:
    """The data set that ``spec`` names.

    Parameters
    ----------
    spec
        ``demo`` (the 450 held-out digits), ``demo:calib`` (104 of the digits it was trained on), a ``.npy`` file with
        a batch, a ``.npz`` file with ``images`` and perhaps ``labels``, a ``.tar`` file as WebDataset has them, a
        ``.parquet`` file with a column of image files, or a directory: one of such tar files or Parquet files (in it
        or in ``data/``), one that ``datasets`` saved, one with ``labels.csv``
        (columns ``file,label``; labels are class indexes), one of class folders, one of images alone, without labels,
        one with ``annotations.json`` in COCO's format, or one of ``images`` beside ``masks`` or ``targets``. Class
        folders get the index of their line in ``classes.txt`` beside them if there is one, else their own number if
        every folder is named by one (``0``, ``1``, ``17``...), else their position in sorted order. A ``*`` in the
        last part stands for several tar or Parquet files. All but arrays and saved datasets may be a URL that
        `fsspec` knows (``s3://bucket/val``).
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
        Pillow, scikit-learn, PyArrow or what a URL needs is not installed.

    Examples
    --------
    >>> len(load_data("demo"))
    450
    """
    if spec in DEMO_PARTS:
        return _demo(spec)
    root = place_of(spec)
    try:
        return _at(spec, root, preprocessing or IMAGENET, frames)
    except (FmapzipError, MemoryError):
        raise
    except Exception as error:
        if is_local(root):
            raise
        raise InvalidInput(f"data {spec!r}: {type(error).__name__}: {error}") from error  # what a server may do


def _at(spec: str, root: Path, read: Preprocessing, frames: int | None) -> Dataset:
    suffix = root.suffix.lower()
    if "*" in root.name and suffix in _SEVERAL and not root.exists():
        return _SEVERAL[suffix](spec, _matching(spec, root.parent, root.name), read)
    if suffix in _FILES and root.is_file():
        return _FILES[suffix](spec, root, read)
    if not root.is_dir():
        what = "is not a directory" if root.exists() else "no such directory"
        files = f"{', '.join(list(_FILES)[:-1])} or {list(_FILES)[-1]}"
        raise InvalidInput(f"data {spec!r}: {what} (a directory of images, a {files} file, or 'demo')")
    return _of_folder(spec, root, read) if frames is None else from_clips(spec, root, read, frames)


def _of_folder(spec: str, root: Path, read: Preprocessing) -> Dataset:
    if (root / ANNOTATIONS).is_file():
        return from_coco(spec, root, read)
    if is_paired(root):
        return from_pairs(spec, root, read)
    if (root / SEVERAL).is_file() or (root / SAVED).is_file():
        return from_saved(spec, root, read)
    for folder, ending in ((root, TAR), (root, PARQUET), (root / "data", PARQUET)):
        files = _ending(folder, ending)
        if files:
            return _SEVERAL[ending](spec, files, read)
    return from_folder(spec, root, read)


def _here(file: Path) -> Path:
    """The file, which must be of this machine."""
    if not is_local(file):
        raise InvalidInput(f"{file}: arrays are read from a local disk")
    return file


def _ending(folder: Path, ending: str) -> list[Path]:
    """Files of a folder with an ending, by name."""
    if not folder.is_dir():
        return []
    return sorted((file for file in folder.iterdir() if file.suffix.lower() == ending), key=lambda file: file.name)


def _matching(spec: str, folder: Path, pattern: str) -> list[Path]:
    """Files of a folder that a name with ``*`` stands for."""
    found = _ending(folder, Path(pattern).suffix.lower())
    files = [file for file in found if fnmatchcase(file.name, pattern)]
    if not files:
        raise InvalidInput(f"data {spec!r}: no such files")
    return files


def _demo(spec: str) -> Dataset:
    from fmapzip.demo.digits import TRAIN_ROWS, digits, normalise

    calibration = spec == "demo:calib"
    first, step = (0, DEMO_CALIBRATION_STEP) if calibration else (TRAIN_ROWS, 1)
    images, labels = digits("train" if calibration else "test")
    images, labels = images[::step], labels[::step]
    names = tuple(f"digit {first + step * i}" for i in range(len(images)))
    return Dataset(spec, names, labels, "the digits themselves", lambda i: normalise(images[i : i + 1])[0])
