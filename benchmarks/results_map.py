"""The section of docs/RESULTS.md on one map, and its picture."""

from __future__ import annotations

import base64
import struct
import zlib
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from numpy.typing import NDArray
from results_files import Values
from results_tables import WIDTH, table

ACROSS, TILE, GAP = 4, 52, 4
LEFT, RIGHT, TOP, BAR, STEP = 280, 960, 74, 26, 58
COLOURS = {
    "bitmap": "#5b8def", "values": "#0f6cbd", "words": "#c8500f", "stored values": "#0f6cbd", "states": "#e5a36f",
    "parameters": "#8a6fc0",
}  # fmt: skip
OTHER = "#8a8a8a"
NAMES = {"words": "coded values", "parameters": "tables", "values": "values"}
SMALL = "header, checksum, states"


def one_map(found: Values) -> str:
    """Bytes of one map by part."""
    channels, height, width = found["shape"]
    intro = (
        f"`benchmarks/one_map.py`: `{found['tap']}` of the demo network, {channels} x {height} x {width}, one image; "
        f"{found['zeros']:.1%} zeros, {found['raw_bytes']} bytes in 8 bits. "
        "Frames that stand alone, their tables counted."
    )
    parts = list(dict.fromkeys(name for row in found["methods"] for name in row["sections"]))
    rows = [
        [
            f"**`{row['method']}`**",
            str(row["bytes"]),
            f"{found['raw_bytes'] / row['bytes']:.2f}",
            *(str(row["sections"].get(part, 0)) for part in parts),
            str(row["error"]),
        ]
        for row in found["methods"]
    ]
    head = ["method", "bytes", "ratio", *parts, "largest error of a value"]
    return "\n\n".join(["## One map", fill(intro, WIDTH), table(head, rows)])


def draw_map(found: Values, before: NDArray[Any], after: NDArray[Any], path: Path) -> Path:
    """Draw the map before and after, and its bytes between; the same map gives the same file."""
    end = LEFT + RIGHT - 2 * LEFT
    shape = " x ".join(map(str, found["shape"]))
    last = found["methods"][-1]
    parts = [
        _text(20, 30, "A feature map before", 15, "bold"),
        _text(20, 50, f"{shape} integers of 8 bits", 12),
        _channels(before, 20, TOP),
        _text(end + 30, 30, "and after", 15, "bold"),
        _text(end + 30, 50, f"off by at most {last['error']}: {last['method']}", 12),
        _channels(after, end + 30, TOP),
        _text(LEFT, 30, "and where its bytes went", 15, "bold"),
        *_bar(0, "8-bit integers", found["raw_bytes"], {"stored values": found["raw_bytes"]}, found["raw_bytes"], end),
    ]
    for i, row in enumerate(found["methods"], 1):
        loss = "" if row["error"] else ", nothing lost"
        parts += _bar(i, row["method"] + loss, row["bytes"], row["sections"], found["raw_bytes"], end)
    legend = [("bitmap", "bitmap of zeros"), ("values", NAMES["values"]), ("words", NAMES["words"])]
    x = float(LEFT)
    for key, name in [*legend, ("parameters", NAMES["parameters"]), ("", SMALL)]:
        parts.append(f'<rect x="{x:.0f}" y="306" width="9" height="9" fill="{COLOURS.get(key, OTHER)}"/>')
        parts.append(_text(x + 13, 315, name, 10))
        x += 22 + 5.1 * len(name)
    size = f'width="{RIGHT}" height="330" viewBox="0 0 {RIGHT} 330"'
    label = "A feature map before and after, and the bytes that it takes by each method, by part"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{label}" font-family="sans-serif">'
    path.write_text(
        "\n".join([head, '<rect width="100%" height="100%" fill="#fff"/>', *parts, "</svg>"]) + "\n", "utf-8"
    )
    return path


def _bar(line: int, name: str, size: int, sections: dict[str, int], raw: int, end: int) -> list[str]:
    y, x, scale = TOP + 6 + STEP * line, float(LEFT), (end - LEFT) / raw
    parts = [_text(LEFT, y - 5, f"{name}: {size:,} bytes, {raw / size:.2f} x", 12)]
    known = {key: count for key, count in sections.items() if key in COLOURS and key != "states"}
    known["other"] = size - sum(known.values())
    for key, count in known.items():
        if count:
            colour = COLOURS.get(key, OTHER)
            parts.append(f'<rect x="{x:.1f}" y="{y}" width="{count * scale:.1f}" height="{BAR}" fill="{colour}"/>')
            x += count * scale
    return parts


def _channels(q: NDArray[Any], x: int, y: int) -> str:
    """The first channels side by side as one image, in shades of grey: white is zero."""
    side, shown = q.shape[1], q[: ACROSS * ACROSS]
    pixels = np.full((ACROSS * (side + GAP) - GAP,) * 2, 255, np.uint8)
    for i, channel in enumerate(shown):
        row, column = divmod(i, ACROSS)
        at = (
            slice(row * (side + GAP), row * (side + GAP) + side),
            slice(column * (side + GAP), column * (side + GAP) + side),
        )
        pixels[at] = 235 - np.sqrt(channel / max(int(q.max()), 1)) * 235
    data = base64.b64encode(_png(pixels)).decode()
    place = f'x="{x}" y="{y}" width="{ACROSS * TILE + 16}" height="{ACROSS * TILE + 16}"'
    return f'<image {place} style="image-rendering:pixelated" href="data:image/png;base64,{data}"/>'


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """Grey pixels as a PNG file. Deflate's stored blocks: the bytes do not depend on zlib's version."""
    height, width = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(rows, 0)), (b"IEND", b"")]
    framed = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def _text(x: float, y: float, words: str, size: int, weight: str = "normal") -> str:
    return f'<text x="{x:.0f}" y="{y}" font-size="{size}" font-weight="{weight}" fill="#222">{words}</text>'
