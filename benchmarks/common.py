"""What the benchmarks share: maps, plans, timing side by side, and results with their circumstances."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import fmapzip
from fmapzip.archive import Archive
from fmapzip.codecs.base import Codec
from fmapzip.eval.environment import environment

if TYPE_CHECKING:
    from fmapzip.hardware import Block

TRAINING_IMAGES = 4

FIGURES = (
    "ratio_payload",
    "ratio_total",
    "plan_bytes",
    "top1",
    "changed_vs_int8",
    "kl_vs_float",
    "output_sqnr_db",
)
"""Of a codec in a report of `eval`, what results keep."""


def load_maps(archive: Path) -> tuple[list[str], dict[str, list[NDArray[Any]]]]:
    """The maps of an archive (`fmapzip capture`): names in order, and each tap's maps in order of sample."""
    maps: dict[str, list[NDArray[Any]]] = {}
    with fmapzip.open(archive) as opened:
        for name, sample in opened:
            maps.setdefault(name, []).append(opened[name, sample])
    return list(maps), maps


def in_order(names: Sequence[str], maps: dict[str, list[NDArray[Any]]]) -> list[tuple[str, NDArray[Any]]]:
    """Maps as a running network makes them: image by image, tap by tap."""
    images = len(maps[names[0]])
    return [(name, maps[name][image]) for image in range(images) for name in names]


def trained_plan(
    codec: Codec, names: Sequence[str], maps: dict[str, list[NDArray[Any]]], images: int | None = TRAINING_IMAGES
) -> fmapzip.Plan:
    """A plan of one codec for all taps, trained on the first images or all: few do where only speed is measured."""
    taps = []
    for name in names:
        sample = maps[name][0]
        quantizer = fmapzip.QuantParams("int8" if sample.dtype == np.int8 else "uint8", (1.0,), "none")
        tables = codec.train(np.stack(maps[name][:images]))
        taps.append(fmapzip.TapPlan(name, sample.shape, quantizer, codec, tables))
    return fmapzip.Plan(tuple(taps))


def side_by_side(tasks: dict[str, Callable[[], None]], repeat: int, busy: bool = False) -> dict[str, float]:
    """Median seconds of each task, the tasks taking turns so that a drift of the machine meets all of them.

    On a machine that is busy with other programs the least processor time tells more.
    """
    clock, taken = (time.process_time, min) if busy else (time.perf_counter, median)
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for task in tasks.values():
        task()
    for _ in range(repeat):
        for name, task in tasks.items():
            start = clock()
            task()
            seconds[name].append(clock() - start)
    return {name: taken(times) for name, times in seconds.items()}


def measured_widths(block: Block) -> list[int]:
    """Values a cycle for which a block of hardware is measured."""
    return [values for values in ((1, 4, 16) if block.codec == "context-rans" else (1, 8)) if values in block.widths]


def git_hash() -> str:
    """The commit that is measured."""
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def write_result(path: Path, benchmark: str, result: dict[str, Any], threads: int = 1) -> None:
    """Write a result with the machine, versions, threads and commit that it comes from."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"benchmark": benchmark, "commit": git_hash(), "environment": environment(threads), **result}
    path.write_text(json.dumps(content, indent=1) + "\n")


def keep_by_archive(
    file: Path, benchmark: str, archives: Sequence[Path], rows_of: Callable[[Archive], list[dict[str, Any]]]
) -> None:
    """Write what is measured of each archive, a network's, in the place of its rows of before."""
    rows = json.loads(file.read_text())["rows"] if file.exists() else []
    for path in archives:
        with Archive(path) as archive:
            found = [{"network": path.stem, **row} for row in rows_of(archive)]
        print(*found, sep="\n", flush=True)
        rows = [*(row for row in rows if row["network"] != path.stem), *found]
        file.write_text(rows_on_lines({"benchmark": benchmark, "commit": git_hash(), "rows": rows}))


def rows_on_lines(content: dict[str, Any]) -> str:
    """JSON with one method or tap a line: short, and a change of one figure is a change of one line."""
    lines = [f" {json.dumps(key)}: {_lined(value)}" for key, value in content.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _lined(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n  " + ",\n  ".join(json.dumps(item) for item in value) + "\n ]"
    return json.dumps(value)
