"""The one plot that matters: ratio against encode and decode speed, lossless methods, one network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

OURS, BASELINES = "#c8500f", "#0f6cbd"
FONT, LETTER, LINE = 7.5, 4.4, 10.0
"""Size of the names, and the room that a letter and a line of them take, in points."""

Box = tuple[float, float, float, float]


def draw(report: dict[str, Any], path: Path) -> Path:
    """Draw the lossless methods of a report whose speed says something; the same report gives the same file."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "fmapzip", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot

    raw = report["totals"]["raw_bytes"]
    shown = [e for e in report["codecs"] if e["status"] == "ok" and e["lossless"] and e["speed_meaningful"]]
    shown.sort(key=lambda entry: not entry["ours"])
    figure, panels = pyplot.subplots(1, 2, figsize=(10, 4.6), sharey=True, layout="constrained")
    for panel, way in zip(panels, ("encode", "decode"), strict=True):
        points = [(raw / 1e6 / e[f"{way}_seconds"], raw / e["total_bytes"]) for e in shown]
        for entry, point in zip(shown, points, strict=True):
            panel.plot(*point, "o", color=OURS if entry["ours"] else BASELINES, ms=8 if entry["ours"] else 5)
        panel.set(xscale="log", xlabel=f"{way}, MB/s, one thread")
        panel.margins(0.08)
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("ratio to 8 bits, every byte counted")
    figure.canvas.draw()
    for panel, way in zip(panels, ("encode", "decode"), strict=True):
        _name(panel, shown, [(raw / 1e6 / e[f"{way}_seconds"], raw / e["total_bytes"]) for e in shown])
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
    return path


def _name(panel: Any, entries: list[dict[str, Any]], points: list[tuple[float, float]]) -> None:
    """Write each name beside its point where it meets no other, ours first."""
    scale = 72 / panel.figure.dpi
    places = [tuple(scale * value for value in panel.transData.transform(point)) for point in points]
    taken: list[Box] = [(x - 4, y - 4, x + 4, y + 4) for x, y in places]
    for entry, point, (x, y) in zip(entries, points, places, strict=True):
        name = short_name(entry["label"])
        wide = LETTER * len(name)
        for dx, dy in ((7, -3), (-7 - wide, -3), (-wide / 2, 7), (-wide / 2, -15), (7, 7), (7, -13), (-7 - wide, 7)):
            box = (x + dx, y + dy, x + dx + wide, y + dy + LINE)
            if not any(_meet(box, other) for other in taken):
                break
        taken.append(box)
        weight = "bold" if entry["ours"] else "normal"
        panel.annotate(name, point, (dx, dy), textcoords="offset points", fontsize=FONT, weight=weight)


def short_name(label: str) -> str:
    """A label with the values of its settings alone."""
    name, _, settings = label.partition(":")
    return " ".join([name, *(part.partition("=")[2] for part in settings.split(",") if part)])


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
