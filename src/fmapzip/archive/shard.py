"""A shard of a store: what an archive says of its samples, and one that is being written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmapzip.archive.reader import Archive
from fmapzip.archive.store_index import UNFINISHED
from fmapzip.archive.writer import ArchiveWriter
from fmapzip.errors import CorruptArchive, InvalidInput

if TYPE_CHECKING:
    from fmapzip.plan import Plan

JOURNAL = ".names"
"""Behind the name of a shard that is being written: the file that has its samples' names and labels."""


@dataclass
class Samples:
    """Names and labels of a shard's samples, in their order; labels for all or for none."""

    names: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)

    def described(self, about: Mapping[str, Any]) -> dict[str, Any]:
        """The metadata of a shard that has these samples and says `about` besides."""
        return {**about, "images": self.names, "labels": self.labels or None}


def samples_of(archive: Archive) -> Samples:
    """The samples that a shard's metadata name.

    Raises
    ------
    CorruptArchive
        They are not as a store writes them, or there are more than the archive has of a map.
    """
    names, labels = archive.metadata.get("images") or [], archive.metadata.get("labels") or []
    if not _are(names, str) or not _are(labels, int) or len(labels) not in (0, len(names)):
        raise CorruptArchive("its metadata are not names and labels of samples")
    if len(names) > whole_samples(archive):
        raise CorruptArchive(f"it has no sample for each of its {len(names)} names")
    return Samples(names, labels)


def about(archive: Archive) -> dict[str, Any]:
    """What a shard's metadata say besides its samples."""
    return {key: value for key, value in archive.metadata.items() if key not in Samples().described({})}


def whole_samples(archive: Archive) -> int:
    """How many samples an archive has of every map."""
    return min((len(archive.samples(tap)) for tap in archive.names), default=0)


class OpenShard:
    """The archive that a writer is at, with its journal.

    An archive describes itself once, at its end; until then the names of its samples are in the journal, where each is
    before its frames are in the archive.
    """

    def __init__(self, path: Path, plan: Plan | None, about: Mapping[str, Any]) -> None:
        self.path, self._about = path, about
        self.samples = Samples()
        self._archive = ArchiveWriter(_beside(path, UNFINISHED), plan=plan)
        self._journal = open(_beside(path, JOURNAL), "wb", buffering=0)  # noqa: SIM115

    @property
    def size(self) -> int:
        """Bytes of the archive so far."""
        return self._archive.size

    def add(self, name: str, frames: Mapping[str, bytes], label: int | None) -> None:
        """Append a sample, in the archive and in the journal or in neither."""
        names, labels = self.samples.names, self.samples.labels
        if names and (label is None) == bool(labels):
            raise InvalidInput(f"{name!r}: either all samples of a shard have labels or none")
        with self._noted(name, label):
            self._archive.add_sample(len(names), frames)
        names.append(name)
        labels += [] if label is None else [label]

    def finish(self) -> None:
        """Describe and close the archive, which takes its own name."""
        self._archive.describe(self.samples.described(self._about))
        self._archive.close()
        self._journal.close()
        _beside(self.path, UNFINISHED).rename(self.path)
        _beside(self.path, JOURNAL).unlink()

    def abandon(self) -> None:
        """Leave the files as they are, to be resumed."""
        self._archive.abandon()
        self._journal.close()

    @contextmanager
    def _noted(self, name: str, label: int | None) -> Iterator[None]:
        end = self._journal.tell()
        line = memoryview(json.dumps([name, label]).encode() + b"\n")
        try:
            while line:
                line = line[self._journal.write(line) :]
            yield
        except BaseException:
            self._journal.truncate(end)
            self._journal.seek(end)
            raise


def unfinished_samples(path: Path) -> Samples:
    """What the journal of the shard `path` has noted, up to where it was cut off.

    Raises
    ------
    CorruptArchive
        A line before its end is none that a writer wrote.
    """
    found = Samples()
    journal = _beside(path, JOURNAL)
    data = journal.read_bytes() if journal.exists() else b""
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        try:
            name, label = json.loads(line)
        except (ValueError, TypeError, RecursionError) as error:
            raise CorruptArchive(f"{journal.name}:{number}: not the name and label of a sample") from error
        if type(name) is not str or not (label is None or type(label) is int) or _is_mixed(found, label):
            raise CorruptArchive(f"{journal.name}:{number}: not the name and label of a sample")
        found.names.append(name)
        found.labels += [] if label is None else [label]
    return found


def _is_mixed(found: Samples, label: int | None) -> bool:
    """Whether some samples would have labels and others none."""
    return bool(found.names) and (label is None) == bool(found.labels)


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _are(values: object, kind: type) -> bool:
    return isinstance(values, list) and all(isinstance(value, kind) for value in values)
