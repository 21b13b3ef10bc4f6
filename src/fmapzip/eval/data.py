"""What ``DATA`` on the command line names: images with labels, loaded one by one when asked for."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fmapzip.errors import InvalidInput
from fmapzip.eval.preprocess import IMAGENET, Pixels, Preprocessing

IMAGES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".npy"})
LABELS, CLASSES = "labels.csv", "classes.txt"
DEMO_PARTS = ("demo", "demo:calib")
DEMO_CALIBRATION_STEP = 13


@dataclass(frozen=True)
class Dataset:
    """Images and their class indexes, in a fixed order; pixels are read when asked for.

    Attributes
    ----------
    spec
        What the user typed.
    names
        One per image, for reports: the file relative to the data directory, or the row of the demo's.
    labels
        ``int64 [N]``: the index of each image's class among the network's outputs; None where nothing tells.
    label_rule
        How the indexes were found, in words.
    read
        From a position in ``names`` to ``float32 [C, H, W]``.
    """

    spec: str
    names: tuple[str, ...]
    labels: NDArray[np.int64] | None
    label_rule: str
    read: Callable[[int], Pixels]

    def __len__(self) -> int:
        return len(self.names)

    def select(self, rows: Sequence[int]) -> Dataset:
        """The data set of these rows, in the order given."""
        kept = tuple(rows)
        return Dataset(
            self.spec,
            tuple(self.names[i] for i in kept),
            None if self.labels is None else self.labels[list(kept)],
            self.label_rule,
            lambda i: self.read(kept[i]),
        )


def load_data(spec: str, preprocessing: Preprocessing | None = None) -> Dataset:
    """The data set that ``spec`` names.

    Parameters
    ----------
    spec
        ``demo`` (the 450 held-out digits), ``demo:calib`` (104 of the digits it was trained on), or a directory:
        one with ``labels.csv`` (columns ``file,label``; labels are class indexes), one of class folders, or one of
        images alone, without labels. Class folders get the index of their line in ``classes.txt`` beside them if there
        is one, else their own number if every folder is named by one (``0``, ``1``, ``17``...), else their position
        in sorted order.
    preprocessing
        What happens to an image; by default ImageNet's. The demo has its own.

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
    root = Path(spec)
    if not root.is_dir():
        what = "is not a directory" if root.exists() else "no such directory"
        raise InvalidInput(f"data {spec!r}: {what} (a directory of images, or 'demo')")
    files, labels, rule = _listed(root) if (root / LABELS).is_file() else _foldered(root)
    read = (preprocessing or IMAGENET).read
    indexes = None if labels is None else np.array(labels, np.int64)
    return Dataset(spec, files, indexes, rule, lambda i: read(root / files[i]))


def _demo(spec: str) -> Dataset:
    from fmapzip.demo.digits import TRAIN_ROWS, digits, normalise

    calibration = spec == "demo:calib"
    first, step = (0, DEMO_CALIBRATION_STEP) if calibration else (TRAIN_ROWS, 1)
    images, labels = digits("train" if calibration else "test")
    images, labels = images[::step], labels[::step]
    names = tuple(f"digit {first + step * i}" for i in range(len(images)))
    return Dataset(spec, names, labels, "the digits themselves", lambda i: normalise(images[i : i + 1])[0])


def _listed(root: Path) -> tuple[tuple[str, ...], list[int], str]:
    source = root / LABELS
    files, labels = [], []
    try:
        with source.open(newline="", encoding="utf-8-sig") as text:
            rows = csv.DictReader(text)
            if not {"file", "label"} <= set(rows.fieldnames or ()):
                raise InvalidInput(f"{source}: the first line must name the columns file,label")
            for row in rows:
                files.append(row["file"])
                labels.append(_index(row["label"], f"{source}:{rows.line_num}"))
                if not row["file"] or not (root / row["file"]).is_file():
                    raise InvalidInput(f"{source}:{rows.line_num}: no such file: {row['file']!r}")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"{source}: {error}") from error
    if not files:
        raise InvalidInput(f"{source}: lists no images")
    return tuple(files), labels, f"class indexes of {LABELS}"


def _foldered(root: Path) -> tuple[tuple[str, ...], list[int] | None, str]:
    folders = sorted(x.name for x in root.iterdir() if x.is_dir() and not x.name.startswith("."))
    indexes, rule = _folder_indexes(root, folders)
    files, labels = [], []
    for folder, index in zip(folders, indexes, strict=True):
        found = sorted(x for x in (root / folder).iterdir() if x.suffix.lower() in IMAGES)
        files += [f"{folder}/{x.name}" for x in found]
        labels += [index] * len(found)
    if files:
        return tuple(files), labels, rule
    alone = sorted(x.name for x in root.iterdir() if x.suffix.lower() in IMAGES and not x.name.startswith("."))
    if not alone:
        raise InvalidInput(f"{root}: no {LABELS}, no folders of images, one folder a class, and no images")
    return tuple(alone), None, "none: a folder of images alone"


def _folder_indexes(root: Path, folders: list[str]) -> tuple[list[int], str]:
    listing = root / CLASSES
    if listing.is_file():
        try:
            lines = [x.strip() for x in listing.read_text("utf-8-sig").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"{listing}: {error}") from error
        missing = [x for x in folders if x not in lines]
        if missing:
            raise InvalidInput(f"{listing}: has no line for the folder {missing[0]!r}")
        return [lines.index(x) for x in folders], f"lines of {CLASSES}"
    if folders and all(x.isascii() and x.isdecimal() for x in folders):
        return [_index(x, str(root / x)) for x in folders], "numbers of the class folders"
    return list(range(len(folders))), f"class folders in sorted order (0 to {len(folders) - 1})"


def _index(text: str | None, where: str) -> int:
    try:
        index = int(text or "")
    except ValueError:
        raise InvalidInput(f"{where}: label {text!r} is not a class index") from None
    if not 0 <= index < 2**31:
        raise InvalidInput(f"{where}: label {index} is out of range")
    return index
