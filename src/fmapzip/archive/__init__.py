"""Archives (``.fmz``): many frames in one file, found by name and sample.

The bytes are specified in the archive chapter of ``docs/FORMAT.md``.
"""

from __future__ import annotations

from os import PathLike

from fmapzip.archive.reader import Archive
from fmapzip.archive.writer import ArchiveWriter

__all__ = ["Archive", "ArchiveWriter", "open"]


def open(path: str | PathLike[str]) -> Archive:
    """Open an archive for reading; the same as `Archive`.

    Examples
    --------
    >>> with open("maps.fmz") as archive:  # doctest: +SKIP
    ...     q = archive["features.3.squeeze", 0]
    """
    return Archive(path)
