"""Kept feature maps as a data set that training loops read."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Self, TypeVar

import torch
from torch import Tensor
from torch.utils.data import Dataset

from fmapzip.archive import Archive
from fmapzip.archive.store_index import read_index
from fmapzip.errors import CorruptArchive, InvalidInput

Maps = Tensor | dict[str, Tensor]
PathLike = str | os.PathLike[str]
T = TypeVar("T")


class FeatureStore(Dataset[Any]):
    """The kept maps of chosen taps, an item a sample, from one archive or several shards.

    Items are read when they are asked for, in any order, by any number of ``DataLoader`` workers (forked or spawned).

    Parameters
    ----------
    paths : path, or sequence of paths
        Archives that ``fmapzip capture`` or `fmapzip.archive.ArchiveWriter` wrote. A directory stands for the shards
        that its index lists, without one for its ``.fmz`` files by name. The samples of a shard follow those of the one
        before it.
    taps : str or sequence of str, optional
        One name: an item is that map. Several: an item is a dictionary by name. Default all.
    integers : bool, default False
        Give the 8-bit integers themselves; otherwise float32 by the quantizers of the frames or the archive's plan.

    Attributes
    ----------
    names : list of str
        The samples' image names where every archive tells them, else empty.
    labels : list of int
        Their class indexes, likewise; an item is then the pair ``(maps, label)``.

    Raises
    ------
    OSError, CorruptArchive
        An archive cannot be read, or one has a map for only some of its samples.
    InvalidInput
        There are no archives, one lacks a chosen tap, or shards differ in their maps.

    Examples
    --------
    >>> store = FeatureStore("train.fmz", taps="layer3.5.conv1")  # doctest: +SKIP
    >>> loader = torch.utils.data.DataLoader(store, batch_size=64, shuffle=True, num_workers=8)  # doctest: +SKIP
    """

    def __init__(
        self, paths: PathLike | Sequence[PathLike], taps: str | Sequence[str] | None = None, *, integers: bool = False
    ) -> None:
        files = [file for path in _listed(paths) for file in _files(Path(path))]
        if not files:
            raise InvalidInput("there are no archives to read")
        self._archives: list[Archive] = []
        try:
            for file in files:
                self._archives.append(Archive(file))
            self._integers, self._single = integers, isinstance(taps, str)
            wanted = [taps] if isinstance(taps, str) else taps
            self.taps = tuple(self._archives[0].names if wanted is None else wanted)
            if not self.taps:
                raise InvalidInput("there are no maps to read")
            self._samples = [
                _samples(archive, self.taps, file) for archive, file in zip(self._archives, files, strict=True)
            ]
            self.names: list[str] = self._told("images", str)
            self.labels: list[int] = self._told("labels", int)
        except BaseException:
            self.close()
            raise
        self._ends = list(accumulate(len(samples) for samples in self._samples))

    def __repr__(self) -> str:
        return f"<FeatureStore: {len(self)} samples of {len(self.taps)} maps in {len(self._archives)} archives>"

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Any:
        """Return the maps of one sample, with its label where there are labels."""
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(f"the store has {len(self)} samples; there is no sample {index}")
        shard = bisect_right(self._ends, place)
        first = self._ends[shard - 1] if shard else 0
        sample = self._samples[shard][place - first]
        maps = {tap: self._read(self._archives[shard], tap, sample) for tap in self.taps}
        found: Maps = maps[self.taps[0]] if self._single else maps
        return (found, self.labels[place]) if self.labels else found

    def close(self) -> None:
        """Close the archives."""
        for archive in self._archives:
            archive.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, archive: Archive, tap: str, sample: int) -> Tensor:
        return torch.from_numpy(archive.read(tap, sample, dequantize=not self._integers))

    def _told(self, key: str, kind: type[T]) -> list[T]:
        """What every archive's metadata say of each of its samples; nothing where one of them is silent."""
        found: list[T] = []
        for archive, samples in zip(self._archives, self._samples, strict=True):
            told = archive.metadata.get(key)
            if not isinstance(told, list) or (samples and samples[-1] >= len(told)):
                return []
            chosen = [told[sample] for sample in samples]
            if not all(isinstance(value, kind) for value in chosen):
                return []
            found += chosen
        return found


def _listed(paths: PathLike | Sequence[PathLike]) -> Sequence[PathLike]:
    return [paths] if isinstance(paths, (str, os.PathLike)) else paths


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    index = read_index(path)
    return sorted(path.glob("*.fmz")) if index is None else [path / shard.file for shard in index.shards]


def _samples(archive: Archive, taps: Sequence[str], file: Path) -> list[int]:
    """The samples that an archive has of every chosen tap, which must be the same ones."""
    missing = [tap for tap in taps if tap not in archive.names]
    if missing:
        raise InvalidInput(f"{file} has no map {missing[0]!r}")
    samples = archive.samples(taps[0])
    for tap in taps[1:]:
        if archive.samples(tap) != samples:
            raise CorruptArchive(f"{file} has other samples of {tap!r} than of {taps[0]!r}")
    return samples
