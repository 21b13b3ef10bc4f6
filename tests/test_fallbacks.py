"""Levels that a plan, or a frame without one, cannot give: who asked is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fmapzip
from fmapzip import registry
from fmapzip.bench.methods import OurMethod
from fmapzip.bench.run import bench
from fmapzip.bench.source import FileSource
from fmapzip.bench.specs import choose
from fmapzip.bench.table import render
from fmapzip.fallbacks import fallbacks_of, without_plan
from strategies import related

LEVELS = ("fast", "default", "max", "ultra")


@pytest.fixture(scope="module")
def trained() -> dict[str, bytes]:
    maps = np.stack([related((16, 5, 4), 0, seed) for seed in range(2)])
    return {level: registry.make("context-rans", level=level).train(maps) for level in LEVELS}


def plan_of(asked: str, *made: bytes) -> fmapzip.Plan:
    quantizer, codec = fmapzip.QuantParams("uint8", (1.0,)), registry.make("context-rans", level=asked)
    return fmapzip.Plan(
        tuple(fmapzip.TapPlan(f"tap{i}", (16, 5, 4), quantizer, codec, each) for i, each in enumerate(made))
    )


@pytest.mark.parametrize("level", LEVELS)
def test_parameters_tell_their_level(level: str, trained: dict[str, bytes]) -> None:
    codec = registry.make("context-rans", level=level)
    assert codec.made_of(trained[level]) == codec
    assert codec.path_taken(trained[level]) == (level if level in ("max", "ultra") else "")
    assert fallbacks_of(plan_of(level, trained[level])) == ()


def test_a_plan_tells_which_maps_fell_back_to_which_level(trained: dict[str, bytes]) -> None:
    plan = plan_of("ultra", *(trained[level] for level in ("ultra", "max", "default", "max")))
    assert fallbacks_of(plan) == (
        "context-rans, level=ultra: 2 of 4 maps have level=max, 1 of 4 maps has level=default: "
        "a plan may take 1 % of the maps that it is made from",
    )


def test_a_bench_of_files_has_no_plan_and_says_what_that_means(tmp_path: Path) -> None:
    path = tmp_path / "map.npy"
    np.save(path, related((16, 8, 8), 0, 1))
    source = FileSource([path], "minmax")
    report = bench(source, choose(["context-rans", "context-rans:level=ultra"]), 1, 1, lambda *_: None)
    source.close()
    notes = {entry["label"]: entry["notes"] for entry in report["codecs"]}
    assert notes["context-rans"] == []
    assert notes["context-rans:level=ultra"] == list(without_plan(registry.make("context-rans", level="ultra")))
    assert render(report) is not None


def test_every_level_is_among_the_methods_of_a_bench() -> None:
    levels = {
        method.codec.config()["level"]
        for method in choose(["ours"]).methods
        if isinstance(method, OurMethod) and method.codec is not None and method.codec.id == "context-rans"
    }
    assert levels == {"fast", "default", "max", "ultra"}
