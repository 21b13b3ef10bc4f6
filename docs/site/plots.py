"""The page of plots: what docs/site/plots.js draws, from the measurements in benchmarks/results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
PAGE = """# Plots

Ratio (8-bit bytes over all bytes, tables counted) against speed, one network at a time. Point at a method, or walk
through them by the tab key, to read its figures. They are those of [Results](RESULTS.md), which says on how many
images, on which machine and by which versions. Methods that are written in NumPy have no place here: their time says
nothing.

<div id="plots-place" class="plots" role="group" aria-label="Ratio against speed"></div>
<script id="plots-data" type="application/json">{data}</script>
<script src="site/plots.js"></script>
"""


def page() -> str:
    """The page's Markdown, with the figures in it."""
    found = [_network(json.loads(path.read_text("utf-8"))) for path in sorted(RESULTS.glob("arena_*.json"))]
    return PAGE.format(data=json.dumps(found).replace("</", "<\\/"))


def _network(report: dict[str, Any]) -> dict[str, Any]:
    raw = report["totals"]["raw_bytes"]
    shown = [e for e in report["codecs"] if e["status"] == "ok" and e["speed_meaningful"]]
    points = [
        {
            "label": entry["label"],
            "ours": entry["ours"],
            "lossless": entry["lossless"],
            "ratio": round(raw / entry["total_bytes"], 3),
            "encode": round(raw / 1e6 / entry["encode_seconds"], 1),
            "decode": round(raw / 1e6 / entry["decode_seconds"], 1),
        }
        for entry in shown
    ]
    return {"network": report["source"]["model"], "images": report["source"]["images"], "points": points}
