"""Exported Verilog in Icarus: one case a run."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fmapzip.hardware.blocks import BLOCKS
from fmapzip.hardware.cases import Case
from fmapzip.hardware.vectors import write_case

PARTS = (
    "forward-{}",
    "inverse-{}",
    "to-frequencies-{}",
    "to-positions-{}",
    "transform-{}-encoder",
    "transform-{}-decoder",
)
LONG = tuple(f"dct-cm-{part.format(length)}" for length in (16, 32) for part in PARTS)
"""What Icarus takes minutes for; `benchmarks/prove_blocks.py` plays them in Verilator."""
SLOW = (
    *(("dct-cm-forward-8", 1), ("dct-cm-forward-8", 8), ("dct-cm-inverse-8", 1)),
    *(("dct-cm-transform-8-encoder", 1), ("dct-cm-transform-8-decoder", 1), ("dct-cm-transform-8-decoder", 8)),
    *(("context-rans-channels-encoder", 4), ("context-rans-channels-decoder", 4)),
)


def has_simulator() -> bool:
    return shutil.which("iverilog") is not None


in_icarus = pytest.mark.skipif(not has_simulator(), reason="no iverilog")


def said(program: Path, case: Path, **options: int) -> str:
    """What the test bench prints on a case."""
    command = ["vvp", "-n", str(program), f"+case={case}", *(f"+{name}={value}" for name, value in options.items())]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout.strip()


@dataclass(frozen=True)
class Program:
    """A block with its test bench, and the folder of the case that it plays."""

    component: Any
    simulator: Path
    folder: Path

    def play(self, case: Case, budget: int = 200_000, **options: int) -> str:
        """What the test bench prints on a case."""
        write_case(self.component, case, self.folder)
        return said(self.simulator, self.folder, budget=budget, **options)


def chosen_blocks(lanes: int) -> list[tuple[str, int]]:
    """Blocks and values a cycle that tests play; of `context-rans` so many lanes."""
    return [
        (each.name, values)
        for each in BLOCKS
        for values in ((lanes,) if each.codec == "context-rans" else (1, 8))
        if values in each.widths and each.name not in LONG and (each.name, values) not in SLOW
    ]


def by_day(played: list[tuple[str, int]]) -> list[Any]:
    """These forms of blocks as parameters, all but the widest of each left to the night."""
    widest = dict(sorted(played, key=lambda form: form[1]))
    return [pytest.param(*form, marks=() if form[1] == widest[form[0]] else pytest.mark.slow) for form in played]
