"""Making few large shards of many small ones."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

from fmapzip.archive.reader import Archive
from fmapzip.archive.store_index import LOCK, SHARD, SHARD_BYTES, UNFINISHED, Shard, StoreIndex, locked, writers_lock
from fmapzip.archive.writer import ArchiveWriter
from fmapzip.errors import InvalidInput

_GENERATION = re.compile(rf"(?:~(\d+))?{re.escape(SHARD)}$")
_OF_SAMPLES = ("images", "labels")


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
    unfinished = next(folder.glob(f"*{SHARD}{UNFINISHED}*"), None)
    with ExitStack() as stack:
        for path in folder.glob("*.lock"):
            if path.name != LOCK:
                stack.callback(writers_lock(path).release)
        if unfinished is not None:
            raise InvalidInput(f"{folder}: {unfinished.name} is not finished; run its writer again, or remove it")
        yield


def _groups(folder: Path, index: StoreIndex, shard_bytes: int) -> list[list[Shard]]:
    """Neighbours that are joined: as many as fit, that say the same of themselves."""
    groups: list[list[Shard]] = []
    size, said = 0, None
    for shard in index.shards:
        about = _about(folder / shard.file)
        if groups and size + shard.bytes <= shard_bytes and about == said:
            groups[-1].append(shard)
            size += shard.bytes
        else:
            groups.append([shard])
            size, said = shard.bytes, about
    return groups


def _about(path: Path) -> dict[str, Any]:
    with Archive(path) as archive:
        has_labels = bool(archive.metadata.get("labels"))
        return {key: x for key, x in archive.metadata.items() if key not in _OF_SAMPLES} | {"": has_labels}


def _joined(folder: Path, group: Sequence[Shard]) -> Shard:
    first = folder / group[0].file
    path = first.with_name(_next_generation(first.name))
    unfinished = path.with_name(f".{path.name}.tmp")
    names: list[str] = []
    labels: list[int] = []
    with Archive(first) as archive:
        plan, about = archive.plan, archive.metadata
    with ArchiveWriter(unfinished, plan=plan) as out:
        for shard in group:
            with Archive(folder / shard.file) as archive:
                for sample in range(shard.samples):
                    frames = {tap: archive.frame(tap, sample) for tap in archive.names}
                    out.add_sample(len(names) + sample, frames)
                names += archive.metadata["images"]
                labels += archive.metadata.get("labels") or []
        out.describe({**about, "images": names, "labels": labels or None})
    unfinished.rename(path)
    return Shard(path.name, path.stat().st_size, len(names))


def _next_generation(name: str) -> str:
    """A name that sorts where `name` does: ``0-00003.fmz``, ``0-00003~1.fmz``, ``0-00003~2.fmz``."""
    found = _GENERATION.search(name)
    assert found is not None
    return f"{name[: found.start()]}~{int(found[1] or 0) + 1}{SHARD}"
