"""Long work says how far it is, also where stderr is no terminal, and what an interrupted plan leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fmapzip.cli.app import run
from fmapzip.cli.progress import lines


def test_a_line_now_and_then_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter([0.0, 4.0, 12.0, 15.0, 23.0])
    advance = lines(clock=lambda: next(times))
    for done, total in ((1, 9), (3, 9), (4, 9), (5, None)):
        advance("evaluating", done, total)
    assert capsys.readouterr().err == "fmapzip: evaluating: 3 of 9\nfmapzip: evaluating: 5\n"


def test_an_interrupted_plan_says_that_its_measurements_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    import fmapzip.planner

    def stopped(*_: Any, state: Path, **__: Any) -> None:
        state.write_text("{}\n", "utf-8")
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fmapzip.planner, "make_plan", stopped)
    assert run(["plan", "demo", "demo", "--limit", "10", "--max-kl", "1", "-o", "p.fmzp"]) == 130
    assert "what was measured is kept in p.fmzp.state: the same command goes on from it" in capsys.readouterr().err


def test_lossless_and_lossy_codecs_stand_apart(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    words = ["--codec", "dct-cm", "--codec", "zvc", "--limit", "10", "--taps", "stages.0.*"]
    assert run(["eval", "demo", "demo", *words]) == 0
    table = capsys.readouterr().out.partition("size and speed")[2].splitlines()
    starts = [line.split()[0] for line in table if line.strip()]
    assert starts.index("lossless:") < starts.index("zvc") < starts.index("lossy:") < starts.index("dct-cm")
