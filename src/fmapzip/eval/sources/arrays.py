"""Batches in ``.npy`` files, each sample read when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fmapzip.arrays import load_npy
from fmapzip.errors import InvalidInput
from fmapzip.eval.dataset import Dataset
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
        return preprocessing.of_array(_mapped(self.path)[self.place], f"{self.path}[{self.place}]")


def rows_of(path: Path) -> list[Row]:
    """The samples of a file: floats ``[N, C, H, W]`` and images of 8 bits ``[N, H, W, C]`` are N, all else is one."""
    if path.suffix.lower() != ".npy":
        return [Row(path, None)]
    array = _mapped(path)
    if array.ndim < 4:
        return [Row(path, None)]
    return [Row(path, place) for place in range(len(array))]


def from_array_file(spec: str, preprocessing: Preprocessing) -> Dataset:
    """The samples of one ``.npy`` file."""
    rows = rows_of(Path(spec))
    if not rows:
        raise InvalidInput(f"{spec}: holds no samples")
    return Dataset(spec, tuple(row.name for row in rows), None, "none: an array", lambda i: rows[i].read(preprocessing))


def _mapped(path: Path) -> NDArray[np.generic]:
    try:
        return load_npy(path, "r")
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise InvalidInput(f"{path}: {error}") from error
