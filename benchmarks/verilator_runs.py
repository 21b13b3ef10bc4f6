"""Blocks' Verilog in Verilator: built once, then a case a run, and which lines ran and which bits changed meanwhile."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from zlib import crc32

from fmapzip.hardware import Block
from fmapzip.hardware.vectors import write_block

MAIN = Path(__file__).with_name("verilator_main.cpp")
DEPTH = 1 << 16
"""Words that a stream of a case may have: the tiles are small, and simulators clear all of them."""
OPTIMISED = "OPT_FAST=-O1 OPT_SLOW=-O0"
"""For the compiler: large blocks take minutes at -O3, and run for seconds."""
FEW_FILES = "--output-split 200000 --output-split-cfuncs 20000"
"""For Verilator: each file that it writes reads a header of thousands of signals."""
POINT = re.compile(r"\x01f\x02(?P<file>[^\x01]*)\x01.*?\x01page\x02v_(?P<kind>line|branch|toggle)/")


class Program:
    """A block with its test bench, as a program.

    Attributes
    ----------
    component : the block's, of Amaranth
    checksum : CRC-32 of its Verilog
    activity : share of the bits of its signals that change in a cycle, where nothing stalls
    """

    def __init__(self, block: Block, values: int, folder: Path, coverage: bool = False) -> None:
        self.component, module = write_block(block, values, folder), block.module_name(values)
        self.checksum = crc32((folder / f"{module}.v").read_bytes())
        self.folder, self._points, self._hit = folder, set[str](), set[str]()
        self._changes, self._cycles = 0, 0
        sources = [MAIN, folder / f"{module}.v", folder / f"{module}_tb.sv"]
        command = [
            "verilator",
            "--cc",
            "--exe",
            "--build",
            "--timing",
            "-O3",
            "-Wno-fatal",
            "-Wno-lint",
            *FEW_FILES.split(),
        ]
        command += ["--coverage-line", "--coverage-toggle"] if coverage else []
        command += ["--top-module", "testbench", f"-GDEPTH={DEPTH}", "-MAKEFLAGS", OPTIMISED]
        command += ["-Mdir", str(folder / "obj"), "-o", "sim"]
        subprocess.run([*command, *map(str, sources)], check=True, capture_output=True)
        self.coverage = coverage

    def said(self, case: Path, **options: int) -> str:
        """What the test bench prints."""
        plus = [f"+{name}={value}" for name, value in options.items()]
        found = self.folder / "coverage.dat"
        command = [self.folder / "obj" / "sim", f"+case={case}", *plus]
        command += [f"+coverage={found}"] if self.coverage else []
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
        told = done.stdout.splitlines()[0]
        if self.coverage:
            changes = self._note(found)
            if told.startswith("PASS") and "stall" not in options:
                self._changes += changes
                self._cycles += int(told.split()[2])
        return told

    def _note(self, found: Path) -> int:
        """Add what a run has reached, but for the test bench's own points; gives how often bits changed."""
        changes = 0
        for line in found.read_text("latin-1").splitlines():
            point = POINT.search(line)
            if point is None or not point["file"].endswith(".v"):
                continue
            key, _, count = line.rpartition("' ")
            self._points.add(key)
            if int(count):
                self._hit.add(key)
                changes += int(count) if point["kind"] == "toggle" else 0
        return changes

    @property
    def activity(self) -> float:
        return self._changes / max(1, self._cycles * self.reached(("toggle",))[1])

    def reached(self, kinds: tuple[str, ...]) -> tuple[int, int]:
        """Of the points of these kinds (`line`, `branch`, `toggle`) so many were reached, and so many there are."""
        of_kind = {key for key in self._points if (found := POINT.search(key)) and found["kind"] in kinds}
        return len(of_kind & self._hit), len(of_kind)
