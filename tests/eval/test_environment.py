"""Times taken on a busy machine are flagged."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fmapzip.eval import environment
from fmapzip.eval.environment import OtherPrograms, busy_note

SPIN = "import time\nwhile time.process_time() < 30: pass"


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="only Linux tells what others use")
def test_another_program_that_works_is_seen() -> None:
    busy = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(os.cpu_count() or 1)]
    try:
        others = OtherPrograms()
        time.sleep(1.5)
        share = others.share()
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert share is not None
    assert share > 0.3


def test_what_the_process_itself_uses_is_not_others(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([100.0, 108.0])
    monkeypatch.setattr(environment, "_busy_seconds", lambda: next(seconds))
    own = iter([5.0, 12.0])
    monkeypatch.setattr(environment, "_own_seconds", lambda: next(own))
    clock = iter([0.0, 10.0])
    monkeypatch.setattr(environment.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(environment.os, "cpu_count", lambda: 4)
    assert OtherPrograms().share() == pytest.approx(1 / 40)


def test_a_quiet_or_unknown_machine_needs_no_note() -> None:
    assert busy_note({"environment": {"others_cpu": 0.05}}) is None
    assert busy_note({"environment": {"others_cpu": None}}) is None
    assert busy_note({"environment": {}}) is None
