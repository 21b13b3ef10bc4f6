"""The formats again, in plain NumPy, written from docs/FORMAT.md and docs/format: slow, obvious, the judge of the core.

`encode` and `decode` cover every codec. They take and give the same bytes as the core and share none of its code.
"""

from __future__ import annotations

from fmapzip.reference.frame import decode, encode

__all__ = ["decode", "encode"]
