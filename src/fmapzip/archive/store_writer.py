"""Writing a store: samples go into archives of a bounded size, which the store's index lists once they are whole."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from fmapzip.archive.reader import Archive
from fmapzip.archive.shard import JOURNAL, OpenShard, samples_of, unfinished_samples, whole_samples
from fmapzip.archive.store_index import SHARD, SHARD_BYTES, UNFINISHED, Shard, StoreIndex, locked, writers_lock
from fmapzip.errors import CorruptArchive, InvalidInput

if TYPE_CHECKING:
    from fmapzip.plan import Plan

_SALVAGED = ".salvaged"
_WRITER = re.compile(r"[A-Za-z0-9_]{1,32}")


class StoreWriter:
    """Adds samples, each with all its maps, to a store: a folder of archives with an index.

    Several writers, each with a name of its own, may write into one store at once, from any processes. Readers see a
    shard when it is closed. A writer that was killed goes on where it was when it is made again: all that was added is
    kept.

    Parameters
    ----------
    folder : path
        Made if it is not there.
    plan : Plan, optional
        The plan that the frames refer to; the same for all writers of a store.
    metadata : mapping, optional
        What every shard says of itself besides its samples' names and labels.
    writer : str
        Letters, digits and ``_``: what its shards' names begin with. Samples are in the order of these names.
    shard_bytes : int
        From this size on a shard is closed and the next begun.

    Attributes
    ----------
    names : set of str
        Names of the samples that the store has, those of other writers as of now.

    Raises
    ------
    InvalidInput
        The store is of another plan, the name is not allowed, or another process writes by it.
    OSError, CorruptArchive
        What is there cannot be read.

    Examples
    --------
    >>> with StoreWriter("store", plan=plan) as out:  # doctest: +SKIP
    ...     out.add("cat.jpg", {"layer3": frame}, label=281)
    """

    def __init__(
        self,
        folder: str | PathLike[str],
        *,
        plan: Plan | None = None,
        metadata: Mapping[str, Any] | None = None,
        writer: str = "0",
        shard_bytes: int = SHARD_BYTES,
    ) -> None:
        if _WRITER.fullmatch(writer) is None:
            raise InvalidInput(f"a writer's name is letters, digits and '_', at most 32, not {writer!r}")
        self._folder, self._writer, self._shard_bytes = Path(folder), writer, shard_bytes
        self._plan, self._metadata = plan, dict(metadata or {})
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = writers_lock(self._folder / f"{writer}.lock")
        self._shard: OpenShard | None = None
        try:
            self._index = self._agreed()
            self._taps = self._index.taps
            self.names: set[str] = set()
            for shard in self._index.shards:
                with Archive(self._folder / shard.file) as archive:
                    self.names.update(samples_of(archive).names)
            self._adopt()
            self._resume()
        except BaseException:
            self._release()
            raise

    def add(self, name: str, frames: Mapping[str, bytes], label: int | None = None) -> None:
        """Append a sample.

        Parameters
        ----------
        name
            Of the sample, once in a store: an image's file.
        frames
            A frame for every map of the store, by name.
        label
            Its class index, for all samples or for none.

        Raises
        ------
        InvalidInput
            The writer is closed, the name is there already, or the maps are not those of the store.
        FrameError, InvalidType
            As `ArchiveWriter.add`.
        OSError
            It cannot be written; the store is as it was before.
        """
        if not self._lock.is_locked:
            raise InvalidInput("the store's writer is closed")
        if name in self.names:
            raise InvalidInput(f"{name!r} is in the store already")
        if self._taps and set(frames) != set(self._taps):
            raise InvalidInput(f"{name!r} has the maps {sorted(frames)}; the store has {sorted(self._taps)}")
        if not frames:
            raise InvalidInput(f"{name!r} has no maps")
        if self._shard is None:
            self._shard = self._begin()
        self._shard.add(name, {tap: frames[tap] for tap in self._taps or frames}, label)
        self._taps = self._taps or tuple(frames)
        self.names.add(name)
        if self._shard.size >= self._shard_bytes:
            self._finish()

    def close(self) -> None:
        """Close the last shard and list it. Closing again does nothing."""
        if not self._lock.is_locked:
            return
        self._finish()
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.close()
        finally:
            self._release()

    def _release(self) -> None:
        if self._shard is not None:
            self._shard.abandon()
            self._shard = None
        self._lock.release()

    def _agreed(self) -> StoreIndex:
        """The store's index, made if there is none."""
        mine = None if self._plan is None else self._plan.hash.hex()
        with locked(self._folder) as found:
            index = found or StoreIndex(mine)
            if found is None:
                index.write(self._folder)
        if index.plan != mine:
            raise InvalidInput(f"{self._folder} is a store of another plan")
        return index

    def _adopt(self) -> None:
        """List whole shards of this writer that it could not list before it was killed."""
        listed = {shard.file for shard in self._index.shards}
        for path in sorted(self._folder.glob(f"{self._writer}-*{SHARD}")):
            if path.name in listed:
                continue
            with Archive(path) as archive:
                names, taps = samples_of(archive).names, archive.names
            if names and self.names.isdisjoint(names):
                self._list(path, len(names), taps)
                self.names.update(names)

    def _resume(self) -> None:
        """Go on with the shard that was not finished: what is whole of it is copied into a new one."""
        name = f"{self._writer}-*{SHARD}{UNFINISHED}"
        earlier = sorted(self._folder.glob(name + _SALVAGED))
        for path in [*earlier, *(p.rename(f"{p}{_SALVAGED}") for p in sorted(self._folder.glob(name)))]:
            self._salvage(path)
            path.unlink()
        for journal in self._folder.glob(f"{self._writer}-*{SHARD}{JOURNAL}"):
            if self._shard is None or journal.name != f"{self._shard.path.name}{JOURNAL}":
                journal.unlink()

    def _salvage(self, path: Path) -> None:
        noted = unfinished_samples(path.with_name(path.name.removesuffix(UNFINISHED + _SALVAGED)))
        try:
            source = Archive(path)
        except CorruptArchive:  # killed before its header was whole
            return
        with source:
            for sample, name in enumerate(noted.names[: whole_samples(source)]):
                if name in self.names:
                    continue
                frames = {tap: source.frame(tap, sample) for tap in source.names}
                self.add(name, frames, noted.labels[sample] if noted.labels else None)

    def _begin(self) -> OpenShard:
        pattern = re.compile(rf"{self._writer}-(\d+)")
        found = (pattern.match(path.name) for path in self._folder.iterdir())
        number = 1 + max((int(each[1]) for each in found if each), default=-1)
        path = self._folder / f"{self._writer}-{number:05d}{SHARD}"
        return OpenShard(path, self._plan, self._metadata)

    def _finish(self) -> None:
        if self._shard is None:
            return
        self._shard.finish()
        self._list(self._shard.path, len(self._shard.samples.names), self._taps)
        self._shard = None

    def _list(self, path: Path, samples: int, taps: tuple[str, ...]) -> None:
        with locked(self._folder) as found:
            index = found or self._index
            self._taps = index.taps or taps
            if set(taps) != set(self._taps):
                raise InvalidInput(f"{path.name} has the maps {sorted(taps)}; the store has {sorted(self._taps)}")
            shard = Shard(path.name, path.stat().st_size, samples)
            replace(index, taps=self._taps).replacing([], [shard]).write(self._folder)
