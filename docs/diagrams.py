"""Draw the block diagrams and the handshake of docs/HARDWARE.md: ``python docs/diagrams.py``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

FOLDER = Path(__file__).parent / "plots" / "hardware"
WIDE, HIGH, GAP_X, GAP_Y, MARGIN = 136, 50, 40, 34, 12
STYLE = """<style>
svg { --ink: #24292f; --soft: #57606a; --logic: #ddf4ff; --memory: #fff8c5; --edge: #0969da; }
@media (prefers-color-scheme: dark) {
  svg { --ink: #e6edf3; --soft: #9ea7b3; --logic: #12304d; --memory: #3d3413; --edge: #58a6ff; }
}
text { font: 12px sans-serif; fill: var(--ink); text-anchor: middle; }
text.soft { font-size: 11px; fill: var(--soft); }
text.left { text-anchor: start; }
rect.logic { fill: var(--logic); stroke: var(--edge); }
rect.memory { fill: var(--memory); stroke: var(--soft); stroke-dasharray: 4 2; }
path { fill: none; stroke: var(--ink); stroke-width: 1.3; }
path.wave { stroke: var(--edge); stroke-width: 1.6; }
path.guide { stroke: var(--soft); stroke-width: 0.7; stroke-dasharray: 2 3; }
marker path { fill: var(--ink); stroke: none; }
</style>
<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0L8 4L0 8z"/></marker></defs>"""


@dataclass(frozen=True)
class Box:
    """A part at a column and row: its name, what it does, and whether it is a memory or only a port."""

    column: int
    row: int
    name: str
    does: str = ""
    kind: str = "logic"


@dataclass(frozen=True)
class Diagram:
    """Parts by key, and arrows between them, each with what it carries."""

    title: str
    boxes: dict[str, Box]
    arrows: tuple[tuple[str, str, str], ...]


def port(column: int, row: int, name: str) -> Box:
    """A stream at the border."""
    return Box(column, row, name, kind="port")


def memory(column: int, row: int, name: str, does: str = "") -> Box:
    """A memory."""
    return Box(column, row, name, does, "memory")


DIAGRAMS = {
    "zvc": Diagram(
        "zvc: encoder above, decoder below",
        {
            "in": port(0, 0, "values"),
            "compare": Box(1, 0, "not zero?", "N at once"),
            "pack": Box(2, 0, "closing up", "prefix counts"),
            "nonzero": port(3, 0, "nonzero"),
            "bitmap": port(3, 1, "bitmap"),
            "bits": port(0, 2, "bitmap, size"),
            "bytes": port(0, 3, "nonzero"),
            "place": Box(1, 2, "spreading", "prefix counts"),
            "window": Box(1, 3, "window", "of bytes"),
            "control": Box(2, 3, "end and errors", "of the tile"),
            "out": port(3, 2, "values"),
            "status": port(3, 3, "status"),
        },
        (
            ("in", "compare", ""),
            ("compare", "pack", "flags"),
            ("compare", "bitmap", ""),
            ("pack", "nonzero", ""),
            ("bits", "place", ""),
            ("bytes", "window", ""),
            ("window", "place", "bytes"),
            ("place", "out", ""),
            ("window", "control", ""),
            ("control", "status", ""),
        ),
    ),
    "mask-encoder": Diagram(
        "dct-cm, mask path: encoder",
        {
            "in": port(0, 0, "values, tile"),
            "table": port(0, 1, "table"),
            "ranks": Box(1, 0, "ranks", "logic, or a table"),
            "rank_table": memory(1, 1, "points", "256 bytes"),
            "held": memory(2, 0, "two blocks", "of 64 ranks"),
            "choice": Box(2, 1, "choice", "18 counters, 16 costs"),
            "sorter": Box(3, 0, "sorter", "a rank a cycle"),
            "parts": memory(3, 1, "planes, codes", "of two blocks"),
            "assembler": Box(4, 0, "assembler", "header, planes, codes"),
            "out": port(5, 0, "body"),
        },
        (
            ("in", "ranks", ""),
            ("table", "rank_table", ""),
            ("rank_table", "ranks", ""),
            ("ranks", "held", ""),
            ("held", "sorter", ""),
            ("held", "choice", ""),
            ("choice", "sorter", "split"),
            ("sorter", "parts", ""),
            ("sorter", "assembler", ""),
            ("parts", "assembler", ""),
            ("assembler", "out", ""),
        ),
    ),
    "mask-decoder": Diagram(
        "dct-cm, mask path: decoder",
        {
            "in": port(0, 0, "body"),
            "tile": port(0, 1, "tile, table"),
            "ring": memory(1, 0, "ring", "2048 bits, 3 readers"),
            "classes": Box(2, 0, "classes", "8 N positions a cycle"),
            "planes": memory(2, 1, "planes", "of two blocks"),
            "codes": Box(3, 0, "codes", "N values a cycle"),
            "values": Box(4, 0, "values", "of ranks"),
            "points": memory(4, 1, "points", "256 bytes"),
            "out": port(5, 0, "values"),
        },
        (
            ("in", "ring", ""),
            ("ring", "classes", ""),
            ("classes", "planes", ""),
            ("classes", "codes", "counts"),
            ("planes", "codes", ""),
            ("codes", "values", "ranks"),
            ("points", "values", ""),
            ("values", "out", ""),
        ),
    ),
    "transform": Diagram(
        "dct-cm, transform path: forward above, inverse below",
        {
            "values": port(0, 0, "values, run"),
            "steps": port(0, 1, "steps"),
            "gather": Box(1, 0, "gathering", "mean for masked zeros"),
            "recip": memory(3, 1, "reciprocals", "one a frequency"),
            "forward": Box(2, 0, "DCT", "sums and rotations"),
            "quantizer": Box(3, 0, "quantizer", "times a reciprocal"),
            "codes": port(4, 0, "codes"),
            "codes2": port(0, 2, "codes, run"),
            "steps2": port(0, 3, "steps"),
            "multiply": Box(1, 2, "times steps", "digits to the base 4"),
            "step": memory(1, 3, "steps", "one a frequency"),
            "inverse": Box(2, 2, "inverse DCT", "sums and rotations"),
            "clamp": Box(3, 2, "clamp", "and masked zeros"),
            "values2": port(4, 2, "values"),
        },
        (
            ("values", "gather", ""),
            ("steps", "recip", ""),
            ("gather", "forward", ""),
            ("forward", "quantizer", ""),
            ("recip", "quantizer", ""),
            ("quantizer", "codes", ""),
            ("codes2", "multiply", ""),
            ("steps2", "step", ""),
            ("step", "multiply", ""),
            ("multiply", "inverse", ""),
            ("inverse", "clamp", ""),
            ("clamp", "values2", ""),
        ),
    ),
    "transform-bodies": Diagram(
        "dct-cm, transform path, whole bodies: encoder above, decoder below",
        {
            "in": port(0, 0, "values, run, steps"),
            "forward": Box(1, 0, "forward", "DCT and quantizer"),
            "held": memory(2, 0, "two blocks", "64 positions, N codes"),
            "rows": Box(2, 1, "rows", "channels, frequencies"),
            "choice": Box(3, 0, "choice, sorter", "a code a cycle"),
            "assembler": Box(4, 0, "assembler", "masks and blocks"),
            "out": port(5, 0, "body"),
            "in2": port(0, 2, "body"),
            "ring": memory(1, 2, "ring", "2048 bits, 3 readers"),
            "rows2": Box(1, 3, "rows", "channels, frequencies"),
            "classes": Box(2, 2, "classes, codes", "V a cycle"),
            "turned": memory(3, 2, "two blocks", "codes and masks"),
            "steps2": memory(3, 3, "steps, runs", "of the next groups"),
            "inverse": Box(4, 2, "inverse", "steps, DCT, clamp"),
            "out2": port(5, 2, "values"),
        },
        (
            ("in", "forward", ""),
            ("forward", "held", ""),
            ("rows", "held", ""),
            ("held", "choice", ""),
            ("choice", "assembler", ""),
            ("assembler", "out", ""),
            ("in2", "ring", ""),
            ("ring", "classes", ""),
            ("rows2", "classes", ""),
            ("classes", "turned", ""),
            ("turned", "inverse", ""),
            ("steps2", "inverse", ""),
            ("inverse", "out2", ""),
        ),
    ),
    "rans-decoder": Diagram(
        "context-rans: decoder",
        {
            "in": port(0, 0, "body"),
            "load": port(0, 1, "tile, table"),
            "window": Box(1, 0, "word window", "lower lanes first"),
            "tables": memory(1, 1, "token tables", "one memory a lane"),
            "lanes": Box(2, 0, "L lanes", "a symbol a cycle each"),
            "regroup": Box(2, 1, "closing up", "tokens to groups"),
            "contexts": Box(3, 1, "contexts", "channel, or neighbours"),
            "row": memory(4, 1, "row buffer", "level default"),
            "expand": Box(3, 0, "putting together", "flags and tokens"),
            "values": memory(4, 0, "values", "of indices"),
            "out": port(5, 0, "values"),
        },
        (
            ("in", "window", ""),
            ("load", "tables", ""),
            ("window", "lanes", ""),
            ("tables", "lanes", ""),
            ("contexts", "regroup", ""),
            ("regroup", "lanes", ""),
            ("lanes", "expand", ""),
            ("expand", "values", ""),
            ("values", "out", ""),
            ("values", "row", ""),
            ("row", "contexts", ""),
        ),
    ),
    "rans-encoder": Diagram(
        "context-rans: encoder",
        {
            "in": port(0, 0, "values"),
            "load": port(0, 1, "tile, table"),
            "index": memory(1, 0, "indices", "of values"),
            "contexts": Box(1, 1, "contexts", "as in the decoder"),
            "held": memory(2, 0, "the tile", "indices and cells"),
            "spans": Box(3, 0, "spans", "the last one first"),
            "stack": memory(3, 1, "tokens", "of a span, stacked"),
            "lanes": Box(4, 0, "L lanes", "a symbol in 4 cycles"),
            "pack": Box(4, 1, "words", "packed downwards"),
            "out": port(5, 1, "body, last word first"),
        },
        (
            ("in", "index", ""),
            ("load", "contexts", ""),
            ("index", "held", ""),
            ("index", "contexts", ""),
            ("contexts", "held", "cells"),
            ("held", "spans", ""),
            ("spans", "stack", ""),
            ("stack", "lanes", ""),
            ("spans", "lanes", "flags"),
            ("lanes", "pack", ""),
            ("pack", "out", ""),
        ),
    ),
}

WAVES = (
    ("clk", "0101010101010101"),
    ("valid", "0011111111110000"),
    ("ready", "1111110000111111"),
)
PAYLOADS = ((2, 4, "A"), (4, 6, "B"), (6, 12, "C"))
TRANSFERS = (4, 6, 12)
"""Rising edges with valid and ready both 1 before them."""


def corner(box: Box) -> tuple[int, int]:
    """The upper left corner of a part."""
    return MARGIN + box.column * (WIDE + GAP_X), 30 + box.row * (HIGH + GAP_Y)


def part(box: Box) -> Iterator[str]:
    """A part as SVG."""
    x, y = corner(box)
    middle = x + WIDE // 2
    if box.kind != "port":
        yield f'<rect class="{box.kind}" x="{x}" y="{y}" width="{WIDE}" height="{HIGH}" rx="5"/>'
    yield f'<text x="{middle}" y="{y + (22 if box.does else 30)}" font-weight="bold">{escape(box.name)}</text>'
    if box.does:
        yield f'<text class="soft" x="{middle}" y="{y + 39}">{escape(box.does)}</text>'


def arrow(start: Box, end: Box, carries: str) -> Iterator[str]:
    """An arrow from part to part: straight, or by the gap between columns."""
    (ax, ay), (bx, by) = corner(start), corner(end)
    ay, by = ay + HIGH // 2, by + HIGH // 2
    if start.column == end.column:
        x, down = ax + WIDE // 2, by > ay
        y1, y2 = (ay + HIGH // 2, by - HIGH // 2) if down else (ay - HIGH // 2, by + HIGH // 2)
        path, at = f"M{x} {y1}V{y2}", (x + 4, (y1 + y2) // 2 + 4)
    else:
        right = bx > ax
        x1, x2 = (ax + WIDE, bx) if right else (ax, bx + WIDE)
        turn = x1 + (GAP_X // 2 if right else -GAP_X // 2)
        shift = 8 if start.row > end.row else -8 if start.row < end.row else 0
        path, at = f"M{x1} {ay}H{turn}V{by + shift}H{x2}", (min(x1, x2) + 4, min(ay, by) - 5)
    yield f'<path d="{path}" marker-end="url(#arrow)"/>'
    if carries:
        yield f'<text class="soft left" x="{at[0]}" y="{at[1]}">{escape(carries)}</text>'


def picture(title: str, width: int, height: int, parts: list[str]) -> str:
    """A whole SVG."""
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(title)}">'
    name = f'<text class="soft left" x="{MARGIN}" y="18">{escape(title)}</text>'
    return "\n".join([head, STYLE, name, *parts, "</svg>"]) + "\n"


def drawn(diagram: Diagram) -> str:
    """A diagram as SVG."""
    boxes = diagram.boxes.values()
    width = 2 * MARGIN + (max(box.column for box in boxes) + 1) * (WIDE + GAP_X) - GAP_X
    height = 30 + (max(box.row for box in boxes) + 1) * (HIGH + GAP_Y) - GAP_Y + MARGIN
    parts = [line for a, b, carries in diagram.arrows for line in arrow(diagram.boxes[a], diagram.boxes[b], carries)]
    return picture(diagram.title, width, height, parts + [line for box in boxes for line in part(box)])


def handshake() -> str:
    """The waves of a stream with a stall."""
    step, left, top, tall = 38, 80, 44, 20
    parts = []
    for row, (name, levels) in enumerate(WAVES):
        base = top + row * 40 + tall
        heights = [base - tall * int(level) for level in levels]
        line = f"M{left} {heights[0]}" + "".join(f"V{y}h{step}" for y in heights)
        parts += [f'<text class="left" x="{MARGIN}" y="{base - 5}">{name}</text>', f'<path class="wave" d="{line}"/>']
    base = top + len(WAVES) * 40
    parts.append(f'<text class="left" x="{MARGIN}" y="{base + 15}">payload</text>')
    for first, last, name in PAYLOADS:
        x, width = left + first * step, (last - first) * step
        parts.append(f'<rect class="logic" x="{x + 2}" y="{base}" width="{width - 4}" height="{tall}" rx="4"/>')
        parts.append(f'<text x="{x + width // 2}" y="{base + 15}">{name}</text>')
    # a transfer is where a rising edge finds valid and ready at 1: at the odd half cycles
    for at, (_, _, name) in zip(TRANSFERS, PAYLOADS, strict=True):
        x = left + (at - 1) * step
        parts.append(f'<path class="guide" d="M{x} {top - 6}V{base + 44}"/>')
        parts.append(f'<text class="soft" x="{x}" y="{base + 56}">{name} is taken</text>')
    width = left + len(WAVES[0][1]) * step + MARGIN
    return picture("A stream: C waits for two cycles", width, base + 66, parts)


def main() -> None:
    """Write all pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, diagram in DIAGRAMS.items():
        (FOLDER / f"{name}.svg").write_text(drawn(diagram), "utf-8")
    (FOLDER / "handshake.svg").write_text(handshake(), "utf-8")


if __name__ == "__main__":
    main()
