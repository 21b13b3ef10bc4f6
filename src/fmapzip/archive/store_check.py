"""Whether a store is sound: its index, its shards, and that the one says what the others hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from os import PathLike
from pathlib import Path

from fmapzip.archive.reader import Archive
from fmapzip.archive.shard import samples_of
from fmapzip.archive.store_index import INDEX, SHARD, Shard, StoreIndex, read_index
from fmapzip.errors import CorruptArchive, InvalidInput, InvalidPlan, UnsupportedVersion
from fmapzip.frame import DEFAULT_LIMITS, Limits


def verify_store(folder: str | PathLike[str], limits: Limits = DEFAULT_LIMITS, threads: int = 1) -> Iterator[str]:
    """Check every byte of a store's shards, and them against the index.

    Yields
    ------
    str
        What is wrong, one thing at a time; nothing, for a sound store.

    Raises
    ------
    InvalidInput
        The folder has no index, or a damaged one.
    """
    folder = Path(folder)
    index = read_index(folder)
    if index is None:
        raise InvalidInput(f"{folder} is no store: it has no {INDEX}")
    seen: dict[str, str] = {}
    for shard in index.shards:
        try:
            with Archive(folder / shard.file, limits) as archive:
                for problem in _problems(archive, shard, index, folder, seen, threads):
                    yield f"{shard.file}: {problem}"
        except (OSError, CorruptArchive, UnsupportedVersion) as error:
            yield f"{shard.file}: {error}"
    listed = {shard.file for shard in index.shards}
    for path in sorted(folder.glob(f"*{SHARD}")):
        if path.name not in listed:
            yield f"{path.name} is not in the index"


def _problems(
    archive: Archive, shard: Shard, index: StoreIndex, folder: Path, seen: dict[str, str], threads: int
) -> Iterator[str]:
    yield from archive.verify(threads)
    yield from _against_index(archive, shard, index, folder)
    yield from _names(archive, shard, seen)


def _against_index(archive: Archive, shard: Shard, index: StoreIndex, folder: Path) -> Iterator[str]:
    size = (folder / shard.file).stat().st_size
    if size != shard.bytes:
        yield f"has {size} bytes, the index says {shard.bytes}"
    if set(archive.names) != set(index.taps):
        yield "has other maps than the index says"
    if any(archive.samples(tap) != list(range(shard.samples)) for tap in archive.names):
        yield f"has not the {shard.samples} samples that the index says"
    with suppress(CorruptArchive, InvalidPlan, UnsupportedVersion):  # told already
        plan = None if archive.plan is None else archive.plan.hash.hex()
        if plan != index.plan:
            yield "is of another plan than the index says"


def _names(archive: Archive, shard: Shard, seen: dict[str, str]) -> Iterator[str]:
    names = samples_of(archive).names
    if len(names) != shard.samples:
        yield f"has {len(names)} names for {shard.samples} samples"
    for name in names:
        if name in seen:
            yield f"{name!r} is in {seen[name]} too"
        seen[name] = shard.file
