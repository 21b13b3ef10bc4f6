"""Writing a file so that it is there whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fmapzip.errors import InvalidInput


def check_writable(path: Path | None) -> None:
    """Refuse a path that cannot be written, before any work is done for it.

    Raises
    ------
    InvalidInput
        It is a directory, or in none that exists and can be written.
    """
    if path is None or _is_stream(path):
        return
    if path.is_dir():
        raise InvalidInput(f"{path} is a directory")
    if not path.parent.is_dir():
        raise InvalidInput(f"{path}: no such directory: {path.parent}")
    if not os.access(path.parent, os.W_OK):
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
    target = path.resolve()
    temporary = target.with_name(f".{target.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
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


def _is_stream(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()
