"""Writing an archive, frame by frame, in a bounded amount of memory."""

from __future__ import annotations

import json
import operator
from collections.abc import Mapping
from os import PathLike
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fmapzip.archive.records import (
    ENTRY,
    FRAME_KEY,
    HEADER,
    Index,
    Kind,
    check_name,
    pack,
    pack_footer,
    pack_index,
)
from fmapzip.errors import InvalidInput, InvalidType
from fmapzip.frame import parse_only

if TYPE_CHECKING:
    from fmapzip.plan import Plan

MAX_SAMPLE = 2**32 - 1


class ArchiveWriter:
    """Writes frames to a new ``.fmz`` file as they come; the index follows when it is closed.

    Used as a context manager. Left by an exception, or killed, it leaves a file without index, from which
    every whole frame can still be read.

    A write that fails (a full disk) is taken back and its error raised: what was added before stays, and adding and
    closing may be tried again. Where it cannot be taken back (a pipe), all that follows is refused.

    Parameters
    ----------
    path
        The file; one that exists is overwritten.
    plan
        The plan that the frames refer to, stored with them.
    metadata
        What a JSON object can say about the archive.

    Raises
    ------
    OSError
        The file cannot be written.
    InvalidInput
        The metadata is not what JSON can hold.

    Examples
    --------
    >>> import numpy as np, fmapzip
    >>> q = np.zeros((16, 8, 8), np.uint8)
    >>> with ArchiveWriter("maps.fmz") as out:  # doctest: +SKIP
    ...     out.add("stem", 0, fmapzip.encode(q, "zvc"))
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        plan: Plan | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self._names: dict[str, int] = {}
        self._entries: dict[tuple[int, int], tuple[int, int]] = {}
        self._plan_offset = self._metadata_offset = 0
        self._lock = Lock()
        self._broken: BaseException | None = None
        described = [] if metadata is None else [pack(Kind.METADATA, _json(metadata))]
        planned = [] if plan is None else [pack(Kind.PLAN, plan.to_bytes())]
        self._file = open(path, "wb", buffering=0)  # noqa: SIM115
        self._end = 0
        try:
            self._append(HEADER)
            self._plan_offset = self._append(*planned) if planned else 0
            self._metadata_offset = self._append(*described) if described else 0
        except BaseException:
            self._file.close()
            raise

    @property
    def size(self) -> int:
        """Bytes of the archive so far; of the whole file once it is closed."""
        return self._end

    def describe(self, metadata: Mapping[str, Any]) -> None:
        """Store what a JSON object says about the archive; of several, the last one counts.

        Raises
        ------
        InvalidInput
            It is not what JSON can hold, or the archive is closed.
        """
        record = pack(Kind.METADATA, _json(metadata))
        with self._lock:
            self._metadata_offset = self._append(record)

    def add(self, name: str, sample: int, frame: bytes) -> None:
        """Append one frame.

        Parameters
        ----------
        name
            Of the feature map; any text without control characters, at most 1024 bytes.
        sample
            Which image it is of, 0 to 2^32 - 1. A name and sample occur once.
        frame
            One whole frame, as `fmapzip.encode` returns it.

        Raises
        ------
        InvalidInput
            The archive is closed, the name or number is not allowed, or both are there already.
        InvalidType
            The name is no text, or the number no integer.
        FrameError
            ``frame`` is not a whole frame.
        OSError
            It cannot be written; the archive is as it was before.
        """
        self.add_sample(sample, {name: frame})

    def add_sample(self, sample: int, frames: Mapping[str, bytes]) -> None:
        """Append the frames of several maps of one sample, by name: all of them or none.

        Raises
        ------
        As `add`
        """
        sample = _sample(sample)
        for name, frame in frames.items():
            check_name(name)
            parse_only(frame)
        with self._lock:
            names: dict[str, int] = {}
            entries, parts, end = {}, [], self._end
            for name, frame in frames.items():
                number = self._names.get(name, len(self._names) + len(names))
                if (number, sample) in self._entries:
                    raise InvalidInput(f"{name!r}, sample {sample} is in the archive already")
                if name not in self._names:
                    parts.append(pack(Kind.NAME, name.encode()))
                    end += len(parts[-1])
                    names[name] = number
                parts.append(pack(Kind.FRAME, b"".join([FRAME_KEY.pack(number, sample), frame])))
                entries[number, sample] = end, len(frame)
                end += len(parts[-1])
            self._append(*parts)
            self._names.update(names)
            self._entries.update(entries)

    def close(self) -> None:
        """Write the index and close the file. Closing again does nothing.

        Raises
        ------
        OSError
            The index cannot be written; the archive stays open, and can be closed once there is room.
        """
        with self._lock:
            if self._file.closed:
                return
            rows = [(*key, *place) for key, place in sorted(self._entries.items())]
            index = Index(self._plan_offset, self._metadata_offset, tuple(self._names), np.array(rows, ENTRY))
            self._append(pack(Kind.INDEX, pack_index(index)), pack_footer(self._end))
            self._file.close()

    def abandon(self) -> None:
        """Close the file without an index: every whole frame can still be read from it."""
        with self._lock:
            self._file.close()

    def _append(self, *parts: bytes) -> int:
        """Write all parts or none, and say where the first begins."""
        if self._file.closed:
            raise InvalidInput("the archive is closed")
        if self._broken is not None:
            raise InvalidInput(f"the archive takes nothing more: a write failed before ({self._broken})")
        offset = self._end
        data = memoryview(b"".join(parts))
        try:
            while data:
                data = data[self._file.write(data) :]
        except BaseException as error:
            self._take_back(offset, error)
            raise
        self._end += sum(map(len, parts))
        return offset

    def _take_back(self, end: int, error: BaseException) -> None:
        try:
            self._file.truncate(end)
            self._file.seek(end)
        except OSError:
            self._broken = error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.close()
        finally:
            self._file.close()


def _sample(sample: object) -> int:
    try:
        number = operator.index(sample)  # type: ignore[arg-type]
    except TypeError:
        raise InvalidType(f"a sample is an integer, not {type(sample).__name__}") from None
    if not 0 <= number <= MAX_SAMPLE:
        raise InvalidInput(f"sample {number} is not within 0 to {MAX_SAMPLE}")
    return number


def _json(metadata: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(dict(metadata), allow_nan=False, sort_keys=True).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"the archive's metadata is not JSON: {error}") from error
