import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("ray")
pytest.importorskip("torch")
pytest.importorskip("sklearn")

from fmapzip.cli.app import run
from fmapzip.torch import FeatureStore

EVAL = [
    "eval",
    "demo",
    "demo",
    "--codec",
    "zvc",
    "--metric",
    "top1",
    "--limit",
    "60",
    "--batch",
    "4",
    "--torch-threads",
    "1",
]
FEW = ["--limit", "24", "--batch", "4"]
TIMES = {
    *("seconds", "encode_mb_per_s", "decode_mb_per_s", "others_cpu"),
    *("encode_seconds", "decode_seconds", "encode_spread", "decode_spread", "peak_bytes"),
}


def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(each) for key, each in value.items() if key not in TIMES}
    return [without_times(each) for each in value] if isinstance(value, list) else value


@pytest.fixture(autouse=True)
def as_urgent_as_other_processes(monkeypatch):
    """Ray's workers are nice, and stand still beside other tests."""
    monkeypatch.setenv("RAY_worker_niceness", "0")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    file = tmp_path_factory.mktemp("whole") / "whole.json"
    assert run([*EVAL, "--json", str(file)]) == 0
    return without_times(json.loads(file.read_text()))


def parent(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def at_a_shard(driver: int) -> list[int]:
    """The driver's workers that are evaluating a shard: Ray gives them its name as their title."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            if (each / "cmdline").read_bytes().startswith(b"ray::shard"):
                found += [int(each.name)] * (parent(parent(int(each.name))) == driver)
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended meanwhile
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_a_worker_that_is_killed_changes_nothing_in_the_report(whole, tmp_path):
    file = tmp_path / "ray.json"
    arguments = [*EVAL, "--ray", "local", "--workers", "2", "--shards", "5", "--json", str(file)]
    process = subprocess.Popen([sys.executable, "-m", "fmapzip", *arguments], stdout=subprocess.PIPE, text=True)
    until = time.monotonic() + 120
    killed = False
    while process.poll() is None and not killed and time.monotonic() < until:
        for worker in at_a_shard(process.pid)[:1]:
            os.kill(worker, signal.SIGKILL)
            killed = True
        time.sleep(0.05)
    said, _ = process.communicate()
    assert process.returncode == 0, said
    assert killed
    assert "5 shards on 2 workers of at most" in said
    assert without_times(json.loads(file.read_text())) == whole


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder; and Ray, started once for several commands."""
    import ray

    monkeypatch.chdir(tmp_path)
    ray.init(address="local", num_cpus=2, log_to_driver=False, logging_level="ERROR")
    yield ["--ray", "local", "--workers", "2", "--shards"]
    ray.shutdown()


def kept(store):
    found = FeatureStore(store, integers=True)
    return {name: {tap: each.tolist() for tap, each in found[i][0].items()} for i, name in enumerate(found.names)}


def test_benches_plans_and_stores_made_on_ray_are_those_of_one_run(here, capsys):
    bench = ["bench", "demo", "demo", *FEW, "--codec", "zvc", "--codec", "jpeg-act", "--repeat", "1", "--json"]
    assert run([*bench, "one.json"]) == 0
    assert run([*bench, "ray.json", *here, "3"]) == 0
    one, many = (without_times(json.loads(Path(name).read_text())) for name in ("one.json", "ray.json"))
    assert many == one
    plan = ["plan", "demo", "demo", "--limit", "24", "--torch-threads", "1", "--codec", "zvc", "--max-kl", "0.01", "-o"]
    assert run([*plan, "one.fmzp"]) == 0
    assert run([*plan, "ray.fmzp", *here, "2"]) == 0
    assert Path("ray.fmzp").read_bytes() == Path("one.fmzp").read_bytes()
    assert not Path("ray.fmzp.state").exists()
    capture = ["capture", "demo", "demo", *FEW, "--torch-threads", "1", "-o"]
    assert run([*capture, "one"]) == 0
    capsys.readouterr()
    assert run([*capture, "ray", *here, "3"]) == 0
    assert "24 images of 7 taps, 24 of them new\n3 shards on 2 workers" in capsys.readouterr().out
    assert kept("ray") == kept("one")


def test_what_a_worker_refuses_is_the_error_of_the_command(capfd):
    assert run([*EVAL[:2], "nowhere", "--ray", "local", "--workers", "1", "--shards", "2"]) == 3
    assert "nowhere" in capfd.readouterr().err


def test_options_of_ray_belong_together(capfd):
    assert run([*EVAL, "--workers", "2"]) == 3
    assert run([*EVAL, "--ray", "local", "--shard", "1/2", "-o", "shard.json"]) == 3
    assert "--ray" in capfd.readouterr().err
    plan = ["plan", "demo", "demo", "--max-kl", "0.01", "-o", "plan.fmzp", "--ray", "local"]
    assert run([*plan, "--time-limit", "10"]) == 3
    assert "without --time-limit" in capfd.readouterr().err
    assert run(["capture", "demo", "demo", "-o", "maps.fmz", "--ray", "local"]) == 3
    assert "name a folder" in capfd.readouterr().err
