"""Names as a page shows them."""

from __future__ import annotations


def short(name: str) -> str:
    """A path without its folders, but with the function behind the colon."""
    return name.rstrip("/").rpartition("/")[2]
