"""``fmapzip inspect``: what an archive or a frame holds, and where its bytes went."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fmapzip.cli.app import app
from fmapzip.cli.console import counted, stdout
from fmapzip.cli.exits import Exit, tell
from fmapzip.cli.options import MaxValues, limits_of

if TYPE_CHECKING:
    from fmapzip.archive import Archive
    from fmapzip.frame import Limits
    from fmapzip.inspection import FrameInfo
    from fmapzip.tables import Figures


PLAN, FRAME = b"fmapzip-plan", b"FMAP"
"""How plans and frames begin."""
TOLD = 10
"""How many unreadable parts of an archive are told on stderr; JSON has all."""


@app.command()
def inspect(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="An archive, a plan, or frames one after another.")],
    name: Annotated[str, typer.Option(metavar="GLOB", help="Only the maps of these names.")] = "*",
    sample: Annotated[int | None, typer.Option(min=0, help="Only this sample; shows where its bytes went.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Decode every frame.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    max_values: MaxValues = None,
) -> None:
    """Show what an archive or a plan holds, and where the bytes went."""
    from fmapzip.archive import Archive

    limits = limits_of(max_values)
    with source.open("rb") as file:
        beginning = file.read(len(PLAN))
    if beginning == PLAN:
        found = _plan_file(source)
    elif beginning.startswith(FRAME):
        found = _frames_file(source, limits)
    else:
        with Archive(source, limits) as archive:
            found = _archive(archive, name, sample, check, limits)
    if as_json:
        print(json.dumps(found, indent=1))
    elif found["kind"] == "plan":
        _show_plan(found)
    else:
        _show_maps(found)
    if unreadable := found.get("unreadable"):
        for each in unreadable[:TOLD]:
            tell(f"{each['what']}: {each['error']}")
        if len(unreadable) > TOLD:
            tell(f"and {len(unreadable) - TOLD} more")
        raise typer.Exit(Exit.CORRUPT)


def _archive(archive: Archive, pattern: str, sample: int | None, check: bool, limits: Limits) -> dict[str, Any]:
    """What an archive holds; of what cannot be read, the error, and the rest all the same."""
    from fmapzip.api import decode
    from fmapzip.errors import CorruptArchive, FrameError, InvalidInput, InvalidPlan
    from fmapzip.inspection import inspect as inspect_frame

    chosen = [(n, s) for n, s in archive if fnmatchcase(n, pattern) and sample in (None, s)]
    if not chosen and len(archive):
        raise InvalidInput(f"no such map or sample; there are: {', '.join(archive.names)}")
    unreadable: list[dict[str, str]] = []

    @contextmanager
    def reading(what: str) -> Iterator[None]:
        try:
            yield
        except (CorruptArchive, FrameError, InvalidPlan) as error:
            unreadable.append({"what": what, "error": str(error)})

    plan, metadata = None, {}
    with reading("plan"):
        plan = archive.plan
    with reading("metadata"):
        metadata = archive.metadata
    maps: dict[str, dict[str, Any]] = {}
    for name, number in chosen:
        with reading(f"{name}, sample {number}"):
            frame = archive.frame(name, number)
            if check:
                decode(frame, plan=plan, limits=limits)
            _add(maps, name, inspect_frame(frame, plan, limits))
    return {
        "kind": "archive",
        "recovered": archive.recovered,
        "frames": len(archive),
        "plan": None if plan is None else {"hash": plan.hash.hex(), "bytes": len(plan.to_bytes())},
        "metadata": metadata,
        "checked": check,
        "unreadable": unreadable,
        "maps": _listed(maps),
    }


def _frames_file(source: Path, limits: Limits) -> dict[str, Any]:
    from fmapzip.frame import parse_all
    from fmapzip.inspection import inspect as inspect_frame

    data = source.read_bytes()
    maps: dict[str, dict[str, Any]] = {}
    offset = 0
    for i, frame in enumerate(parse_all(data, limits)):
        _add(maps, f"frame {i}", inspect_frame(memoryview(data)[offset : offset + frame.frame_bytes], limits=limits))
        offset += frame.frame_bytes
    return {"kind": "frames", "frames": len(maps), "maps": _listed(maps)}


def _add(maps: dict[str, dict[str, Any]], name: str, info: FrameInfo) -> None:
    """Count one frame into the entry of its map."""
    entry = maps.setdefault(
        name,
        {
            "frames": 0,
            "shapes": {},
            "dtypes": {},
            "codecs": {},
            "raw_bytes": 0,
            "payload_bytes": 0,
            "total_bytes": 0,
            "sections": {},
        },
    )
    entry["frames"] += 1
    for key, value in (("shapes", info.shape), ("dtypes", info.dtype), ("codecs", info.codec)):
        entry[key][value] = None  # a dict for its keys: an archive of strangers may have as many as frames
    for key in ("raw_bytes", "payload_bytes", "total_bytes"):
        entry[key] += getattr(info, key)
    for part, count in info.sections.items():
        entry["sections"][part] = entry["sections"].get(part, 0) + count
    if info.quantizer is not None:
        entry["quantizer"] = dataclasses.asdict(info.quantizer)


def _listed(maps: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The entries as JSON has them."""
    for entry in maps.values():
        entry["shapes"] = [list(shape) for shape in entry["shapes"]]
        entry["dtypes"], entry["codecs"] = list(entry["dtypes"]), list(entry["codecs"])
    return maps


