"""Instructions a value of each instruction set: x86-64's counted by callgrind, AArch64's by a plugin of qemu-user.

    nox -s emulated                                  # builds build/aarch64/frames
    python benchmarks/instructions.py trunk.fmz TAP --json benchmarks/results/instructions.json

One map of an archive, as a frame with parameters trained on the tap's maps; the program `frames` of the core's tests
decodes or encodes it once and three times, and the difference counts. Debian: valgrind, qemu-user, and `cmake -S . -B
build/native -DFMAPZIP_TESTS=ON` for the native one. AVX-512 is unknown to valgrind.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from common import load_maps, trained_plan, write_result
from numpy.typing import NDArray

from fmapzip import _core
from fmapzip.eval.codec_spec import parse_codec

CODECS = (
    "zvc",
    "dct-cm:path=mask",
    "dct-cm:path=transform",
    "context-rans:level=fast",
    "context-rans",
    "context-rans:level=max",
    "context-rans:level=ultra",
)
ROOT = Path(__file__).parents[1]
SETS = {"scalar": "x86", "avx2": "x86", "neon": "arm", "neon_dot": "arm"}
ARM_FILES = "/usr/aarch64-linux-gnu"
MORE = 2  # repetitions that are counted


def compiled_plugin(folder: Path) -> Path:
    """The plugin of qemu-user that counts, compiled into a folder."""
    plugin = folder / "libinstructions.so"
    source = ROOT / "benchmarks" / "instructions_plugin.c"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", plugin, source], check=True)
    return plugin


def write_frame(spec: str, tap: str, maps: dict[str, list[NDArray[Any]]], frame: Path) -> None:
    """Write a tap's first map, by a codec with parameters trained on the tap's maps."""
    codec = parse_codec(spec)
    plan = trained_plan(codec, [tap], {tap: maps[tap]}, images=None)
    prepared = _core.Codec(codec.number, plan.taps[0].parameters)
    frame.write_bytes(_core.encode(maps[tap][0], prepared, b"", False, 0, b"", 0, 1))


def commands(folder: Path) -> dict[str, list[str]]:
    """The program that counts and what it runs, of each architecture."""
    emulator = ["qemu-aarch64", "-L", ARM_FILES, "-plugin", str(compiled_plugin(folder))]
    callgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    return {
        "x86": [*callgrind, str(ROOT / "build/native/frames")],
        "arm": [*emulator, str(ROOT / "build/aarch64/frames")],
    }


def executed(command: list[str], simd: str, what: str, times: int, frame: Path) -> int:
    """Instructions of a whole run."""
    done = subprocess.run(
        [*command, what, str(times), str(frame)],
        env={**os.environ, "FMAPZIP_SIMD": simd},
        check=True,
        capture_output=True,
        text=True,
    )
    found = re.search(r"Collected : (\d+)", done.stderr)
    assert found is not None, done.stderr
    return int(found[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("tap")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    _, maps = load_maps(arguments.archive)
    q = maps[arguments.tap][0]
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        counted = commands(Path(name))
        for spec in CODECS:
            frame = Path(name, "frame")
            write_frame(spec, arguments.tap, maps, frame)
            for what in ("encode", "decode"):
                row: dict[str, Any] = {"codec": spec, "what": what}
                for simd, architecture in SETS.items():
                    runs = [executed(counted[architecture], simd, what, n, frame) for n in (1, 1 + MORE)]
                    row[simd] = round((runs[1] - runs[0]) / MORE / q.size, 3)
                rows.append(row)
                print(row, flush=True)
    if arguments.json:
        write_result(
            arguments.json,
            "instructions",
            {
                "archive": arguments.archive.stem,
                "tap": arguments.tap,
                "images": len(maps[arguments.tap]),
                "shape": list(q.shape),
                "rows": rows,
            },
        )


if __name__ == "__main__":
    main()
