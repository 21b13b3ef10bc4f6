"""Keeping feature maps: bytes on disk and the time of an epoch, against other ways to keep the same integers.

    fmapzip capture path/to/nets.py:squeezenet1_1 path/to/images -o store/ --codec context-rans \
        --taps features.6.expand1x1 --taps features.12.squeeze
    python benchmarks/stores.py store/ --json benchmarks/results/stores.json

An epoch reads every map of every sample by a `DataLoader`, in order or shuffled. All ways keep the same 8-bit
integers, one chunk a map, so that a sample can be read alone. Files are in the page cache: what is timed is reading,
decoding and handing on, not a disk. Needs h5py, beside the extra `zarr`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import h5py
import numpy as np
import torch
import zarr
from common import write_result
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

import fmapzip
from fmapzip.measurements import MeasurementCache
from fmapzip.stores.zarr import FmapzipCodec
from fmapzip.torch import FeatureStore

WORKERS = (0, 2, 8)
BATCH = 16

Maps = dict[str, NDArray[Any]]
Open = Callable[[], Callable[[str, int], NDArray[Any]]]
"""Opens a way of keeping, in the process that reads it; gives what reads one map."""


class Kept(Dataset[Any]):
    """Maps kept in some other way, opened where they are read."""

    def __init__(self, opens: Open, names: list[str], samples: int) -> None:
        self._opens, self._names, self._samples = opens, names, samples
        self._read: Any = None

    def __len__(self) -> int:
        return self._samples

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        if self._read is None:
            self._read = self._opens()
        return {name: torch.from_numpy(self._read(name, index)) for name in self._names}


def file_name(name: str) -> str:
    return name.replace("/", "_")


def keep_raw(folder: Path, maps: Maps) -> Open:
    for name, each in maps.items():
        np.save(folder / f"{file_name(name)}.npy", each)

    def opens() -> Callable[[str, int], NDArray[Any]]:
        found = {name: np.load(folder / f"{file_name(name)}.npy", mmap_mode="r") for name in maps}
        return lambda name, i: found[name][i].copy()

    return opens


def keep_npz(folder: Path, maps: Maps) -> Open:
    """A file a sample, since a member of an archive is decompressed whole."""
    samples = len(next(iter(maps.values())))
    for i in range(samples):
        np.savez_compressed(folder / f"{i}.npz", **{name: each[i] for name, each in maps.items()})

    def opens() -> Callable[[str, int], NDArray[Any]]:
        def read(name: str, i: int) -> NDArray[Any]:
            with np.load(folder / f"{i}.npz") as found:
                return np.asarray(found[name])

        return read

    return opens


def keep_hdf5(folder: Path, maps: Maps) -> Open:
    with h5py.File(folder / "maps.h5", "w") as file:
        for name, each in maps.items():
            file.create_dataset(name, data=each, chunks=(1, *each.shape[1:]), compression="gzip")

    def opens() -> Callable[[str, int], NDArray[Any]]:
        file = h5py.File(folder / "maps.h5", "r")
        return lambda name, i: np.asarray(file[name][i])

    return opens


def keep_zarr(folder: Path, maps: Maps, settings: Callable[[NDArray[Any]], dict[str, Any]]) -> Open:
    """Sharded, a chunk a map."""
    for name, each in maps.items():
        shards = (min(64, len(each)), *each.shape[1:])
        array = zarr.create_array(
            folder / file_name(name),
            shape=each.shape,
            chunks=(1, *each.shape[1:]),
            shards=shards,
            dtype=each.dtype,
            **settings(each),
        )
        array[:] = each

    def opens() -> Callable[[str, int], NDArray[Any]]:
        found = {name: zarr.open_array(folder / file_name(name), mode="r") for name in maps}
        return lambda name, i: np.asarray(found[name][i])

    return opens


def _blosc(_: NDArray[Any]) -> dict[str, Any]:
    return {"compressors": zarr.codecs.BloscCodec(cname="zstd", clevel=5, shuffle="noshuffle")}


def _ours(_: NDArray[Any]) -> dict[str, Any]:
    return {"serializer": FmapzipCodec(codec="context-rans"), "compressors": None}


WAYS: dict[str, Callable[[Path, Maps], Open]] = {
    "Zarr, fmapzip (context-rans, no plan)": lambda folder, maps: keep_zarr(folder, maps, _ours),
    "Zarr, Blosc (zstd 5)": lambda folder, maps: keep_zarr(folder, maps, _blosc),
    "HDF5, gzip 4": keep_hdf5,
    "npz, a file a sample": keep_npz,
    "raw, memory-mapped": keep_raw,
}


def epoch_seconds(data: Dataset[Any], workers: int, shuffle: bool, repeat: int) -> float:
    """Median seconds of an epoch; workers are started before, and stay."""
    loader = DataLoader(data, BATCH, shuffle=shuffle, num_workers=workers, persistent_workers=workers > 0)
    seconds = []
    for _ in range(repeat + 1):
        start = time.perf_counter()
        for _ in loader:
            pass
        seconds.append(time.perf_counter() - start)
    return median(seconds[1:])


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def measure(store: Path, repeat: int, state: Path | None) -> dict[str, Any]:
    """Every way on the maps of a store; those in `state` are done."""
    cache = MeasurementCache(state, "stores", [str(store), repeat])
    ours = FeatureStore(store, integers=True)
    samples = [ours[i] for i in range(len(ours))]
    first = [sample[0] if ours.labels else sample for sample in samples]
    maps = {name: np.stack([sample[name].numpy() for sample in first]) for name in ours.taps}
    first_way = f"FeatureStore ({codecs_of(store)})"
    rows = [cache.get(first_way, lambda: row(first_way, ours, size_of(store), repeat))]
    for name, keep in WAYS.items():
        with tempfile.TemporaryDirectory() as folder:
            rows.append(cache.get(name, partial(kept_row, name, keep, Path(folder), maps, repeat)))
    raw = sum(each.nbytes for each in maps.values())
    return {"samples": len(ours), "taps": list(maps), "raw_bytes": raw, "batch": BATCH, "ways": rows}


def kept_row(name: str, keep: Callable[[Path, Maps], Open], folder: Path, maps: Maps, repeat: int) -> dict[str, Any]:
    opens = keep(folder, maps)
    samples = len(next(iter(maps.values())))
    return row(name, Kept(opens, list(maps), samples), size_of(folder), repeat)


def codecs_of(store: Path) -> str:
    with fmapzip.open(next(store.glob("*.fmz"))) as archive:
        plan = archive.plan
    return "no plan" if plan is None else ", ".join(sorted({tap.codec.id for tap in plan}))


def row(name: str, data: Dataset[Any], size: int, repeat: int) -> dict[str, Any]:
    found: dict[str, Any] = {"way": name, "bytes": size}
    for workers in WORKERS:
        for shuffle in (False, True):
            found[f"{'shuffled' if shuffle else 'in_order'}_{workers}"] = epoch_seconds(data, workers, shuffle, repeat)
    print(found)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--state", type=Path, help="what is done, so that it goes on from there")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = measure(arguments.store, arguments.repeat, arguments.state)
    if arguments.json is not None:
        write_result(arguments.json, "stores", found)


if __name__ == "__main__":
    main()
