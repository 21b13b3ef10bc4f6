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
TIMES = {"seconds", "encode_mb_per_s", "decode_mb_per_s", "others_cpu"}


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


def test_what_a_worker_refuses_is_the_error_of_the_command(capfd):
    assert run([*EVAL[:2], "nowhere", "--ray", "local", "--workers", "1", "--shards", "2"]) == 3
    assert "nowhere" in capfd.readouterr().err


def test_options_of_ray_belong_together(capfd):
    assert run([*EVAL, "--workers", "2"]) == 3
    assert run([*EVAL, "--ray", "local", "--shard", "1/2", "-o", "shard.json"]) == 3
    assert "--ray" in capfd.readouterr().err
