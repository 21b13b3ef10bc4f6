"""Reading an archive: any frame by name and sample, each checked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from fmapzip._core import crc32c
from fmapzip.api import decode, decode_batch
from fmapzip.archive.positional import PositionalFile
from fmapzip.archive.records import (
    FOOTER,
    FRAME_KEY,
    HEADER,
    VERSION,
    Index,
    Kind,
    pack_index,
    read_record,
    unpack_footer,
    unpack_index,
)
from fmapzip.archive.walk import walk
from fmapzip.bound import resolve_tap
from fmapzip.errors import (
    CorruptArchive,
    FrameError,
    InvalidInput,
    InvalidPlan,
    PlanMismatch,
    ReferenceMismatch,
    UnsupportedVersion,
)
from fmapzip.frame import DEFAULT_LIMITS, Limits, parse_only
from fmapzip.inspection import FrameInfo, inspect

if TYPE_CHECKING:
    from fmapzip.plan import Plan


class Archive:
    """The frames of a ``.fmz`` file, by name and sample.

    Only the index is read on opening. A file without a whole index (its writer was stopped) is scanned from its
    beginning up to the last whole record instead, and ``recovered`` is True.

    Threads may share an archive, and so may processes that are forked after it was opened. It can be pickled, and then
    opens its file again by its path, which must hold the same archive: a ``DataLoader`` may read one with any workers.

    Parameters
    ----------
    path
        The file. An open file is refused: it could be neither shared with other processes nor opened again.
    limits
        What the headers of its frames may ask for.

    Raises
    ------
    OSError
        It cannot be read.
    InvalidType
        ``path`` is no path.
    CorruptArchive
        It is not an archive, or its records break the format's rules.
    UnsupportedVersion
        It is one of a later version.

    Examples
    --------
    >>> with Archive("maps.fmz") as archive:  # doctest: +SKIP
    ...     for name, sample in archive:
    ...         q = archive[name, sample]
    ...     batch = archive["features.3.squeeze"]
    """

    def __init__(self, path: str | PathLike[str], limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._file = PositionalFile(path)
        try:
            self._check_header()
            index = self._indexed()
            self.recovered = index is None
            self._index = walk(self._file)[0] if index is None else index
        except BaseException:
            self._file.close()
            raise
        numbers, samples = (np.ascontiguousarray(self._index.entries[key]) for key in ("name", "sample"))
        self._numbers = {name: i for i, name in enumerate(self._index.names)}
        self._rows = {key: row for row, key in enumerate(zip(numbers.tolist(), samples.tolist(), strict=True))}
        self._starts = np.searchsorted(numbers, np.arange(len(self._numbers) + 1)).tolist()

    def __repr__(self) -> str:
        return f"<Archive {self._file.path!r}: {len(self)} frames of {len(self.names)} maps>"

    def __getstate__(self) -> dict[str, Any]:
        self._file.require_open()
        return {"path": self._file.path, "limits": self._limits, "index": self._fingerprint()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"], state["limits"])  # type: ignore[misc]
        if self._fingerprint() != state["index"]:
            self.close()
            raise InvalidInput(f"{state['path']} is not the archive that it was: it has another index")

    def _fingerprint(self) -> tuple[int, int]:
        return self._file.size, crc32c(pack_index(self._index))

    @property
    def names(self) -> tuple[str, ...]:
        """The maps' names, in the order in which they were first written."""
        return self._index.names

    def samples(self, name: str) -> list[int]:
        """The samples that the archive has of one map, ascending."""
        number = self._number(name)
        rows = slice(self._starts[number], self._starts[number + 1])
        samples: list[int] = self._index.entries["sample"][rows].tolist()
        return samples

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
        return inspect(self.frame(name, sample), self.plan, self._limits)

    def read(
        self,
        name: str,
        sample: int,
        *,
        out: NDArray[Any] | None = None,
        dequantize: bool = False,
        threads: int = 1,
    ) -> NDArray[Any]:
        """One decoded map, as `fmapzip.decode` gives it; the archive's plan is used where a frame needs one.

        Where its tap refers to others, their maps of the same sample are decoded first.

        Raises
        ------
        ReferenceMismatch
            The archive has not all maps that it needs, or others than it was encoded with.
        """
        return self._decoded(name, sample, out, dequantize, threads)

    def read_all(self, name: str, *, dequantize: bool = False, threads: int = 1) -> NDArray[Any]:
        """All samples of one map, decoded and stacked ``[N, ...]`` in the order of `samples`.

        Raises
        ------
        KeyError
            There is no map of that name.
        InvalidInput
            It has no samples, or they differ in shape or dtype (`read` them one by one).
        """
        samples = self.samples(name)
        if not samples:
            raise InvalidInput(f"the archive has no samples of {name!r}")
        if any(self._references(name, sample) for sample in samples):
            return np.stack([self._decoded(name, sample, None, dequantize, threads) for sample in samples])
        frames = [self.frame(name, sample) for sample in samples]
        return decode_batch(frames, None, self.plan, dequantize, self._limits, threads)

    def __getitem__(self, key: str | tuple[str, int]) -> NDArray[Any]:
        if isinstance(key, str):
            return self.read_all(key)
        name, sample = key
        return self.read(name, sample)

    def verify(self, threads: int = 1) -> Iterator[str]:
        """Check every byte: the records by a walk, the index by what the walk tells, each frame by decoding it.

        Yields
        ------
        str
            What is wrong, one thing at a time; nothing, for a sound archive.
        """
        yield from self._check_records()
        with_plan = True
        for part in ("plan", "metadata"):
            try:
                getattr(self, part)
            except (CorruptArchive, InvalidPlan, UnsupportedVersion) as error:
                yield f"{part}: {error}"
                with_plan = with_plan and part != "plan"
        for name, sample in self:
            try:
                if with_plan:
                    self._decoded(name, sample, None, False, threads)
                else:
                    decode(self.frame(name, sample), limits=self._limits, threads=threads)
            except (CorruptArchive, FrameError, PlanMismatch, ReferenceMismatch) as error:
                yield f"{name}, sample {sample}: {error}"

    def _check_records(self) -> Iterator[str]:
        try:
            walked, end = walk(self._file)
        except CorruptArchive as error:
            yield str(error)
            return
        if self.recovered:
            yield "no index: the file was cut off, or its end is damaged"
            last = self._file.size
        else:
            last = unpack_footer(self._file.read(self._file.size - FOOTER.size, FOOTER.size)) or 0
        if end < last:
            yield f"byte {end}: no whole record, or an index without footer; {last - end} bytes are not read"
        elif not self.recovered and pack_index(walked) != pack_index(self._index):
            yield "the index is not what the records say"

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

    def _references(self, name: str, sample: int) -> list[str]:
        """The names of the maps that a frame's tap refers to."""
        if self.plan is None or not self.plan.refers:
            return []
        frame = parse_only(self.frame(name, sample), self._limits)
        if frame.all_stored or not frame.plan_hash:
            return []
        resolve_tap(frame, self.plan)
        return [self.plan[index].name for index in self.plan[frame.tap].references]

    def _decoded(
        self, name: str, sample: int, out: NDArray[Any] | None, dequantize: bool, threads: int
    ) -> NDArray[Any]:
        found: dict[str, NDArray[Any]] = {}
        for each, references in self._chain(name, sample).items():
            given = [found[reference] for reference in references] or None
            wanted = (out, self.plan, dequantize) if each == name else (None, self.plan, False)
            found[each] = decode(self.frame(each, sample), *wanted, self._limits, threads, given)
        return found[name]

    def _chain(self, name: str, sample: int) -> dict[str, list[str]]:
        """What has to be decoded for a map and what that refers to: each name after those, the map last."""
        chain: dict[str, list[str]] = {}
        asked: dict[str, list[str]] = {}
        waiting = [name]
        while waiting:
            here = waiting[-1]
            if here not in asked:
                asked[here] = self._references(here, sample)
            missing = next((each for each in asked[here] if each not in chain), None)
            if missing is None:
                chain[here] = asked[here]
                waiting.pop()
            elif missing in waiting:
                raise CorruptArchive(f"{missing!r}, sample {sample} refers to itself")
            elif missing not in self._numbers or (missing, sample) not in self:
                raise ReferenceMismatch(f"{here!r} refers to {missing!r}, of which the archive has no sample {sample}")
            else:
                waiting.append(missing)
        return chain

    def _number(self, name: str) -> int:
        if name not in self._numbers:
            raise KeyError(f"the archive has no map {name!r}")
        return self._numbers[name]

    def _record(self, offset: int) -> tuple[Kind, bytes]:
        return read_record(self._file, offset)[:2]

    def _only(self, wanted: Kind, offset: int) -> bytes:
        kind, body = self._record(offset)
        if kind is not wanted:
            raise CorruptArchive(f"record at byte {offset}: expected kind {wanted}, found {kind}")
        return body

    def _check_header(self) -> None:
        header = self._file.read(0, len(HEADER))
        if header[:4] != HEADER[:4] or len(header) < len(HEADER):
            raise CorruptArchive("not an archive: it does not begin as a .fmz file does")
        if header[4] != VERSION:
            raise UnsupportedVersion(f"archive version {header[4]}; this release reads version {VERSION}")
        if header != HEADER:
            raise CorruptArchive("reserved bytes of the archive's header are not zero")

    def _indexed(self) -> Index | None:
        """The index, or None where footer and index record are not whole; one that is and breaks a rule is an error."""
        file = self._file
        offset = unpack_footer(file.read(max(0, file.size - FOOTER.size), FOOTER.size))
        if offset is None:
            return None
        try:
            kind, body, end = read_record(file, offset)
        except CorruptArchive:
            return None
        if kind is not Kind.INDEX or end + FOOTER.size != file.size:
            raise CorruptArchive("the footer does not point to an index that it follows")
        return unpack_index(body, offset)
