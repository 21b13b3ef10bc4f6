"""Batches in ``.npy`` files, each sample read when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fmapzip.arrays import read_npy
from fmapzip.errors import InvalidInput
from fmapzip.eval.dataset import Dataset
from fmapzip.eval.places import is_local
from fmapzip.eval.preprocess import Pixels, Preprocessing


@dataclass(frozen=True)
class Row:
    """A file's image, or a sample of the batch in it."""

    path: Path
    place: int | None

    @property
    def name(self) -> str:
        """For reports."""
        return self.path.name if self.place is None else f"{self.path.name}[{self.place}]"

    def read(self, preprocessing: Preprocessing) -> Pixels:
        """The sample."""
        if self.place is None:
            return preprocessing.read(self.path)
        return preprocessing.of_array(read_npy(self.path, "r")[self.place], f"{self.path}[{self.place}]")


def rows_of(path: Path) -> list[Row]:
    """The samples of a file: floats ``[N, C, H, W]`` and images of 8 bits ``[N, H, W, C]`` are N, all else is one."""
    if path.suffix.lower() != ".npy" or not is_local(path):
        return [Row(path, None)]
    array = read_npy(path, "r")
    if array.ndim < 4:
        return [Row(path, None)]
    return [Row(path, place) for place in range(len(array))]


def from_array_file(spec: str, file: Path, preprocessing: Preprocessing) -> Dataset:
    """The samples of one ``.npy`` file."""
    rows = rows_of(file)
    if not rows:
        raise InvalidInput(f"{spec}: holds no samples")
    return of_rows(spec, rows, "none: an array", preprocessing)


def of_rows(spec: str, rows: Sequence[Row], label_rule: str, preprocessing: Preprocessing) -> Dataset:
    """Samples without labels."""

    def read(i: int, by: Preprocessing = preprocessing) -> Pixels:
        return rows[i].read(by)

    return Dataset(spec, tuple(row.name for row in rows), None, label_rule, read, read_by=read)
