"""How the process ends: interrupted while it starts, without a reader, with a full disk behind stdout."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fmapzip
from fmapzip.archive import ArchiveWriter
from interrupts import heed_interrupts

COMMAND = [sys.executable, "-m", "fmapzip"]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    with ArchiveWriter(tmp_path / "x.fmz") as out:
        for i in range(40):
            out.add(f"größe {i}", 0, fmapzip.encode(np.zeros((2, 3, 3), np.uint8)))
    return tmp_path / "x.fmz"


@pytest.mark.parametrize("module", ["numpy", "typer", "rich"])
def test_an_interrupt_while_importing_ends_without_a_traceback(tmp_path: Path, module: str) -> None:
    (tmp_path / f"{module}.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(5)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [*COMMAND, "--version"],
        capture_output=True,
        env=environment,
        check=False,
        preexec_fn=heed_interrupts,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_a_reader_that_left_is_no_error(archive: Path, arguments: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        done = subprocess.run(
            [*COMMAND, "inspect", archive, *arguments], stdout=closed, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_a_full_disk_behind_stdout_is_told(archive: Path, arguments: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, "inspect", archive, *arguments], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 3
    assert b"No space left" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_names_are_printed_where_stdout_cannot_encode_them(archive: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*COMMAND, "inspect", archive], capture_output=True, env=environment, check=False)
    assert done.returncode == 0
    assert rb"gr\xf6\xdfe 7" in done.stdout


def test_public_names_are_there_though_they_are_imported_when_used() -> None:
    code = (
        "import fmapzip, sys; assert 'numpy' not in sys.modules; assert set(fmapzip.__all__) <= set(dir(fmapzip));"
        "[getattr(fmapzip, name) for name in fmapzip.__all__];"
        "fmapzip.errors.CorruptFrame; fmapzip.registry.make('zvc'); fmapzip._core.simd()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_warnings_are_one_line_each() -> None:
    code = """
import warnings
from fmapzip.cli.app import app, main
app.command("warns")(lambda: warnings.warn("a line\\n of two"))
main()
"""
    done = subprocess.run([sys.executable, "-c", code, "warns"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "fmapzip: note: a line of two\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("becomes", ["pass", "raise ValueError from None"])
def test_a_signal_that_something_swallowed_ends_the_run_all_the_same(
    number: signal.Signals, code: int, becomes: str
) -> None:
    program = f"""
import signal
from fmapzip.cli import exits, progress
from fmapzip.cli.app import app, run
def work(**_):
    try:
        signal.raise_signal({int(number)})
    except BaseException:
        {becomes}
    progress.lines()("work", 1, 2)
    raise AssertionError("went on")
app.command("work")(lambda: work())
exits.stop_on_signals()
raise SystemExit(run(["work"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        stderr=subprocess.PIPE,
        text=True,
        timeout=100,
        check=False,
        preexec_fn=heed_interrupts,
    )
    assert done.returncode == code, done.stderr
    assert "internal error" not in done.stderr
