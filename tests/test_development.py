"""Development takes one command each, and CI runs those commands."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def sessions() -> set[str]:
    return set(re.findall(r"@nox\.session\ndef (\w+)", (ROOT / "noxfile.py").read_text("utf-8")))


def test_every_task_has_a_session() -> None:
    wanted = {"tests", "lint", "types", "sanitizers", "fuzz", "docs", "benchmarks", "coverage"}
    assert wanted <= sessions()


def test_ci_runs_sessions_that_exist() -> None:
    named = re.search(r"for session in (.+); do", (ROOT / ".ci/run").read_text("utf-8"))
    assert named is not None
    assert set(named[1].split()) <= sessions()


def test_contributing_tells_of_every_session() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    told = set(" ".join(re.findall(r"`nox -s ([a-z_ ]+?)(?: --[^`]*)?`", text)).split())
    assert told == sessions()


def test_hooks_download_nothing() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    assert re.findall(r"repo: (\S+)", text) == ["local"]
    assert set(re.findall(r"language: (\S+)", text)) == {"system"}
