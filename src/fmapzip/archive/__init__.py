"""Archives (``.fmz``): many frames in one file, found by name and sample; and stores, folders of archives.

The bytes are specified in the archive chapter of ``docs/FORMAT.md``.
"""

from __future__ import annotations

from os import PathLike

from fmapzip.archive.compaction import compact
from fmapzip.archive.reader import Archive
from fmapzip.archive.store_check import verify_store
from fmapzip.archive.store_writer import StoreWriter
from fmapzip.archive.writer import ArchiveWriter

__all__ = ["Archive", "ArchiveWriter", "StoreWriter", "compact", "open", "verify_store"]


def open(path: str | PathLike[str]) -> Archive:
    """Open an archive for reading; the same as `Archive`.

    Examples
    --------
    >>> with open("maps.fmz") as archive:  # doctest: +SKIP
    ...     q = archive["features.3.squeeze", 0]
    """
    return Archive(path)