def _plan_file(source: Path) -> dict[str, Any]:
    from fmapzip.plan import Plan

    plan = Plan.load(source)
    taps = [
        {
            "name": tap.name,
            "shape": list(tap.shape),
            "quantizer": tap.quantizer.to_json(),
            "codec": tap.codec.config(),
            "path": tap.codec.path_taken(tap.parameters),
            "parameter_bytes": len(tap.parameters),
        }
        for tap in plan
    ]
    total = len(plan.to_bytes())
    return {"kind": "plan", "hash": plan.hash.hex(), "bytes": total, "metadata": dict(plan.metadata), "taps": taps}


def _show_plan(found: dict[str, Any]) -> None:
    from fmapzip.tables import Figures, size, unusual_settings

    table = Figures(
        ["tap", "shape", "quantizer", "codec", "settings", "path", "tables"],
        left_out=["quantizer", "settings", "path", "shape"],
        left_aligned=["quantizer", "codec", "settings", "path"],
    )
    for tap in found["taps"]:
        quantizer = tap["quantizer"]
        rule = f"{quantizer['dtype']} {quantizer['calibrator']}"
        settings = unusual_settings(tap["codec"])
        shape = "x".join(map(str, tap["shape"]))
        table.rows.append(
            [tap["name"], shape, rule, tap["codec"]["codec"], settings, tap["path"], size(tap["parameter_bytes"])]
        )
    console = stdout()
    taps = counted(len(found["taps"]), "tap")
    console.print(f"plan {found['hash'][:16]}: {taps}, {found['bytes']} bytes", markup=False)
    console.print()
    console.print(table)


def _show_maps(found: dict[str, Any]) -> None:
    console = stdout()
    notes = [counted(found["frames"], "frame")]
    if found["kind"] == "archive":
        notes[0] += f" of {counted(len(found['maps']), 'map')}"
    if found.get("plan"):
        notes.append(f"plan {found['plan']['hash'][:16]} ({found['plan']['bytes']} bytes)")
    if found.get("unreadable"):
        notes.append(f"{len(found['unreadable'])} unreadable")
    elif found.get("checked"):
        notes.append("every frame decodes")
    if found.get("recovered"):
        notes.append("no index: read by scanning, up to the last whole frame")
    console.print("; ".join(notes), markup=False)
    console.print()
    console.print(_maps_table(found["maps"]))
    console.print()
    console.print(_sections_table(found["maps"]))


def _maps_table(maps: dict[str, dict[str, Any]]) -> Figures:
    from fmapzip.tables import Figures

    table = Figures(
        ["map", "shape", "dtype", "codec", "frames", "bytes", "ratio", "bits/value"],
        left_out=["bits/value", "dtype", "codec", "shape"],
        left_aligned=["dtype", "codec"],
    )
    table.rows = [_map_row(name, entry) for name, entry in maps.items()]
    table.total = _map_row("total", _total(maps))
    return table


def _map_row(name: str, entry: dict[str, Any]) -> list[str]:
    from fmapzip.tables import number, quotient, size

    shape = "x".join(map(str, entry["shapes"][0])) if len(entry["shapes"]) == 1 else ""
    raw, total = entry["raw_bytes"], entry["total_bytes"]
    figures = [size(total), number(quotient(raw, total), 2), number(quotient(8 * total, raw), 2)]
    return [name, shape, "/".join(entry["dtypes"]), "/".join(entry["codecs"]), str(entry["frames"]), *figures]


def _sections_table(maps: dict[str, dict[str, Any]]) -> Figures:
    from fmapzip.tables import Figures, number, quotient, size

    total = _total(maps)
    table = Figures(["part", "bytes", "share %"])
    for part, count in sorted(total["sections"].items(), key=lambda item: -item[1]):
        if count:
            table.rows.append([part, size(count), number(quotient(count, total["total_bytes"]), 1, 100)])
    return table


def _total(maps: dict[str, dict[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {"shapes": [], "dtypes": [], "codecs": [], "sections": {}}
    for key in ("frames", "raw_bytes", "total_bytes"):
        total[key] = sum(entry[key] for entry in maps.values())
    for entry in maps.values():
        for part, count in entry["sections"].items():
            total["sections"][part] = total["sections"].get(part, 0) + count
    return total
