"""Making few large shards of many small ones."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from os import PathLike
from pathlib import Path

from fmapzip.archive.reader import Archive
from fmapzip.archive.shard import Samples, about, samples_of
from fmapzip.archive.store_index import LOCK, SHARD, SHARD_BYTES, UNFINISHED, Shard, StoreIndex, locked, writers_lock
from fmapzip.archive.writer import ArchiveWriter
from fmapzip.atomic import replacing
from fmapzip.errors import InvalidInput

_GENERATION = re.compile(rf"(?:~(\d+))?{re.escape(SHARD)}$")


def compact(folder: str | PathLike[str], shard_bytes: int = SHARD_BYTES) -> tuple[int, int]:
    """Join neighbouring small shards of a store; the samples and their order stay as they are.

    The new shards are written beside the old ones, which go when the index lists the new ones: a reader that has the
    store open keeps what it opened, and nothing is lost if the process is killed. The store may have no writer.

    Parameters
    ----------
    folder : path
    shard_bytes : int
        Shards are joined while they are no larger than this together.

    Returns
    -------
    before, after : int
        How many shards there were and are.

    Raises
    ------
    InvalidInput
        It is no store, or somebody writes into it, or a writer was killed and has not gone on.
    OSError, CorruptArchive
        What is there cannot be read, or there is no room.
    """
    folder = Path(folder)
    with _without_writers(folder), locked(folder) as index:
        if index is None:
            raise InvalidInput(f"{folder} is no store")
        groups = [group for group in _groups(folder, index, shard_bytes) if len(group) > 1]
        joined = [_joined(folder, group) for group in groups]
        old = [shard.file for group in groups for shard in group]
        found = index.replacing(old, joined)
        found.write(folder)
        for file in old:
            (folder / file).unlink(missing_ok=True)
    return len(index.shards), len(found.shards)


@contextmanager
def _without_writers(folder: Path) -> Iterator[None]:
    """Keep writers away."""
    with ExitStack() as stack:
        for path in folder.glob("*.lock"):
            if path.name != LOCK:
                stack.callback(writers_lock(path).release)
        unfinished = next(folder.glob(f"*{SHARD}{UNFINISHED}*"), None)
        if unfinished is not None:
            raise InvalidInput(f"{folder}: {unfinished.name} is not finished; run its writer again, or remove it")
        yield


def _groups(folder: Path, index: StoreIndex, shard_bytes: int) -> list[list[Shard]]:
    """Neighbours that are joined: as many as fit, that say the same of themselves."""
    groups: list[list[Shard]] = []
    size, said = 0, None
    for shard in index.shards:
        with Archive(folder / shard.file) as archive:
            says = about(archive), bool(samples_of(archive).labels)
        if groups and size + shard.bytes <= shard_bytes and says == said:
            groups[-1].append(shard)
            size += shard.bytes
        else:
            groups.append([shard])
            size, said = shard.bytes, says
    return groups


def _joined(folder: Path, group: Sequence[Shard]) -> Shard:
    path = folder / _next_generation(group[0].file)
    found = Samples()
    with Archive(folder / group[0].file) as first:
        plan, says = first.plan, about(first)
    with replacing(path) as unfinished, ArchiveWriter(unfinished, plan=plan) as out:
        for shard in group:
            with Archive(folder / shard.file) as archive:
                of_shard = samples_of(archive)
                for sample in range(len(of_shard.names)):
                    frames = {tap: archive.frame(tap, sample) for tap in archive.names}
                    out.add_sample(len(found.names) + sample, frames)
            found.names += of_shard.names
            found.labels += of_shard.labels
        out.describe(found.described(says))
    return Shard(path.name, path.stat().st_size, len(found.names))


def _next_generation(name: str) -> str:
    """A name that sorts where `name` does: ``0-00003.fmz``, ``0-00003~1.fmz``, ``0-00003~2.fmz``."""
    found = _GENERATION.search(name)
    assert found is not None
    return f"{name[: found.start()]}~{int(found[1] or 0) + 1}{SHARD}"
