"""Measurements kept in a file as they are made, so that interrupted work goes on where it was.

The first line says what the file is; each further line is one result. Every line begins with the CRC-32 of the rest,
and is written by one call. A file that is not whole at its end (the process was killed, the disk was full) is cut back
to its last whole line before anything is appended; one that is wrong elsewhere, or that is something else, is refused.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

from fmapzip.atomic import write_atomically
from fmapzip.errors import InvalidInput

_FORMAT = "fmapzip measurements"
_VERSION = 1


class MeasurementCache:
    """Results by name, each in the file as soon as it is known.

    Parameters
    ----------
    file : Path or None
        None keeps everything in memory.
    kind : str
        Whose measurements they are: a command's.
    conditions : object
        What they were made under, as JSON: results are used again under the same conditions only.
    restart : bool
        Whether measurements of the same kind under other conditions are dropped, instead of refused.

    Raises
    ------
    InvalidInput
        The file holds something else, or is damaged; it is left as it is.

    Examples
    --------
    >>> cache = MeasurementCache(None, "demo", {"seed": 0})
    >>> cache.get("answer", lambda: 6 * 7), cache.get("answer", lambda: 0)
    (42, 42)
    """

    def __init__(self, file: Path | None, kind: str, conditions: object, restart: bool = False) -> None:
        self._file = file
        self._known: dict[str, Any] = {}
        self._length = 0
        if file is None:
            return
        header = _header_of(kind, conditions)
        data = file.read_bytes() if file.exists() else b""
        lines = data.split(b"\n")[:-1]  # what follows the last newline was cut off
        found = _header(file, kind, lines) if data else None
        if found == header:
            self._read(file, lines, len(data))
        elif found is None or restart:
            first = _line(header)
            write_atomically(file, first)
            self._length = len(first)
        else:
            words = difference(conditions, found["of"])
            raise InvalidInput(f"{file}: measurements of something else{words}; remove it, or name another file")

    def get(self, name: str, measure: Callable[[], Any]) -> Any:
        """Return the result of `name`; if it is not known, measure it, a JSON value, and keep it."""
        if name not in self._known:
            value = measure()
            self._append(_line([name, value]))
            self._known[name] = value
        return self._known[name]

    def remove(self) -> None:
        """Remove the file: what it was kept for is done."""
        if self._file is not None:
            self._file.unlink(missing_ok=True)

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def __len__(self) -> int:
        return len(self._known)

    def _read(self, file: Path, lines: list[bytes], size: int) -> None:
        self._known = _results(file, lines)
        self._length = sum(len(line) + 1 for line in lines)
        if self._length < size:
            os.truncate(file, self._length)

    def _append(self, line: bytes) -> None:
        if self._file is None:
            return
        try:
            with self._file.open("ab", buffering=0) as out:
                if out.write(line) != len(line):
                    raise OSError(None, "a measurement could not be written whole", str(self._file))
        except OSError:
            os.truncate(self._file, self._length)
            raise
        self._length += len(line)


def is_measurements(file: Path) -> bool:
    """Whether a file begins as one of measurements does."""
    try:
        with file.open("rb") as opened:
            match _content(opened.readline(1 << 20).rstrip(b"\n")):
                case {"file": str(name)}:
                    return name == _FORMAT
    except OSError:
        pass
    return False


def read_measurements(file: Path, kind: str) -> tuple[Any, dict[str, Any]]:
    """Read the conditions and the results in a file, and leave it as it is.

    Raises
    ------
    InvalidInput
        The file cannot be read, holds something else, or is damaged.
    """
    try:
        lines = file.read_bytes().split(b"\n")[:-1]
    except OSError as error:
        raise InvalidInput(f"{file}: {error.strerror}") from error
    header = _header(file, kind, lines)
    if header.get("version") != _VERSION:
        raise InvalidInput(f"{file}: measurements of another release")
    return header["of"], _results(file, lines)


def written(kind: str, conditions: object, results: Mapping[str, Any]) -> bytes:
    """Return what a file with these results holds."""
    return b"".join(map(_line, (_header_of(kind, conditions), *([name, value] for name, value in results.items()))))


def difference(one: object, other: object) -> str:
    """Return in words which conditions differ, where they have names; else nothing.

    Examples
    --------
    >>> difference({"seed": 0, "network": "a"}, {"seed": 1, "network": "a"})
    ' (other seed)'
    """
    one = json.loads(json.dumps(one))
    if not isinstance(one, dict) or not isinstance(other, dict):
        return ""
    return f" (other {', '.join(key for key in {**one, **other} if one.get(key) != other.get(key))})"


def _results(file: Path, lines: list[bytes]) -> dict[str, Any]:
    """Return what the lines after the first hold."""
    found: dict[str, Any] = {}
    for number, line in enumerate(lines[1:], start=2):
        match _content(line):
            case [str(name), value]:
                found[name] = value
            case _:
                raise InvalidInput(f"{file}: line {number} of these measurements is damaged; remove the file")
    return found


def _line(content: object) -> bytes:
    text = json.dumps(content).encode()
    return b"%08x %s\n" % (crc32(text), text)


def _content(line: bytes) -> Any:
    """Return what a line without its newline holds; None where that is damaged."""
    checksum, _, text = line.partition(b" ")
    if checksum != b"%08x" % crc32(text):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _header_of(kind: str, conditions: object) -> dict[str, Any]:
    """Return the first line that measurements get, as it is read back."""
    header: dict[str, Any] = {"file": _FORMAT, "version": _VERSION, "kind": kind, "of": conditions}
    return json.loads(json.dumps(header))  # type: ignore[no-any-return]


def _header(file: Path, kind: str, lines: list[bytes]) -> Any:
    """Return the first line of measurements of this kind."""
    match _content(lines[0]) if lines else None:
        case {"file": str(name), "kind": str(found), "of": _} as header if (name, found) == (_FORMAT, kind):
            return header
    raise InvalidInput(f"{file} exists and holds no measurements of {kind!r}; it is left alone: name another file")
