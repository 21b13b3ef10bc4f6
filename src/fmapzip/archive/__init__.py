"""Archives (``.fmz``): many frames in one file, found by name and sample; and stores, folders of archives.

The bytes are specified in the archive chapter of ``docs/FORMAT.md``.
"""

from __future__ import annotations

from importlib import import_module
from os import PathLike
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fmapzip.archive.compaction import compact
    from fmapzip.archive.reader import Archive
    from fmapzip.archive.store_check import verify_store
    from fmapzip.archive.store_writer import StoreWriter
    from fmapzip.archive.writer import ArchiveWriter

_HOMES = {
    "Archive": "reader",
    "ArchiveWriter": "writer",
    "StoreWriter": "store_writer",
    "compact": "compaction",
    "verify_store": "store_check",
}
"""Where each name is defined; it is imported when it is first used, so that a command line asks for no NumPy."""

__all__ = ["Archive", "ArchiveWriter", "StoreWriter", "compact", "open", "verify_store"]


def open(path: str | PathLike[str]) -> Archive:
    """Open an archive for reading; the same as `Archive`.

    Examples
    --------
    >>> with open("maps.fmz") as archive:  # doctest: +SKIP
    ...     q = archive["features.3.squeeze", 0]
    """
    from fmapzip.archive.reader import Archive

    return Archive(path)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return found
