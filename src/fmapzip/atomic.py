"""Writing a file so that it is there whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

from fmapzip.errors import InvalidInput

NAME_MAX = 255
"""Most bytes in a file's name, on the usual file systems."""


def check_writable(path: Path | None) -> None:
    """Refuse a path that cannot be written, before any work is done for it.

    Raises
    ------
    InvalidInput
        It is a directory, in none that exists and can be written, or a link that leads back to itself.
    """
    if path is None or _is_stream(path):
        return
    target = _target(path)
    if target.is_dir():
        raise InvalidInput(f"{path} is a directory")
    if not target.parent.is_dir():
        raise InvalidInput(f"{path}: no such directory: {target.parent if path.is_symlink() else path.parent}")
    if not os.access(target.parent, os.W_OK):
        raise InvalidInput(f"{path}: its directory is not writable")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside ``path`` to write to, which takes its name when the block ends without an error.

    After an error or an interrupt it is removed and what was at ``path`` before is untouched. Devices and pipes
    (``/dev/stdout``) are written directly.

    Examples
    --------
    >>> with replacing(Path("report.json")) as file:  # doctest: +SKIP
    ...     file.write_text("{}")
    """
    check_writable(path)
    if _is_stream(path):
        yield path
        return
    target = _target(path)
    temporary = target.with_name(_temporary_name(target.name))
    try:
        yield temporary
        if target.exists():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path` as `replacing` says."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def beside(path: Path, ending: str) -> Path:
    """The path of a file that belongs to `path`: its name with `ending` behind it.

    A name that becomes too long for a file system is cut, and its checksum tells it from others.

    Examples
    --------
    >>> str(beside(Path("reports/bench.json"), ".partial"))
    'reports/bench.json.partial'
    """
    name = os.fsencode(path.name)
    if len(name) + len(ending) <= NAME_MAX:
        return path.with_name(path.name + ending)
    ending = f".{crc32(name):08x}{ending}"
    return path.with_name(name[: NAME_MAX - len(ending)].decode("utf-8", "ignore") + ending)


def _target(path: Path) -> Path:
    """Where links lead."""
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:  # of a loop Python raises the one or the other, by its version
        raise InvalidInput(f"{path}: its symbolic links lead nowhere: {error}") from error


def _temporary_name(name: str) -> str:
    """A name of its own beside `name`; as much of it as a file's name has room for."""
    ending = f".{os.getpid()}-{os.urandom(4).hex()}.tmp"
    kept = os.fsencode(name)[: NAME_MAX - len(ending) - 1].decode("utf-8", "ignore")
    return f".{kept}{ending}"


def _is_stream(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()
