"""The one plot that matters: ratio against encode and decode speed, lossless methods, one network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

OURS, PEERS = "#c8500f", "#0f6cbd"


def draw(report: dict[str, Any], path: Path) -> Path:
    """Draw the lossless methods of a report whose speed says something; the same report gives the same file."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "fmapzip", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot

    raw = report["totals"]["raw_bytes"]
    shown = [e for e in report["codecs"] if e["status"] == "ok" and e["lossless"] and e["speed_meaningful"]]
    figure, panels = pyplot.subplots(1, 2, figsize=(10, 4.2), sharey=True, layout="constrained")
    for panel, way in zip(panels, ("encode", "decode"), strict=True):
        for entry in shown:
            speed, ratio = raw / 1e6 / entry[f"{way}_seconds"], raw / entry["total_bytes"]
            panel.plot(speed, ratio, "o", color=OURS if entry["ours"] else PEERS, ms=8 if entry["ours"] else 5)
            weight = "bold" if entry["ours"] else "normal"
            panel.annotate(
                entry["label"], (speed, ratio), (5, 4), textcoords="offset points", fontsize=7, weight=weight
            )
        panel.set(xscale="log", xlabel=f"{way}, MB/s, one thread")
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("ratio to 8 bits, every byte counted")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
    return path
