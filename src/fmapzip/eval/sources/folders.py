"""Folders of images: with ``labels.csv``, one folder a class, or images alone."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from fmapzip.errors import InvalidInput
from fmapzip.eval.dataset import Dataset
from fmapzip.eval.preprocess import Pixels, Preprocessing
from fmapzip.eval.sources.arrays import of_rows, rows_of

IMAGES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".npy"})
LABELS, CLASSES = "labels.csv", "classes.txt"


def from_folder(spec: str, root: Path, preprocessing: Preprocessing) -> Dataset:
    """The images of a folder."""
    if (root / LABELS).is_file():
        files, labels, rule = _listed(root)
    else:
        files, labels, rule = _foldered(root, subfolders(root))
        if not files:
            return _alone(spec, root, preprocessing)

    def read(i: int, by: Preprocessing = preprocessing) -> Pixels:
        return by.read(root / files[i])

    return Dataset(spec, files, np.array(labels, np.int64), rule, read, read_by=read)


def subfolders(root: Path) -> list[str]:
    """Names of the folders in a folder."""
    return sorted(x.name for x in root.iterdir() if x.is_dir() and not x.name.startswith("."))


def images_in(folder: Path) -> list[Path]:
    """The images of a folder, by name."""
    return sorted(x for x in folder.iterdir() if x.suffix.lower() in IMAGES and not x.name.startswith("."))


def folder_indexes(root: Path, folders: list[str]) -> tuple[list[int], str]:
    """The class index of each folder, and how it was found."""
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
        return [class_index(x, str(root / x)) for x in folders], "numbers of the class folders"
    return list(range(len(folders))), f"class folders in sorted order (0 to {len(folders) - 1})"


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
                labels.append(class_index(row["label"], f"{source}:{rows.line_num}"))
                if not row["file"] or not (root / row["file"]).is_file():
                    raise InvalidInput(f"{source}:{rows.line_num}: no such file: {row['file']!r}")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"{source}: {error}") from error
    if not files:
        raise InvalidInput(f"{source}: lists no images")
    return tuple(files), labels, f"class indexes of {LABELS}"


def _foldered(root: Path, folders: list[str]) -> tuple[tuple[str, ...], list[int], str]:
    indexes, rule = folder_indexes(root, folders)
    files, labels = [], []
    for folder, index in zip(folders, indexes, strict=True):
        found = images_in(root / folder)
        files += [f"{folder}/{x.name}" for x in found]
        labels += [index] * len(found)
    return tuple(files), labels, rule


def _alone(spec: str, root: Path, preprocessing: Preprocessing) -> Dataset:
    """Images without labels; of a ``.npy`` file with a batch, each sample is one."""
    rows = [row for path in images_in(root) for row in rows_of(path)]
    if not rows:
        raise InvalidInput(f"{root}: no {LABELS}, no folders of images, one folder a class, and no images")
    return of_rows(spec, rows, "none: a folder of images alone", preprocessing)


def class_index(text: str | None, where: str) -> int:
    """The class index that a text is; `where` names it in errors."""
    try:
        index = int(text or "")
    except ValueError:
        raise InvalidInput(f"{where}: label {text!r} is not a class index") from None
    if not 0 <= index < 2**31:
        raise InvalidInput(f"{where}: label {index} is out of range")
    return index
