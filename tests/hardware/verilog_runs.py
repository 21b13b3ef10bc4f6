"""Exported Verilog in Icarus: compiled once, then one case a run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


def has_simulator() -> bool:
    return shutil.which("iverilog") is not None


def compiled(folder: Path) -> Path:
    """The program of a folder's block and test bench."""
    sources = sorted(str(path) for path in folder.glob("*.*v"))
    subprocess.run(["iverilog", "-g2012", "-o", str(folder / "sim"), *sources], check=True)
    return folder / "sim"


def said(program: Path, case: Path, **options: int) -> str:
    """What the test bench prints on a case."""
    command = ["vvp", "-n", str(program), f"+case={case}", *(f"+{name}={value}" for name, value in options.items())]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout.strip()
