"""The index of a store: which of a folder's archives belong to it, in which order."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fmapzip.atomic import write_atomically
from fmapzip.documents.store import STORE
from fmapzip.errors import InvalidInput

if TYPE_CHECKING:
    from filelock import FileLock

INDEX = "store.json"
LOCK = ".index.lock"
"""Begins as no writer's name does."""
SHARD = ".fmz"
SHARD_BYTES = 256_000_000
"""Size from which on a shard is closed."""
UNFINISHED = ".partial"
"""Behind the name of a shard that is being written."""
_SHARD = re.compile(rf"[A-Za-z0-9_][^/\\\0]{{0,200}}{re.escape(SHARD)}")
_MOST = 2**63 - 1


@dataclass(frozen=True)
class Shard:
    """One archive of a store; every map has the same `samples` in it, numbered from 0."""

    file: str
    bytes: int
    samples: int


@dataclass(frozen=True)
class StoreIndex:
    """What a store holds.

    Attributes
    ----------
    plan
        Hash of the plan that the frames refer to, hexadecimal, or None.
    taps
        Names of the maps, the same in every shard.
    shards
        By file name, which is the order of the samples.
    """

    plan: str | None
    taps: tuple[str, ...] = ()
    shards: tuple[Shard, ...] = ()

    def replacing(self, old: Sequence[str], new: Sequence[Shard]) -> StoreIndex:
        """The index with shards added and those of the files `old` taken out."""
        kept = [shard for shard in self.shards if shard.file not in old]
        return replace(self, shards=tuple(sorted([*kept, *new], key=lambda shard: shard.file)))

    def write(self, folder: Path) -> None:
        """Put it into the folder, whole."""
        found = STORE.checked({"schema": 1, "kind": "store", **asdict(self)})
        write_atomically(folder / INDEX, (json.dumps(found, indent=1) + "\n").encode())


def read_index(folder: Path) -> StoreIndex | None:
    """The index of a folder; None where there is none.

    Raises
    ------
    InvalidInput
        There is one, and it is damaged, or a later release's, or it names a file twice or outside its folder.
    """
    path = folder / INDEX
    if not path.is_file():
        return None
    found = STORE.read(path)
    shards = tuple(Shard(shard["file"], shard["bytes"], shard["samples"]) for shard in found["shards"])
    for shard in shards:
        if _SHARD.fullmatch(shard.file) is None:
            raise InvalidInput(f"{path}: {shard.file!r} is no name of a shard")
        if not 0 <= shard.samples <= _MOST or not 0 <= shard.bytes <= _MOST:
            raise InvalidInput(f"{path}: {shard.file!r} cannot be of the size that it says")
    if len({shard.file for shard in shards}) < len(shards):
        raise InvalidInput(f"{path}: a shard is listed twice")
    return StoreIndex(found["plan"], tuple(found["taps"]), shards)


@contextmanager
def locked(folder: Path) -> Iterator[StoreIndex | None]:
    """The index, which no other process writes meanwhile."""
    with lock_of(folder / LOCK):
        yield read_index(folder)


def lock_of(path: Path) -> FileLock:
    """A lock between processes, which goes with the process that holds it."""
    from filelock import FileLock  # takes longer to import than all of fmapzip

    return FileLock(path)


def writers_lock(path: Path) -> FileLock:
    """The lock of a writer, taken.

    Raises
    ------
    InvalidInput
        Another process has it.
    """
    from filelock import Timeout

    lock = lock_of(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise InvalidInput(f"{path.parent}: another process writes as {path.stem!r}") from None
    return lock
