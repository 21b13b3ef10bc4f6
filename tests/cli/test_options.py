"""One grammar of codecs, one request and one way out for every command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fmapzip import baselines, registry
from fmapzip.archive import Archive
from fmapzip.cli.app import run

COMMANDS = ("eval", "demo", "plan", "bench", "capture", "export", "encode", "decode", "inspect", "codecs")


@pytest.mark.parametrize("command", COMMANDS)
def test_short_help_is_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "-h"]) == 0
    short = capsys.readouterr().out
    assert run([command, "--help"]) == 0
    assert short == capsys.readouterr().out
    assert short.startswith(f"Usage: fmapzip {command}")


@pytest.mark.parametrize("command", ["eval", "plan", "bench", "capture", "encode"])
def test_codecs_are_written_in_one_way(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "-h"]) == 0
    assert "--codec NAME[:key=value,...]" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["plan", "bench"])
def test_the_old_spelling_is_gone(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "demo", "demo", "--codecs", "zvc"]) == 2
    assert "--codec" in capsys.readouterr().err


def test_options_that_belong_together_stand_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "-h"]) == 0
    titles = [line for line in capsys.readouterr().out.splitlines() if line.endswith(":") and line[0] != " "]
    assert {"Budget (give one):", "Codecs:", "Network and images:", "Running:", "Search:", "Reports:"} <= set(titles)
    assert len(titles) == len(set(titles))


def test_every_codec_is_listed_with_its_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["codecs"]) == 0
    out = capsys.readouterr().out
    assert all(f"  {name} (" in out for name in [*registry.names(), *baselines.names()])
    assert "      group=8\n" in out
    assert "Channels of one transform." in out


def test_codecs_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["codecs", "zvc"]) == 0
    assert "dct-cm" not in capsys.readouterr().out
    assert run(["codecs", "gzip"]) == 2
    assert "no codec 'gzip'" in capsys.readouterr().err


def test_bench_reads_a_baselines_settings_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("maps.npy", np.zeros((4, 8, 8), np.uint8))
    Path("small.json").write_text('{"block": 16}', "utf-8")
    assert run(["bench", "maps.npy", "--codec", "ebpc:@small.json", "--repeat", "1"]) == 0
    assert "ebpc" in capsys.readouterr().out


def test_capture_stores_by_the_codec_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    words = ["capture", "demo", "demo", "--limit", "10", "--images", "3", "--taps", "stages.0.*"]
    assert run([*words, "-o", "a.fmz"]) == 0
    assert run([*words, "-o", "b.fmz", "--codec", "context-rans:level=fast"]) == 0
    with Archive("a.fmz") as plain, Archive("b.fmz") as coded:
        assert {tap.codec.id for tap in coded.plan or ()} == {"context-rans"}
        name = plain.names[0]
        assert plain.samples(name) == coded.samples(name) == [0, 1, 2]
        assert (plain.read(name, 2) == coded.read(name, 2)).all()
    assert run([*words, "-o", "c.fmz", "--codec", "dct-cm"]) == 3
    assert not Path("c.fmz").exists()
