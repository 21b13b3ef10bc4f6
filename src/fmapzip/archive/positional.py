"""Reading a file by position, so that threads and forked processes do not move each other's place in it."""

from __future__ import annotations

import os
from os import PathLike
from threading import Lock

from fmapzip.errors import InvalidInput, InvalidType


class PositionalFile:
    """A file of which any part can be read at any time, from any thread and from processes forked meanwhile.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    OSError
        It cannot be opened.
    InvalidType
        ``path`` is no path.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        try:
            self.path = os.path.abspath(os.fsdecode(path))
        except TypeError:
            raise InvalidType(
                f"an archive is opened by its path, not by a {type(path).__name__}: "
                "other processes open it again by that path"
            ) from None
        self._file = open(self.path, "rb", buffering=0)  # noqa: SIM115
        self._lock = Lock()
        self.size = os.fstat(self._file.fileno()).st_size

    def read(self, offset: int, count: int) -> bytes:
        """``count`` bytes from ``offset`` on; fewer where the file ends before."""
        parts = []
        while count:
            part = self._some(offset, count)
            if not part:
                break
            parts.append(part)
            offset, count = offset + len(part), count - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Close the file; it cannot be read from then on."""
        self._file.close()

    def require_open(self) -> None:
        """Raise InvalidInput if it is closed."""
        if self._file.closed:
            raise InvalidInput("the archive is closed")

    def _some(self, offset: int, count: int) -> bytes:
        self.require_open()
        if hasattr(os, "pread"):
            return os.pread(self._file.fileno(), count, offset)
        with self._lock:  # without pread (Windows) there is no fork either: a lock keeps the place between two calls
            self._file.seek(offset)
            return self._file.read(count)
