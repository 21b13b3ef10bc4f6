"""One open archive, read by threads, forked processes and processes that got it pickled."""

from __future__ import annotations

import multiprocessing
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import fmapzip
from fmapzip.archive import Archive, ArchiveWriter
from fmapzip.errors import InvalidInput, InvalidType

SAMPLES, WORKERS = 40, 4


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with ArchiveWriter(tmp_path / "x.fmz") as out:
        for sample in range(SAMPLES):
            out.add("a", sample, fmapzip.encode(np.full((2, 9, 9 + sample % 3), sample, np.uint8), "raw"))
    return tmp_path / "x.fmz"


_shared: list[Archive] = []


def _share(archive: Archive) -> None:
    _shared.append(archive)


def _wrong(seed: int) -> int:
    """How many of many reads in an order of its own give another map."""
    order = np.random.default_rng(seed).integers(0, SAMPLES, 400)
    return sum(bool((_shared[-1]["a", int(i)] != i).any()) for i in order)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_read_an_archive_that_was_opened_before(path: Path, method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"{sys.platform} cannot {method}")
    with (
        Archive(path) as archive,
        multiprocessing.get_context(method).Pool(WORKERS, _share, [archive]) as pool,
    ):
        assert pool.map(_wrong, range(WORKERS)) == [0] * WORKERS


def test_threads_read_one_archive(path: Path) -> None:
    with Archive(path) as archive, ThreadPoolExecutor(WORKERS) as pool:
        _share(archive)
        assert list(pool.map(_wrong, range(WORKERS))) == [0] * WORKERS


def test_data_loader_workers_read_an_archive(path: Path) -> None:
    data = pytest.importorskip("torch.utils.data")

    class Maps(data.Dataset):
        def __init__(self) -> None:
            self.archive = Archive(path)

        def __len__(self) -> int:
            return SAMPLES

        def __getitem__(self, i: int) -> int:
            return int(self.archive["a", i].max())

    maps = Maps()
    for _ in range(3):
        found = [int(x) for batch in data.DataLoader(maps, 2, num_workers=2) for x in batch]
        assert found == list(range(SAMPLES))
    maps.archive.close()


def test_a_pickled_archive_is_found_from_another_directory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    with Archive(path.name) as archive:
        pickled = pickle.dumps(archive)
    monkeypatch.chdir("/")
    with pickle.loads(pickled) as archive:
        assert archive["a", 5].max() == 5


def test_a_pickled_archive_refuses_another_file_in_its_place(path: Path) -> None:
    with Archive(path) as archive:
        pickled = pickle.dumps(archive)
    with ArchiveWriter(path) as out:
        out.add("b", 0, fmapzip.encode(np.zeros((2, 3, 3), np.uint8)))
    with pytest.raises(InvalidInput, match="not the archive that it was"):
        pickle.loads(pickled)


def test_a_closed_archive_is_not_read_or_pickled(path: Path) -> None:
    archive = Archive(path)
    archive.close()
    for use in (lambda: archive["a", 0], lambda: pickle.dumps(archive)):
        with pytest.raises(InvalidInput, match="closed"):
            use()


def test_an_open_file_is_refused(path: Path) -> None:
    with path.open("rb") as file:
        for source in (file, file.fileno()):
            with pytest.raises(InvalidType, match="opened by its path"):
                Archive(source)  # type: ignore[arg-type]
