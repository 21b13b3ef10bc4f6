"""What releases wrote is read, what later ones write is refused by name, and sizes are those of the table."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import fmapzip
from fmapzip import Archive, Plan, _core, errors
from fmapzip.codecs.context_rans_parameters import level_of
from fmapzip.frame import parse
from fmapzip.reference import decode as reference_decode

HERE = Path(__file__).parent
PROMISED = [HERE / str(version) for version in range(min(_core.FORMAT_VERSION, 1), _core.FORMAT_VERSION + 1)]
"""Folders of the versions that are read for ever; before version 1 there is only the present one."""
NEXT = _core.FORMAT_VERSION + 1
TOLERANCE = 0.002
"""What training in floating point may move on another machine; frames without a plan are the same everywhere."""


def _script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"compat_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make = _script("make")


def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / make.MANIFEST).read_text("utf-8"))


@pytest.mark.parametrize("folder", PROMISED, ids=lambda folder: folder.name)
def test_what_a_release_wrote_lies_here_unchanged(folder: Path) -> None:
    for name, sha256 in manifest(folder)["files"].items():
        assert make.sha256((folder / name).read_bytes()) == sha256, f"{name} is frozen: it is never made again"


@pytest.mark.parametrize("folder", PROMISED, ids=lambda folder: folder.name)
def test_every_frame_of_a_release_decodes_to_the_same_map(folder: Path) -> None:
    plan = Plan.load(folder / make.PLAN)
    with Archive(folder / make.FRAMES) as alone, Archive(folder / make.PLANNED) as planned:
        entries = manifest(folder)["frames"]
        assert list(alone.names) == list(planned.names) == [entry["name"] for entry in entries]
        assert planned.plan == plan
        assert [*alone.verify(), *planned.verify()] == []
        for entry in entries:
            name, frame = entry["name"], alone.frame(entry["name"], 0)
            assert make.sha256(frame) == entry["frame"]
            q, with_plan = fmapzip.decode(frame), planned.read(name, 7)
            assert (str(q.dtype), list(q.shape)) == (entry["dtype"], entry["shape"])
            assert make.sha256(q.tobytes()) == entry["decoded"]
            assert make.sha256(with_plan.tobytes()) == entry["planned decoded"]
            assert np.array_equal(reference_decode(frame), q)
            assert np.array_equal(reference_decode(planned.frame(name, 7), plan[name].parameters), with_plan)


@pytest.mark.parametrize("folder", PROMISED, ids=lambda folder: folder.name)
def test_maps_that_a_release_coded_with_others_decode_to_the_same(folder: Path) -> None:
    with Archive(folder / make.REFERRING) as archive:
        assert archive.plan is not None
        assert {0, 1, 2} == {len(tap.references) for tap in archive.plan}
        assert {archive.read(tap.name, 0).dtype for tap in archive.plan if tap.references} == {
            np.dtype(np.uint8),
            np.dtype(np.int8),
        }
        found = {name: make.sha256(archive.read_all(name).tobytes()) for name in archive.names}
        assert found == manifest(folder)["references"]
        assert [*archive.verify()] == []


@pytest.mark.parametrize("folder", PROMISED, ids=lambda folder: folder.name)
def test_plans_of_a_release_hold_parameters_of_every_level(folder: Path) -> None:
    taps = [tap for tap in Plan.load(folder / make.PLAN) if tap.codec.id == "context-rans"]
    assert {level_of(tap.parameters) for tap in taps} == {"default", "max", "ultra"}


@pytest.mark.parametrize("folder", PROMISED, ids=lambda folder: folder.name)
def test_a_plan_of_a_release_is_written_again_as_it_was(folder: Path) -> None:
    data = (folder / make.PLAN).read_bytes()
    plan = Plan.from_bytes(data)
    assert plan.to_bytes() == data
    assert Plan(plan.taps, plan.metadata).to_bytes() == data


def test_every_codec_layout_and_type_is_among_what_the_present_version_wrote() -> None:
    listed = {entry["name"] for entry in manifest(PROMISED[-1])["frames"]}
    wanted = {f"{codec}/{layout}" for codec in make.codecs() for layout in make.layouts()}
    assert wanted <= listed, "a codec that joins is added to the release that brings it"


def test_a_frame_of_a_later_version_is_refused_by_name() -> None:
    with Archive(PROMISED[-1] / make.FRAMES) as archive:
        later = bytearray(archive.frame(archive.names[0], 0))
    later[4] = NEXT
    for read in (fmapzip.decode, fmapzip.inspect, parse, reference_decode):
        with pytest.raises(errors.UnsupportedVersion, match=f"frame version {NEXT}; this release reads"):
            read(bytes(later))


def test_a_plan_of_a_later_version_is_refused_by_name() -> None:
    data = (PROMISED[-1] / make.PLAN).read_bytes()
    later = data.replace(b"fmapzip-plan %d\n" % _core.FORMAT_VERSION, b"fmapzip-plan %d\n" % NEXT, 1)
    with pytest.raises(errors.UnsupportedVersion, match=f"plan version {NEXT}; this release reads"):
        Plan.from_bytes(later)


def test_an_archive_of_a_later_version_is_refused_by_name(tmp_path: Path) -> None:
    later = bytearray((PROMISED[-1] / make.FRAMES).read_bytes())
    later[4] = NEXT
    (tmp_path / "later.fmz").write_bytes(later)
    with pytest.raises(errors.UnsupportedVersion, match=f"archive version {NEXT}; this release reads"):
        Archive(tmp_path / "later.fmz")


LONG = make.name_of(make.TRAINED_FOR_LONG)


@pytest.mark.parametrize("name", [pytest.param(x, marks=[pytest.mark.slow] * (x == LONG)) for x in make.codecs()])
def test_sizes_are_those_of_the_table(name: str) -> None:
    table = json.loads(make.SIZES.read_text("utf-8"))["codecs"][name]
    found = make.sizes_of(make.codecs()[name])
    assert found["alone"] == table["alone"], "python tests/compat/make.py writes the table; its diff is the change"
    assert found["planned"] == pytest.approx(table["planned"], rel=TOLERANCE)
    assert found["plan"] == pytest.approx(table["plan"], rel=TOLERANCE)


def test_the_table_lists_every_codec() -> None:
    assert list(json.loads(make.SIZES.read_text("utf-8"))["codecs"]) == list(make.codecs())


def test_golden_files_can_be_given_the_present_version() -> None:
    restamp = _script("restamp")
    files = restamp.files()
    assert len(files) > 200
    assert [path.name for path, data in files.items() if data != path.read_bytes()] == []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(restamp, "VERSION", NEXT)
        again = restamp.files()
    stamped = [path for path, data in again.items() if data != files[path]]
    assert len(stamped) > 0.9 * len(files)
