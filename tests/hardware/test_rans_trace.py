"""What cases of `context-rans` tell of the first steps of its lanes, from a store with a plan."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("amaranth")

import fmapzip
from fmapzip.archive import StoreWriter
from fmapzip.cli.app import run
from fmapzip.hardware.rans_trace import lane_steps
from fmapzip.hardware.tiles import tiles
from fmapzip.plan import Plan, TapPlan
from fmapzip.quantize import QuantParams
from fmapzip.reference.rans import FLOOR
from fmapzip.registry import make
from strategies import make_map

SHAPE = (16, 20, 20)
STEPS = 12


def map_of(seed: int) -> np.ndarray:
    return make_map(SHAPE, "sparse", np.uint8, seed)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    codec = make("context-rans")
    tables = codec.train(np.stack([map_of(seed) for seed in range(3)]))
    plan = Plan((TapPlan("conv", SHAPE, QuantParams("uint8", (0.1,)), codec, tables),))
    folder = tmp_path_factory.mktemp("store")
    with StoreWriter(folder, plan=plan, shard_bytes=1) as out:
        for seed in (3, 4):
            out.add(f"{seed}.png", {"conv": fmapzip.encode(map_of(seed), plan=plan, tap="conv")})
    return folder


def test_vectors_of_a_store_tell_the_states_of_the_first_steps(store: Path, tmp_path: Path) -> None:
    chosen = ["--values", "4", "--trace", str(STEPS), "-o", str(tmp_path)]
    assert run(["vectors", "context-rans-decoder", str(store), *chosen]) == 0
    cases = sorted(path.parent for path in tmp_path.glob("*/*/case.json"))
    assert len({case.name.partition("_map")[0] for case in cases}) == 2  # a shard for each image
    for case in cases:
        told = json.loads((case / "case.json").read_text())
        lanes, steps = told["trace"]["lanes"], told["trace"]["steps"]
        states = np.array([int(word, 16) for word in (case / "states.hex").read_text().split()]).reshape(lanes, -1)
        assert (states.shape, steps) == ((4, STEPS + 1), STEPS)
        assert (states[:, 0] == np.load(case / "body.npy")[: 4 * lanes].view("<u4")).all()
        for row in csv.DictReader((case / "states.csv").open()):
            assert states[int(row["lane"]), int(row["step"])] == int(row["state"])


@pytest.mark.parametrize("level", ["fast", "default", "max"])
def test_lanes_end_where_encoders_begin(level: str) -> None:
    for tile in tiles(fmapzip.encode(map_of(5), "context-rans", level=level)):
        lanes = lane_steps(tile, tile.values.size * 2)
        assert {steps[-1].state for steps in lanes} == {FLOOR}
        kinds = [step.symbol for steps in lanes for step in steps]
        assert kinds.count("flag") == tile.values.size
        assert kinds.count("token") == np.count_nonzero(tile.values)
