"""Measuring for a plan in shards: the plan is that of one run, and what is of another run is refused by name."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn

from fmapzip.cli.app import run
from fmapzip.codecs.context_rans import ContextRans
from fmapzip.codecs.zvc import Zvc
from fmapzip.errors import InvalidInput
from fmapzip.measurements import MeasurementCache, read_measurements, written
from fmapzip.planner import Budget, make_plan
from fmapzip.planner.shards import join_shards, measure_shard

CODECS = [ContextRans(level="fast"), Zvc()]
BUDGET = Budget("kl", 0.002)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 6)).eval()


@pytest.fixture(scope="module")
def images(network: nn.Module) -> list[tuple[Tensor, Tensor]]:
    torch.manual_seed(1)
    x = torch.nn.functional.avg_pool2d(torch.randn(16, 1, 14, 14), 3, 1) * 3
    with torch.no_grad():
        y = network(x).argmax(1)
    return [(x[i : i + 8], y[i : i + 8]) for i in (0, 8)]


@pytest.fixture(scope="module")
def shards(network: nn.Module, images: list[tuple[Tensor, Tensor]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the measurements of shards of 1, 2 and 5."""
    folder = tmp_path_factory.mktemp("shards")
    for count in (1, 2, 5):
        for i in range(count):
            state = folder / f"{i + 1}of{count}"
            measure_shard(network, images, BUDGET, (i, count), state, codecs=CODECS, metrics="classes")
    return folder


def of(folder: Path, count: int) -> list[Path]:
    return [folder / f"{i}of{count}" for i in range(1, count + 1)]


def test_any_number_and_order_of_shards_gives_the_plan_of_one_run(network, images, shards, tmp_path, monkeypatch):
    options = {"codecs": CODECS, "metrics": "classes"}
    whole = make_plan(network, images, BUDGET, state=tmp_path / "whole", **options)
    needed = set(read_measurements(tmp_path / "whole", "plan")[1])
    files = []
    for count in (1, 2, 5):
        assert join_shards(of(shards, count)[::-1], tmp_path / f"{count}.state") == 3
        found = read_measurements(tmp_path / f"{count}.state", "plan")
        files.append((found[0], sorted(found[1].items())))
    assert files[0] == files[1] == files[2]
    known = set(dict(files[0][1]))
    assert {name.split()[0] for name in known & needed} == {"rate", "distortion"}

    measured, get = [], MeasurementCache.get
    monkeypatch.setattr(MeasurementCache, "get", lambda self, name, work: get(
        self, name, lambda: measured.append(name) or work()))  # fmt: skip
    found = make_plan(network, images, BUDGET, state=tmp_path / "2.state", **options)
    assert found.plan.to_bytes() == whole.plan.to_bytes()
    assert set(measured) == needed - known
    assert not [name for name in measured if name.startswith("distortion")]


def test_what_is_missing_doubled_unfinished_or_of_another_run_is_refused_by_name(network, images, shards, tmp_path):
    output, (first, second) = tmp_path / "out", of(shards, 2)
    with pytest.raises(InvalidInput, match="1 of 2 shards are missing, the first is 1/2"):
        join_shards([second], output)
    with pytest.raises(InvalidInput, match=r"1of2 and .*1of2 are both shard 1/2"):
        join_shards([first, first], output)
    with pytest.raises(InvalidInput, match=r"3of5: not of the same run as .*1of2: shard 3/5, not 1/2"):
        join_shards([first, shards / "3of5"], output)
    conditions, results = read_measurements(second, "plan")
    other = tmp_path / "other"

    def changed(conditions, results):
        other.write_bytes(written("plan", conditions, results))
        return [first, other]

    for key in conditions:
        with pytest.raises(InvalidInput, match=rf"other: not of the same run as .*1of2 \(other {key}\)"):
            join_shards(changed({**conditions, key: "else"}, results), output)
    about = results["shard"][2]
    for what, words in (({"codecs": []}, "other codecs"), ({"lossless": True}, "another kind of budget")):
        with pytest.raises(InvalidInput, match=f"other: not of the same run as .*: of {words}"):
            join_shards(changed(conditions, {**results, "shard": [2, 2, {**about, **what}]}), output)
    with pytest.raises(InvalidInput, match="other is unfinished"):
        join_shards(changed(conditions, {k: v for k, v in results.items() if k != "shard is done"}), output)
    with pytest.raises(InvalidInput, match="other: not the measurements of a shard"):
        join_shards(changed(conditions, {k: v for k, v in results.items() if k != "shard"}), output)
    with pytest.raises(InvalidInput, match=r"1of2 is shard 1/2, not 2/2"):
        measure_shard(network, images, BUDGET, (1, 2), first, codecs=CODECS, metrics="classes")
    torch.manual_seed(3)
    again = nn.Sequential(*network[:-1], nn.Linear(32, 6)).eval()
    with pytest.raises(InvalidInput, match=r"1of2: measurements of something else \(other network\)"):
        measure_shard(again, images, BUDGET, (0, 2), first, codecs=CODECS, metrics="classes")
    assert not output.exists()


def test_an_interrupted_shard_goes_on(network, images, shards, tmp_path, monkeypatch):
    state, get, asked = tmp_path / "1of2", MeasurementCache.get, itertools.count()

    def stopping(self, name, work):
        if next(asked) == 9:
            raise KeyboardInterrupt
        return get(self, name, work)

    monkeypatch.setattr(MeasurementCache, "get", stopping)
    for _ in range(2):
        try:
            measure_shard(network, images, BUDGET, (0, 2), state, codecs=CODECS, metrics="classes")
        except KeyboardInterrupt:
            kept = state.read_bytes()
            with pytest.raises(InvalidInput, match="unfinished"):
                join_shards([state], tmp_path / "out")
    assert state.read_bytes().startswith(kept)
    assert state.read_bytes() == (shards / "1of2").read_bytes()


def test_the_commands_make_the_plan_of_one_command(tmp_path, capsys):
    plan = ["plan", "demo", "demo", "--max-kl", "0.05", "--codec", "zvc", "--limit", "40", "--torch-threads", "1"]
    for i in (1, 2):
        assert run([*plan, "--shard", f"{i}/2", "-o", str(tmp_path / f"{i}.shard")]) == 0
    assert "1.shard: shard 1/2, measurements of 4 maps" in capsys.readouterr().out
    state = tmp_path / "all.state"
    assert run(["merge", str(tmp_path / "2.shard"), str(tmp_path / "1.shard"), "-o", str(state)]) == 0
    assert "measurements of 7 maps by 2 shards" in capsys.readouterr().out
    reports = []
    for name, more in (("whole", []), ("joined", ["--state", str(state)])):
        report = tmp_path / f"{name}.json"
        assert run([*plan, *more, "-o", str(tmp_path / f"{name}.fmzp"), "--json", str(report)]) == 0
        reports.append(json.loads(report.read_text()))
    assert (tmp_path / "joined.fmzp").read_bytes() == (tmp_path / "whole.fmzp").read_bytes()
    assert reports[0]["taps"] == reports[1]["taps"]
    assert run(["merge", str(tmp_path / "1.shard")]) == 3
    assert "give -o FILE alone" in capsys.readouterr().err
    assert run([*plan, "--shard", "1/2", "--time-limit", "5", "-o", str(tmp_path / "x")]) == 3
    assert "--time-limit is of the run that makes the plan" in capsys.readouterr().err
