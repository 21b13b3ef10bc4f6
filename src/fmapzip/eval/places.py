"""Where data lies: on a local disk, or wherever `fsspec` reaches by a URL."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from fmapzip.errors import InvalidInput, MissingExtra

_URL = "://"


def place_of(spec: str) -> Path:
    """The place that a path or a URL names: ``file://`` is a local path, others are paths of `universal_pathlib`.

    Those have the methods of `Path` that read; `is_local` tells them apart.

    Raises
    ------
    MissingExtra
        What the URL needs is not installed.
    InvalidInput
        The URL is of no kind that `fsspec` knows.

    Examples
    --------
    >>> str(place_of("file:///data/val"))
    '/data/val'
    """
    if _URL not in spec:
        return Path(spec)
    parts = urlsplit(spec)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    try:
        from upath import UPath
    except ImportError as error:
        raise MissingExtra("data at a URL needs fsspec and universal_pathlib: pip install 'fmapzip[data]'") from error
    try:
        found: Any = UPath(spec)
        _ = found.fs  # what the protocol needs is loaded here
    except ImportError as error:
        raise MissingExtra(f"{spec}: {error}") from error
    except ValueError as error:
        raise InvalidInput(f"{spec}: {error}") from error
    place: Path = found
    return place


def is_local(place: Path) -> bool:
    """Whether a place is a path of this machine."""
    return isinstance(place, os.PathLike)


def read_range(place: Path, offset: int, size: int) -> bytes:
    """Up to `size` bytes of a file from `offset` on, and no others where the file is far away."""
    if not is_local(place):
        found: bytes = place.fs.cat_file(place.path, start=offset, end=offset + size)  # type: ignore[attr-defined]
        return found
    with place.open("rb") as file:
        file.seek(offset)
        return file.read(size)
