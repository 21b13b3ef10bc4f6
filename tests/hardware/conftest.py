"""Blocks as Verilog and as programs: each is made once, for all processes of a run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from verilog_runs import Program


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """A file of a name, written by the first process that asks for it."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "hardware"
    folder.mkdir(exist_ok=True)

    def file(name: str, write: Callable[[Path], object]) -> Path:
        target, part = folder / name, folder / f"{name}.part"
        with FileLock(folder / f"{name}.lock"):
            if not target.exists():
                write(part)
                part.rename(target)
        return target

    return file


@pytest.fixture(scope="session", autouse=True)
def converted_once(kept: Callable[[str, Callable[[Path], object]], Path]) -> Iterator[None]:
    """Amaranth takes seconds for a block's Verilog, and commands and tests ask for the same ones."""
    pytest.importorskip("amaranth")
    from fmapzip.hardware import vectors
    from fmapzip.hardware.verilog import verilog

    def remembered(component: Any, name: str) -> str:
        settings = {key: value for key, value in vars(component).items() if isinstance(value, int)}
        key = sha256(repr((type(component).__name__, settings)).encode()).hexdigest()[:12]
        return kept(f"{name}-{key}.v", lambda file: file.write_text(verilog(component, name), "utf-8")).read_text()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vectors, "verilog", remembered)
        yield


@pytest.fixture(scope="session")
def compiled(kept: Callable[[str, Callable[[Path], object]], Path]) -> Callable[[Path], Path]:
    """The program of a folder's block and test bench."""

    def program(folder: Path) -> Path:
        sources = sorted(folder.glob("*.*v"))
        key = sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:20]
        command = ["iverilog", "-g2012", *map(str, sources), "-o"]
        return kept(key, lambda file: subprocess.run([*command, str(file)], check=True))

    return program


@pytest.fixture(scope="session")
def programs(
    tmp_path_factory: pytest.TempPathFactory, compiled: Callable[[Path], Path]
) -> Callable[[str, int], Program]:
    """Blocks, of so many values a cycle, as programs."""
    from fmapzip.hardware.blocks import block
    from fmapzip.hardware.vectors import write_block

    @cache
    def program(name: str, values: int) -> Program:
        folder = tmp_path_factory.mktemp(name)
        component = write_block(block(name), values, folder)
        return Program(component, compiled(folder), folder / "case")

    return program
