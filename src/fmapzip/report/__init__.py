"""Reports of ``bench``, ``eval``, ``plan``, ``split``, ``traffic`` and ``tune`` as one HTML file that opens offline.

Examples
--------
>>> write_html(json.load(open("bench.json")), Path("bench.html"))  # doctest: +SKIP
"""

from __future__ import annotations

from fmapzip.report.page import to_html, write_html

__all__ = ["to_html", "write_html"]
