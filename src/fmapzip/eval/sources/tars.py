"""Tar files as WebDataset has them: images beside class indexes of the same key (``0017.jpg``, ``0017.cls``)."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fmapzip.errors import InvalidInput
from fmapzip.eval.dataset import Dataset
from fmapzip.eval.places import read_range
from fmapzip.eval.preprocess import Pixels, Preprocessing
from fmapzip.eval.sources.folders import IMAGES, class_index

TAR = ".tar"
_CLASS, _MOST_DIGITS = ".cls", 32
_ENDINGS = IMAGES - {".npy"}


@dataclass(frozen=True)
class _Member:
    """A file in a tar file: where its bytes lie."""

    tar: Path
    name: str
    offset: int
    size: int

    def read(self) -> bytes:
        try:
            data = read_range(self.tar, self.offset, self.size)
        except OSError as error:
            raise InvalidInput(f"{self.tar}: {error.strerror}") from error
        if len(data) < self.size:
            raise InvalidInput(f"{self}: the tar file is cut off")
        return data

    def __str__(self) -> str:
        return f"{self.tar}/{self.name}"


def from_tars(spec: str, files: Sequence[Path], preprocessing: Preprocessing) -> Dataset:
    """The images of tar files, in the files' order; only their headers and class indexes are read.

    A sample is the files whose names agree up to the first dot behind the last slash; what is neither image nor class
    is passed over.

    Raises
    ------
    InvalidInput
        A file is no tar file or is cut off, holds no images, or has class indexes for some of them only.
    """
    images: list[_Member] = []
    labels: list[int | None] = []
    for file in files:
        found: dict[str, _Member] = {}
        classes: dict[str, int] = {}
        for key, ending, member in _members(file):
            if ending in _ENDINGS:
                if key in found:
                    raise InvalidInput(f"{member}: a second image of the key {key!r}")
                found[key] = member
            elif ending == _CLASS:
                classes[key] = _class_of(member)
        images += found.values()
        labels += [classes.get(key) for key in found]
    if not images:
        raise InvalidInput(f"{spec}: no images in {', '.join(file.name for file in files[:8])}")
    names = tuple(f"{image.tar.name}/{image.name}" for image in images)

    def read(i: int, by: Preprocessing = preprocessing) -> Pixels:
        return by.of_bytes(images[i].read(), str(images[i]))

    known = [label for label in labels if label is not None]
    if not known:
        return Dataset(spec, names, None, f"none: no {_CLASS} files", read, read_by=read)
    if len(known) < len(images):
        raise InvalidInput(f"{images[labels.index(None)]}: has no {_CLASS} file, others have")
    return Dataset(spec, names, np.array(known, np.int64), f"{_CLASS} files in the tar files", read, read_by=read)


def _members(file: Path) -> Iterator[tuple[str, str, _Member]]:
    """Key, ending and place of every file in a tar file."""
    try:
        with file.open("rb") as opened, tarfile.open(fileobj=opened, mode="r:") as tar:
            for entry in tar:
                folder, slash, base = entry.name.rpartition("/")
                key, dot, ending = base.partition(".")
                if entry.isreg() and not entry.issparse() and key:
                    member = _Member(file, entry.name, entry.offset_data, entry.size)
                    yield folder + slash + key, (dot + ending).lower(), member
    except (tarfile.TarError, EOFError) as error:
        raise InvalidInput(f"{file}: no uncompressed tar file, or a damaged one: {error}") from error
    except OSError as error:
        raise InvalidInput(f"{file}: {error.strerror or error}") from error


def _class_of(member: _Member) -> int:
    if member.size > _MOST_DIGITS:
        raise InvalidInput(f"{member}: {member.size} bytes are no class index")
    return class_index(member.read().decode("ascii", "replace").strip(), str(member))
