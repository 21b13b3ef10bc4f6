"""``python -m fmapzip``: the command line."""

from __future__ import annotations

from fmapzip.cli import main

main()
