"""Cycles a value that llvm-mca estimates for the kernels: AVX2's on Zen 4, NEON's on Neoverse N1 and Cortex-A76.

    nox -s emulated                                  # builds build/native/frames and build/aarch64/frames
    python benchmarks/cycles.py trunk.fmz TAP --json benchmarks/results/cycles.json

The program `frames` decodes or encodes one map under qemu-user, whose plugin counts how often each block of its code
runs. Instructions that follow one another and run as often are a piece; llvm-mca says what a piece takes when it is
repeated. Pieces are taken, those of the most instructions first, until they are 98 % of what ran. Their cycles, times
how often they ran, are the estimate: caches always hit, branches are always foreseen, and pieces do not overlap. A
`rep stos` is a store for each word, without what it takes to begin.
Debian: qemu-user, llvm-19, readelf.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import load_maps, write_result
from instructions import ARM_FILES, CODECS, MORE, ROOT, compiled_plugin, write_frame

SHARE = 0.98
ALIKE = 0.02
"""How much the counts of neighbours in a piece may differ."""
STORED_WORD = "movq %rax, (%rdi)"
"""For `rep stos`, which the emulator counts word by word."""


@dataclass(frozen=True)
class Machine:
    """An instruction set: where it is emulated, and the processors that its cycles are estimated for."""

    simd: str
    emulator: tuple[str, ...]
    program: Path
    triple: str
    processors: tuple[str, ...]


MACHINES = (
    Machine("avx2", ("qemu-x86_64", "-cpu", "max"), ROOT / "build/native/frames", "x86_64", ("znver4",)),
    Machine(
        "neon_dot",
        ("qemu-aarch64", "-L", ARM_FILES),
        ROOT / "build/aarch64/frames",
        "aarch64",
        ("neoverse-n1", "cortex-a76"),
    ),
)


@dataclass(frozen=True)
class Code:
    """The instructions of a program: addresses, what stands there, and the function that each is of."""

    addresses: list[int]
    text: list[str]
    function: list[str]


def disassembled(program: Path) -> Code:
    """The instructions of a program, as llvm-mca reads them: jumps lead to 0, which it does not follow."""
    listing = run("llvm-objdump-19", "-d", "--no-show-raw-insn", str(program))
    code, name = Code([], [], []), ""
    for line in listing.splitlines():
        if head := re.match(r"[0-9a-f]+ <(.*)>:$", line):
            name = head[1]
        elif found := re.match(r"\s*([0-9a-f]+):\s+(\S.*)$", line):
            text = re.sub(r"0x[0-9a-f]+ <[^>]*>", "0", found[2])
            text = re.sub(r"^rep\s+stos.*", STORED_WORD, text)
            code.addresses.append(int(found[1], 16))
            code.text.append(re.sub(r"\s*(#|//) .*$", "", text))
            code.function.append(name)
    return code


def executed(machine: Machine, plugin: Path, what: str, times: int, frame: Path, code: Code) -> dict[int, int]:
    """How often each instruction of the program ran."""
    blocks = frame.with_suffix(".blocks")
    command = [*machine.emulator, "-plugin", f"{plugin},blocks={blocks}", str(machine.program)]
    environment = {**os.environ, "FMAPZIP_SIMD": machine.simd}
    subprocess.run([*command, what, str(times), str(frame)], env=environment, check=True, capture_output=True)
    begin, *lines = blocks.read_text().splitlines()
    moved = int(begin) - code_begin(machine.program)
    place = {address: i for i, address in enumerate(code.addresses)}
    found: dict[int, int] = defaultdict(int)
    for line in lines:
        first, size, count = map(int, line.split())
        at = place.get(first - moved)
        while at is not None and at < len(code.addresses) and code.addresses[at] < first - moved + size:
            found[at] += count
            at += 1
    return found


def code_begin(program: Path) -> int:
    """Where the segment of a program begins that is executed."""
    headers = run("readelf", "-lW", str(program))
    found = re.search(r"LOAD\s+\S+\s+(0x[0-9a-f]+)(?:\s+\S+){3}\s+R E", headers)
    assert found is not None, headers
    return int(found[1], 16)


def pieces(counts: dict[int, float], code: Code) -> list[list[int]]:
    """Instructions that follow one another in a function and run as often, the most executed ones first."""
    found: list[list[int]] = []
    for at in sorted(counts):
        last = found[-1][-1] if found else -2
        alike = last == at - 1 and abs(counts[at] - counts[last]) <= ALIKE * counts[last]
        if alike and code.function[at] == code.function[last]:
            found[-1].append(at)
        else:
            found.append([at])
    return sorted(found, key=lambda piece: -sum(counts[at] for at in piece))


def estimated(machine: Machine, processor: str, chosen: list[list[int]], code: Code) -> list[float]:
    """Cycles of each piece when it is repeated."""
    text = "".join(
        f"# LLVM-MCA-BEGIN p{i}\n" + "".join(f"{code.text[at]}\n" for at in piece) + "# LLVM-MCA-END\n"
        for i, piece in enumerate(chosen)
    )
    command = ["llvm-mca-19", "--json", f"-mtriple={machine.triple}", f"-mcpu={processor}", "--call-latency=1"]
    done = subprocess.run(
        [*command, "--skip-unsupported-instructions=any"], input=text, text=True, check=True, capture_output=True
    )
    regions = {region["Name"]: region["SummaryView"] for region in json.loads(done.stdout)["CodeRegions"]}
    summaries = [regions[f"p{i}"] for i in range(len(chosen))]
    return [summary["TotalCycles"] / summary["Iterations"] for summary in summaries]


def measured(machine: Machine, plugin: Path, what: str, frame: Path, values: int, code: Code) -> dict[str, float]:
    """Instructions and cycles a value, and the share of the instructions that the cycles are of."""
    once, more = (executed(machine, plugin, what, times, frame, code) for times in (1, 1 + MORE))
    counts = {at: (count - once.get(at, 0)) / MORE for at, count in more.items() if count > once.get(at, 0)}
    total = sum(counts.values())
    chosen, covered = [], 0.0
    for piece in pieces(counts, code):
        if covered >= SHARE * total:
            break
        chosen.append(piece)
        covered += sum(counts[at] for at in piece)
    found = {f"{machine.simd}_instructions": total / values, f"{machine.simd}_share": covered / total}
    for processor in machine.processors:
        cycles = estimated(machine, processor, chosen, code)
        of_all = sum(each * counts[piece[0]] for each, piece in zip(cycles, chosen, strict=True))
        found[processor] = of_all / values
    return {name: round(value, 3) for name, value in found.items()}


def run(*command: str) -> str:
    """Standard output of a command that must succeed."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("tap")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    _, maps = load_maps(arguments.archive)
    q = maps[arguments.tap][0]
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        plugin = compiled_plugin(Path(name))
        codes = {machine.simd: disassembled(machine.program) for machine in MACHINES}
        for spec in CODECS:
            frame = Path(name, "frame")
            write_frame(spec, arguments.tap, maps, frame)
            for what in ("encode", "decode"):
                row: dict[str, Any] = {"codec": spec, "what": what}
                for machine in MACHINES:
                    row |= measured(machine, plugin, what, frame, q.size, codes[machine.simd])
                rows.append(row)
                print(row, flush=True)
    if arguments.json:
        tool = next(line.strip() for line in run("llvm-mca-19", "--version").splitlines() if "version" in line)
        told = {"archive": arguments.archive.stem, "tap": arguments.tap, "shape": list(q.shape), "tool": tool}
        write_result(arguments.json, "cycles", {**told, "rows": rows})


if __name__ == "__main__":
    main()
