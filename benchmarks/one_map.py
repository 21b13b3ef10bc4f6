"""One feature map of the demo network, before and after, and where its bytes went: the picture in README.

    python benchmarks/one_map.py     # writes benchmarks/results/one_map.json; `results.py make` draws it

The map is one of `tests/compat/maps.fmz`; frames stand alone, so their tables are counted. The same everywhere.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

import fmapzip
from fmapzip import Archive, registry

ROOT = Path(__file__).parents[1]
TAP, SAMPLE = "stages.0.conv2", 0
SHOWN = "context-rans:step=2"
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "zvc": ("zvc", {}),
    "context-rans": ("context-rans", {}),
    SHOWN: ("context-rans", {"step": 2}),
}


def before() -> NDArray[Any]:
    """The map, [C, H, W]."""
    with Archive(ROOT / "tests" / "compat" / "maps.fmz") as archive:
        return archive.read(TAP, SAMPLE)


def frame_of(method: str, q: NDArray[Any]) -> bytes:
    """The map's frame by one of `METHODS`."""
    name, settings = METHODS[method]
    return fmapzip.encode(q, registry.make(name, **settings))


def decoded_of(method: str, q: NDArray[Any]) -> NDArray[Any]:
    """What the map is after that."""
    return fmapzip.decode(frame_of(method, q))


def measured() -> dict[str, Any]:
    """Bytes by part, and the largest error of a value."""
    q = before()
    rows = []
    for method in METHODS:
        frame = frame_of(method, q)
        error = int(abs(fmapzip.decode(frame).astype(int) - q).max())
        rows.append(
            {"method": method, "bytes": len(frame), "sections": fmapzip.inspect(frame).sections, "error": error}
        )
    return {"tap": TAP, "shape": list(q.shape), "raw_bytes": q.size, "zeros": float((q == 0).mean()), "methods": rows}


if __name__ == "__main__":
    path = ROOT / "benchmarks" / "results" / "one_map.json"
    path.write_text(json.dumps(measured(), indent=1) + "\n", "utf-8")
    print(path)
