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
    source: Annotated[
        Path, typer.Argument(metavar="FILE|STORE", help="An archive, a store, a plan, or frames one after another.")
    ],
    name: Annotated[str, typer.Option(metavar="GLOB", help="Only the maps of these names.")] = "*",
    sample: Annotated[int | None, typer.Option(min=0, help="Only this sample; shows where its bytes went.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Decode every frame.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    max_values: MaxValues = None,
) -> None:
    """Show what an archive, a store or a plan holds, and where the bytes went."""
    limits = limits_of(max_values)
    if source.is_dir():
        found = _store(source, name, sample, check, limits)
    else:
        found = _file(source, name, sample, check, limits)
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


def _file(source: Path, name: str, sample: int | None, check: bool, limits: Limits) -> dict[str, Any]:
    from fmapzip.archive import Archive

    with source.open("rb") as file:
        beginning = file.read(len(PLAN))
    if beginning == PLAN:
        return _plan_file(source)
    if beginning.startswith(FRAME):
        return _frames_file(source, limits)
    with Archive(source, limits) as archive:
        return _archive(archive, name, sample, check, limits)


def _store(folder: Path, name: str, sample: int | None, check: bool, limits: Limits) -> dict[str, Any]:
    """What all shards of a store hold together; samples are numbered over all of them."""
    from fmapzip.archive import Archive
    from fmapzip.archive.store_index import read_index
    from fmapzip.errors import CorruptArchive, InvalidInput

    index = read_index(folder)
    if index is None:
        raise InvalidInput(f"{folder} is no store")
    gathered = _Gathered(check, limits)
    found: dict[str, Any] = {"kind": "store", "samples": 0, "shards": len(index.shards), "frames": 0, "plan": None}
    for shard in index.shards:
        first = found["samples"]
        found["samples"] += shard.samples
        try:
            archive = Archive(folder / shard.file, limits)
        except (CorruptArchive, OSError) as error:
            gathered.unreadable.append({"what": shard.file, "error": str(error)})
            continue
        with archive:
            chosen = [(n, s) for n, s in archive if fnmatchcase(n, name) and sample in (None, first + s)]
            plan = gathered.add(archive, chosen, shard.file)
            found["frames"] += len(archive)
            found["plan"] = found["plan"] or plan
    if found["frames"] and not gathered.maps and not gathered.unreadable:
        raise InvalidInput(f"no such map or sample; there are: {', '.join(index.taps)}")
    return found | gathered.found()


def _archive(archive: Archive, pattern: str, sample: int | None, check: bool, limits: Limits) -> dict[str, Any]:
    """What an archive holds; of what cannot be read, the error, and the rest all the same."""
    from fmapzip.errors import InvalidInput

    chosen = [(n, s) for n, s in archive if fnmatchcase(n, pattern) and sample in (None, s)]
    if not chosen and len(archive):
        raise InvalidInput(f"no such map or sample; there are: {', '.join(archive.names)}")
    gathered = _Gathered(check, limits)
    plan = gathered.add(archive, chosen)
    metadata = {}
    with gathered.reading("metadata"):
        metadata = archive.metadata
    found = {"kind": "archive", "recovered": archive.recovered, "frames": len(archive), "plan": plan}
    return found | {"metadata": metadata} | gathered.found()


class _Gathered:
    """The maps of archives, and what of them cannot be read."""

    def __init__(self, check: bool, limits: Limits) -> None:
        self._check, self._limits = check, limits
        self.unreadable: list[dict[str, str]] = []
        self.maps: dict[str, dict[str, Any]] = {}

    @contextmanager
    def reading(self, what: str) -> Iterator[None]:
        """Note an error of reading `what`, and go on."""
        from fmapzip.errors import CorruptArchive, FrameError, InvalidPlan

        try:
            yield
        except (CorruptArchive, FrameError, InvalidPlan) as error:
            self.unreadable.append({"what": what, "error": str(error)})

    def add(self, archive: Archive, chosen: list[tuple[str, int]], where: str = "") -> dict[str, Any] | None:
        """Add the chosen frames of an archive, and give what its plan is."""
        from fmapzip.api import decode
        from fmapzip.inspection import inspect as inspect_frame

        plan, place = None, f"{where}: " if where else ""
        with self.reading(f"{place}plan"):
            plan = archive.plan
        for name, number in chosen:
            with self.reading(f"{place}{name}, sample {number}"):
                frame = archive.frame(name, number)
                if self._check:
                    decode(frame, plan=plan, limits=self._limits)
                _add(self.maps, name, inspect_frame(frame, plan, self._limits))
        return None if plan is None else {"hash": plan.hash.hex(), "bytes": len(plan.to_bytes())}

    def found(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"checked": self._check, "unreadable": self.unreadable, "maps": _listed(self.maps)}


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
    if found["kind"] in ("archive", "store"):
        notes[0] += f" of {counted(len(found['maps']), 'map')}"
    if found["kind"] == "store":
        notes.append(f"{counted(found['samples'], 'sample')} in {counted(found['shards'], 'shard')}")
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
