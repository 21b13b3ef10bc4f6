"""A report as one self-contained HTML file: style, script and data inside, nothing loaded from elsewhere."""

from __future__ import annotations

import html
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from fmapzip.atomic import write_atomically
from fmapzip.report.model import model_of

SCRIPTS = (
    "dom.js",
    "scales.js",
    "chart.js",
    "plots.js",
    "tables.js",
    "words.js",
    "pictures.js",
    "pages.js",
    "plan.js",
    "partition.js",
    "tuning.js",
    "traffic.js",
    "start.js",
)
"""In this order: each uses what those before it define."""


def to_html(report: dict[str, Any]) -> str:
    """The page of a report.

    Parameters
    ----------
    report
        What ``fmapzip bench``, ``eval``, ``plan``, ``split``, ``traffic`` or ``tune`` writes with ``--json``.

    Raises
    ------
    InvalidInput
        Another kind of report, or one of a schema that this release does not know.
    """
    model = model_of(report)
    data = json.dumps(model, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    parts = {
        "title": html.escape(model["title"]),
        "style": _asset("style.css"),
        "data": data,
        "script": "\n".join(_asset(name) for name in SCRIPTS),
    }
    page = _asset("page.html")
    for name, text in parts.items():
        page = page.replace(f"<!--{name}-->", text)
    return page


def write_html(report: dict[str, Any], path: Path) -> None:
    """Write the page of a report, whole or not at all."""
    write_atomically(path, to_html(report).encode())


def _asset(name: str) -> str:
    return files("fmapzip.report").joinpath("assets", name).read_text("utf-8")
