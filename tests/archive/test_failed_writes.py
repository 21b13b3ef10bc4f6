"""A writer whose disk fills up: nothing that was added is lost, nothing half written is pointed to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import fmapzip
from fmapzip.archive import Archive, ArchiveWriter
from fmapzip.errors import InvalidInput

resource = pytest.importorskip("resource")

FRAME = fmapzip.encode(np.arange(200, dtype=np.uint8).reshape(8, 5, 5), "raw")


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """While the block runs no file of this process can grow beyond ``size`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 1, 20, 50])
def test_what_follows_a_failed_write_is_sound(tmp_path: Path, room: int) -> None:
    path = tmp_path / "x.fmz"
    with ArchiveWriter(path, metadata={"n": 1}) as out:
        out.add("a", 0, FRAME)
        size = path.stat().st_size
        with full_disk(size + room):
            for write in (
                lambda: out.add("b", 0, FRAME),
                lambda: out.describe({"n": "x" * 1000}),
                out.close,
            ):
                with pytest.raises(OSError, match="large"):
                    write()
                assert path.stat().st_size == size
        with Archive(path) as archive:
            assert list(archive) == [("a", 0)]
        out.add("b", 0, FRAME)
        out.add("a", 1, FRAME)
    with Archive(path) as archive:
        assert not archive.recovered
        assert list(archive) == [("a", 0), ("a", 1), ("b", 0)]
        assert archive.metadata == {"n": 1}
        assert {archive.frame(*key) for key in archive} == {FRAME}
    path.write_bytes(path.read_bytes()[:-1])
    with Archive(path) as archive:
        assert archive.recovered
        assert list(archive) == [("a", 0), ("a", 1), ("b", 0)]


def test_a_writer_whose_index_does_not_fit_leaves_its_frames_and_no_open_file(tmp_path: Path) -> None:
    path = tmp_path / "x.fmz"
    out = ArchiveWriter(path)
    out.add("a", 0, FRAME)
    with full_disk(path.stat().st_size + 30), pytest.raises(OSError, match="large"), out:
        pass
    with Archive(path) as archive:
        assert archive.recovered
        assert list(archive) == [("a", 0)]
    with pytest.raises(InvalidInput, match="closed"):
        out.add("a", 1, FRAME)


def test_what_cannot_be_taken_back_ends_the_writing(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    out = ArchiveWriter(path)
    out.add("a", 0, FRAME)
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        out.add("a", 1, FRAME)
    for write in (lambda: out.add("a", 1, FRAME), lambda: out.describe({}), out.close):
        with pytest.raises(InvalidInput, match="a write failed before"):
            write()
