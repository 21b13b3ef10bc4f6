"""Writing an archive, frame by frame, in a bounded amount of memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
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
from fmapzip.errors import InvalidInput
from fmapzip.frame import parse_only

if TYPE_CHECKING:
    from fmapzip.plan import Plan

MAX_SAMPLE = 2**32 - 1


class ArchiveWriter:
    """Writes frames to a new ``.fmz`` file as they come; the index follows when it is closed.

    Used as a context manager. Left by an exception, or killed, it leaves a file without index, from which
    every whole frame can still be read.

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
        self._file = open(path, "wb")  # noqa: SIM115
        self._file.write(HEADER)
        self._end = len(HEADER)
        if plan is not None:
            self._plan_offset = self._append(Kind.PLAN, plan.to_bytes())
        if metadata is not None:
            self.describe(metadata)

    def describe(self, metadata: Mapping[str, Any]) -> None:
        """Store what a JSON object says about the archive; of several, the last one counts.

        Raises
        ------
        InvalidInput
            It is not what JSON can hold, or the archive is closed.
        """
        self._metadata_offset = self._append(Kind.METADATA, _json(metadata))

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
        FrameError
            ``frame`` is not a whole frame.
        """
        if not 0 <= sample <= MAX_SAMPLE:
            raise InvalidInput(f"sample {sample} is not within 0 to {MAX_SAMPLE}")
        number = self._names.get(name)
        if (number, sample) in self._entries:
            raise InvalidInput(f"{name!r}, sample {sample} is in the archive already")
        parse_only(frame)
        if number is None:
            self._append(Kind.NAME, check_name(name).encode())
            number = self._names[name] = len(self._names)
        offset = self._append(Kind.FRAME, FRAME_KEY.pack(number, sample) + frame)
        self._entries[number, sample] = offset, len(frame)

    def close(self) -> None:
        """Write the index and close the file. Closing again does nothing."""
        if self._file.closed:
            return
        rows = [(*key, *place) for key, place in sorted(self._entries.items())]
        index = Index(self._plan_offset, self._metadata_offset, tuple(self._names), np.array(rows, ENTRY))
        offset = self._append(Kind.INDEX, pack_index(index))
        self._file.write(pack_footer(offset))
        self._file.close()

    def _append(self, kind: Kind, body: bytes) -> int:
        if self._file.closed:
            raise InvalidInput("the archive is closed")
        offset = self._end
        record = pack(kind, body)
        self._file.write(record)
        self._end += len(record)
        return offset

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._file.close()


def _json(metadata: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(dict(metadata), allow_nan=False, sort_keys=True).encode()
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"the archive's metadata is not JSON: {error}") from error
