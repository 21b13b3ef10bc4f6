"""Archives whose maps are coded with one another: random access decodes what a map needs, and says what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import fmapzip
from fmapzip.archive import Archive, ArchiveWriter
from fmapzip.errors import CorruptArchive, ReferenceMismatch
from fmapzip.plan import Plan

Maps = dict[str, NDArray[np.uint8]]


@pytest.fixture(scope="module")
def maps() -> Maps:
    """Of three samples, a map and two that follow from the one before, but for what is lost below zero."""
    random = np.random.default_rng(3)
    first = np.maximum(random.normal(0, 20, (3, 16, 8, 8)), 0).astype(np.uint8)

    def next_of(q: NDArray[np.uint8]) -> NDArray[np.uint8]:
        mixed = np.einsum("oc,nchw->nohw", random.normal(0, 0.3, (16, 16)), q.astype(float))
        return np.clip(np.rint(np.maximum(mixed, 0)), 0, 255).astype(np.uint8)

    second = next_of(first)
    return {"a": first, "b": second, "c": next_of(second)}


@pytest.fixture(scope="module")
def plan(maps: Maps) -> Plan:
    plan = fmapzip.fit(maps, "context-rans", level="ultra", references=9, plan_bytes=1.0)
    assert plan["b"].references == (0,)
    assert 1 in plan["c"].references
    return plan


def frame(maps: Maps, plan: Plan, name: str, sample: int) -> bytes:
    given: Any = [maps[plan[i].name][sample] for i in plan[name].references] or None
    return fmapzip.encode(maps[name][sample], plan=plan, tap=name, reference=given)


def test_any_map_is_read_through_its_chain(tmp_path: Path, maps: Maps, plan: Plan) -> None:
    with ArchiveWriter(tmp_path / "x.fmz", plan=plan) as out:
        for sample in (2, 0, 1):
            for name in ("c", "a", "b"):
                out.add(name, sample, frame(maps, plan, name, sample))
    with Archive(tmp_path / "x.fmz") as archive:
        assert (archive["c", 1] == maps["c"][1]).all()
        assert (archive["b"] == maps["b"]).all()
        out_array = np.empty_like(maps["c"][0])
        assert archive.read("c", 2, out=out_array) is out_array
        assert (out_array == maps["c"][2]).all()
        assert archive.read("c", 0, dequantize=True).dtype == np.float32
        assert not list(archive.verify())


def test_what_a_map_needs_must_be_there(tmp_path: Path, maps: Maps, plan: Plan) -> None:
    with ArchiveWriter(tmp_path / "x.fmz", plan=plan) as out:
        out.add("a", 0, frame(maps, plan, "a", 0))
        out.add("b", 1, frame(maps, plan, "b", 1))
        out.add("c", 0, frame(maps, plan, "c", 0))
    with Archive(tmp_path / "x.fmz") as archive:
        assert (archive["a", 0] == maps["a"][0]).all()
        for name, sample in (("b", 1), ("c", 0)):
            with pytest.raises(ReferenceMismatch, match="has no sample"):
                archive[name, sample]
        assert len(list(archive.verify())) == 2


def test_the_map_of_another_image_is_refused(tmp_path: Path, maps: Maps, plan: Plan) -> None:
    with ArchiveWriter(tmp_path / "x.fmz", plan=plan) as out:
        out.add("a", 0, frame(maps, plan, "a", 1))
        out.add("b", 0, frame(maps, plan, "b", 0))
    with Archive(tmp_path / "x.fmz") as archive, pytest.raises(ReferenceMismatch, match="not those"):
        archive["b", 0]


def test_maps_that_need_one_another_are_refused(tmp_path: Path, maps: Maps, plan: Plan) -> None:
    with ArchiveWriter(tmp_path / "x.fmz", plan=plan) as out:
        out.add("a", 0, frame(maps, plan, "b", 0))
    with Archive(tmp_path / "x.fmz") as archive, pytest.raises(CorruptArchive, match="refers to itself"):
        archive["a", 0]
