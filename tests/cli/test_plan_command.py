"""The command ``fmapzip plan``: a plan file that ``eval`` runs, reports, exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from fmapzip.cli.app import run
from fmapzip.cli.exits import Exit
from fmapzip.plan import Plan

NETWORK = """
import torch
from torch import nn


def network():
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(32, 4)).eval()
"""


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A folder, and the arguments that name a small network and its images."""
    folder = tmp_path_factory.mktemp("job")
    (folder / "net.py").write_text(NETWORK)
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    for i in range(20):
        np.save(folder / "images" / f"{i}.npy", rng.normal(0, 1, (1, 12, 12)).astype(np.float32))
    rows = "".join(f"{i}.npy,{i % 4}\n" for i in range(20))
    (folder / "images" / "labels.csv").write_text("file,label\n" + rows)
    where = [f"{folder / 'net.py'}:network", str(folder / "images"), "--preprocess", "none", "--calib", "every:2"]
    return folder, [*where, "--metrics", "classes"]


def test_a_plan_is_written_reported_and_run(job: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    folder, where = job
    plan, report, page = (folder / name for name in ("out.fmzp", "plan.json", "plan.html"))
    code = run(["plan", *where, "-o", str(plan), "--max-kl", "0.001", "--json", str(report), "--html", str(page)])
    assert code == Exit.OK
    found = json.loads(report.read_text())
    assert found["met"]
    assert found["plan"]["hash"] == Plan.load(plan).hash.hex()
    assert [tap["name"] for tap in found["taps"]] == ["2", "6"]
    assert all(tap["choice"]["bytes"] > 0 and tap["candidates"] for tap in found["taps"])
    assert page.read_text().startswith("<!doctype html>")
    assert not (folder / "out.fmzp.state").exists()
    assert "at most 0.001 nats" in capsys.readouterr().out

    evaluated = folder / "eval.json"
    assert run(["eval", *where, "--plan", str(plan), "--json", str(evaluated)]) == Exit.OK
    entry = json.loads(evaluated.read_text())["codecs"][0]
    assert entry["kl_vs_float"] < 0.01
    assert entry["ratio_payload"] > 1


def test_a_budget_that_cannot_be_met_has_its_own_exit_code_and_still_gives_a_plan(job: tuple[Path, list[str]]) -> None:
    folder, where = job
    plan = folder / "tight.fmzp"
    arguments = ["--codec", "zvc", "--max-bytes", "10", "--state", str(folder / "kept.state")]
    assert run(["plan", *where, "-o", str(plan), *arguments]) == Exit.UNMET
    assert len(Plan.load(plan)) == 2
    assert (folder / "kept.state").exists()


def test_budgets_exclude_each_other_and_one_is_needed(
    job: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, where = job
    for budgets in ([], ["--max-kl", "0.1", "--min-ratio", "3"]):
        assert run(["plan", *where, "-o", str(folder / "none.fmzp"), *budgets]) == Exit.INPUT
        assert "give one budget" in capsys.readouterr().err
    assert not (folder / "none.fmzp").exists()


def test_measurements_are_not_kept_where_the_plan_goes(
    job: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    plan = str(job[0] / "one.fmzp")
    assert run(["plan", *job[1], "-o", plan, "--max-kl", "0", "--state", plan]) == Exit.INPUT
    assert "two outputs of this command are named so" in capsys.readouterr().err


def test_a_state_file_that_is_none_is_refused_and_left_alone(
    job: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, where = job
    state, plan = folder / "state", folder / "refused.fmzp"
    for foreign in ("my notes\n", "without a newline", "file,label\n1,2\n"):
        state.write_text(foreign)
        assert run(["plan", *where, "-o", str(plan), "--max-kl", "0", "--state", str(state)]) == Exit.INPUT
        assert state.read_text() == foreign
    assert not plan.exists()
    assert "left alone" in capsys.readouterr().err
    state.unlink()
    assert run(["plan", *where, "-o", str(plan), "--max-kl", "0", "--state", str(state)]) == Exit.OK
    lines = state.read_text().splitlines()
    state.write_text("\n".join([lines[0], lines[1].replace("joint", "jaint"), *lines[2:]]) + "\n")
    assert run(["plan", *where, "-o", str(plan), "--max-kl", "0", "--state", str(state)]) == Exit.INPUT
    assert "damaged" in capsys.readouterr().err


def test_every_stage_of_planning_says_how_much_there_is(
    job: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, where = job
    totals: dict[str, int | None] = {}

    @contextmanager
    def recorded() -> Iterator[Callable[[str, int, int | None], None]]:
        yield lambda stage, done, total: totals.__setitem__(stage, total)

    monkeypatch.setattr("fmapzip.cli.progress.progress", recorded)
    assert run(["plan", *where, "-o", str(folder / "told.fmzp"), "--max-kl", "0.001"]) == Exit.OK
    assert totals["calibrating quantizers"] == 10
    assert None not in totals.values()
