"""Reading an archive: any frame by name and sample, each checked."""

from __future__ import annotations

import builtins
import json
import os
from collections.abc import Iterator
from functools import cached_property
from os import PathLike
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from fmapzip.api import decode
from fmapzip.archive.records import (
    ENTRY,
    FOOTER,
    FRAME_KEY,
    HEADER,
    VERSION,
    Index,
    Kind,
    read_record,
    unpack_footer,
    unpack_index,
    unpack_name,
)
from fmapzip.errors import CorruptArchive, InvalidInput, UnsupportedVersion
from fmapzip.frame import FrameInfo, inspect

if TYPE_CHECKING:
    from fmapzip.plan import Plan


class Archive:
    """The frames of a ``.fmz`` file, by name and sample.

    Only the index is read on opening. A file without a whole index (its writer was stopped) is scanned from its
    beginning up to the last whole record instead, and ``recovered`` is True.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    OSError
        It cannot be read.
    CorruptArchive
        It is not an archive.
    UnsupportedVersion
        It is one of a later version.

    Examples
    --------
    >>> with Archive("maps.fmz") as archive:  # doctest: +SKIP
    ...     for name, sample in archive:
    ...         q = archive[name, sample]
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self._file = builtins.open(path, "rb")  # noqa: SIM115
        self._lock = Lock()
        try:
            self._size = os.fstat(self._file.fileno()).st_size
            self._check_header()
            index = self._indexed()
            self.recovered = index is None
            self._index = index or self._scanned()
        except BaseException:
            self._file.close()
            raise
        self._numbers = {name: i for i, name in enumerate(self._index.names)}
        keys = zip(self._index.entries["name"].tolist(), self._index.entries["sample"].tolist(), strict=True)
        self._rows = {key: row for row, key in enumerate(keys)}

    @property
    def names(self) -> tuple[str, ...]:
        """The maps' names, in the order in which they were first written."""
        return self._index.names

    def samples(self, name: str) -> list[int]:
        """The samples that the archive has of one map, ascending."""
        number = self._number(name)
        entries = self._index.entries
        return [int(x) for x in entries["sample"][entries["name"] == number]]

    def frame(self, name: str, sample: int) -> bytes:
        """One whole frame, as it was added.

        Raises
        ------
        KeyError
            There is none of that name and sample.
        CorruptArchive
            Its record's checksum is wrong, or it is not the one that the index says.
        """
        row = self._rows.get((self._number(name), sample))
        if row is None:
            raise KeyError(f"the archive has no sample {sample} of {name!r}")
        entry = self._index.entries[row]
        kind, body = self._record(int(entry["offset"]))
        key = FRAME_KEY.pack(int(entry["name"]), int(entry["sample"]))
        if kind is not Kind.FRAME or not body.startswith(key) or len(body) != len(key) + int(entry["length"]):
            raise CorruptArchive(f"the record of {name!r}, sample {sample} is not what the index says")
        return body[len(key) :]

    def info(self, name: str, sample: int) -> FrameInfo:
        """What one frame's header says, and where its bytes went, as `fmapzip.inspect` tells."""
        return inspect(self.frame(name, sample), self.plan)

    def read(
        self,
        name: str,
        sample: int,
        *,
        out: NDArray[Any] | None = None,
        dequantize: bool = False,
        threads: int = 1,
    ) -> NDArray[Any]:
        """One decoded map, as `fmapzip.decode` gives it; the archive's plan is used where a frame needs one."""
        data = self.frame(name, sample)
        return decode(data, out=out, plan=self.plan, dequantize=dequantize, threads=threads)

    def __getitem__(self, key: tuple[str, int]) -> NDArray[Any]:
        name, sample = key
        return self.read(name, sample)

    def frame_bytes(self, name: str, sample: int) -> int:
        """The length of one frame, from the index."""
        row = self._rows[self._number(name), sample]
        return int(self._index.entries["length"][row])

    @cached_property
    def plan(self) -> Plan | None:
        """The plan stored with the frames, or None."""
        if not self._index.plan:
            return None
        from fmapzip.plan import Plan

        return Plan.from_bytes(self._only(Kind.PLAN, self._index.plan))

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """What its writer said about the archive; empty if nothing."""
        if not self._index.metadata:
            return {}
        try:
            found = json.loads(self._only(Kind.METADATA, self._index.metadata))
        except (ValueError, RecursionError) as error:
            raise CorruptArchive(f"the archive's metadata is not JSON: {error}") from error
        if not isinstance(found, dict):
            raise CorruptArchive("the archive's metadata is not a JSON object")
        return found

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return ((self._index.names[name], sample) for name, sample in self._rows)

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, tuple) or len(key) != 2:
            return False
        return (self._numbers.get(key[0]), key[1]) in self._rows

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _number(self, name: str) -> int:
        if name not in self._numbers:
            raise KeyError(f"the archive has no map {name!r}")
        return self._numbers[name]

    def _record(self, offset: int) -> tuple[Kind, bytes]:
        if self._file.closed:
            raise InvalidInput("the archive is closed")
        with self._lock:
            return read_record(self._file, offset, self._size)[:2]

    def _only(self, wanted: Kind, offset: int) -> bytes:
        kind, body = self._record(offset)
        if kind is not wanted:
            raise CorruptArchive(f"record at byte {offset}: expected kind {wanted}, found {kind}")
        return body

    def _check_header(self) -> None:
        header = self._file.read(len(HEADER))
        if header[:4] != HEADER[:4] or len(header) < len(HEADER):
            raise CorruptArchive("not an archive: it does not begin as a .fmz file does")
        if header[4] != VERSION:
            raise UnsupportedVersion(f"archive version {header[4]}; this release reads version {VERSION}")
        if header != HEADER:
            raise CorruptArchive("reserved bytes of the archive's header are not zero")

    def _indexed(self) -> Index | None:
        self._file.seek(max(0, self._size - FOOTER.size))
        offset = unpack_footer(self._file.read(FOOTER.size))
        if offset is None:
            return None
        try:
            kind, body, end = read_record(self._file, offset, self._size)
            if kind is not Kind.INDEX or end + FOOTER.size != self._size:
                return None
            return unpack_index(body, self._size)
        except CorruptArchive:
            return None

    def _scanned(self) -> Index:
        names: list[str] = []
        found: dict[tuple[int, int], tuple[int, int]] = {}
        plan = metadata = 0
        offset = len(HEADER)
        while True:
            try:
                kind, body, end = read_record(self._file, offset, self._size)
            except CorruptArchive:
                break
            if kind is Kind.NAME:
                names.append(unpack_name(body))
                if names.count(names[-1]) > 1:
                    raise CorruptArchive(f"the archive names {names[-1]!r} twice")
            elif kind is Kind.FRAME and len(body) >= FRAME_KEY.size:
                found[FRAME_KEY.unpack_from(body)] = offset, len(body) - FRAME_KEY.size
            elif kind is Kind.PLAN:
                plan = offset
            elif kind is Kind.METADATA:
                metadata = offset
            offset = end
        rows = [(*key, *place) for key, place in sorted(found.items()) if key[0] < len(names)]
        return Index(plan, metadata, tuple(names), np.array(rows, ENTRY))
