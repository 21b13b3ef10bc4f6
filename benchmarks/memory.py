"""Peak memory of decoding a frame, and of `fmapzip eval` for few and for many images.

    python benchmarks/memory.py --json benchmarks/results/memory.json
    python benchmarks/memory.py --eval path/to/nets.py:squeezenet1_1 path/to/images \
        --json benchmarks/results/memory.json

Decoding is measured in a process of its own: the highest resident size during `decode` into a new array, above that
before it, less the output. The kernel counts resident pages in batches, so the median of several processes is taken.
Linux only (it reads /proc).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from common import write_result

import fmapzip
from fmapzip import _core, registry
from fmapzip.eval.codec_spec import parse_codec

DEFAULT_CODECS = ("raw", "zvc", "dct-cm:path=transform,coding=bitmap", "dct-cm:path=mask", "context-rans")
SHAPE = (256, 3584, 56)  # rows of the trunk's widest map, and so many that an allocator's noise is small beside 51 MB
PROCESSES = 9
EVAL_IMAGES = (40, 200)


def status_bytes(field: str) -> int:
    """A size from the process's status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no {field} in /proc/self/status")


def map_like_a_feature_map() -> np.ndarray[Any, Any]:
    """Half zeros, the rest smooth: its statistics only decide how large the payload is."""
    rng = np.random.default_rng(0)
    coarse = rng.normal(0, 40, (SHAPE[0], SHAPE[1] // 8, SHAPE[2] // 8)).astype(np.float32)
    return np.clip(coarse.repeat(8, 1).repeat(8, 2) + rng.normal(0, 4, SHAPE), 0, 255).astype(np.uint8)


def decode_peak(frame_file: Path) -> dict[str, int]:
    """Bytes above the output and the frame that decoding needed, in this process."""
    frame = frame_file.read_bytes()
    registry.by_number(_core.Frame(frame, 0, _core.MAX_VALUES, _core.MAX_PARAMETER_BYTES, False).number)
    fmapzip.decode(fmapzip.encode(np.zeros((4, 4, 4), np.uint8)))  # code that is loaded on first use is no part of it
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = status_bytes("VmRSS")
    output = fmapzip.decode(frame)
    return {"output_bytes": output.nbytes, "working_bytes": status_bytes("VmHWM") - before - output.nbytes}


def measure_decode(specs: list[str]) -> list[dict[str, Any]]:
    rows = []
    q = map_like_a_feature_map()
    with tempfile.TemporaryDirectory() as folder:
        for spec in specs:
            file = Path(folder) / "frame"
            file.write_bytes(fmapzip.encode(q, parse_codec(spec)))
            command = [sys.executable, __file__, "--frame", str(file)]
            runs = [subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True) for _ in range(PROCESSES)]
            found = sorted((json.loads(done.stdout) for done in runs), key=lambda each: int(each["working_bytes"]))
            rows.append({"codec": spec, "frame_bytes": file.stat().st_size, **found[PROCESSES // 2]})
            print(f"{spec}: {rows[-1]['working_bytes'] / 1024:.0f} KiB beside output and frame")
    return rows


def measure_eval(model: str, data: str) -> list[dict[str, Any]]:
    rows = []
    for images in EVAL_IMAGES:
        command = ["fmapzip", "eval", model, data, "--codec", "zvc", "--calib", "first:20", "--limit", str(images)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status != 0:
            raise RuntimeError(f"{' '.join(command)} failed")
        rows.append({"images": images, "peak_bytes": usage.ru_maxrss * 1024})
        print(f"eval of {images} images: {rows[-1]['peak_bytes'] / 1e6:.0f} MB")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--codec", action="append")
    parser.add_argument("--eval", nargs=2, metavar=("MODEL", "DATA"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--frame", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.frame:
        print(json.dumps(decode_peak(arguments.frame)))
        return
    result: dict[str, Any] = {"decode": measure_decode(arguments.codec or list(DEFAULT_CODECS))}
    if arguments.eval:
        result["eval"] = measure_eval(*arguments.eval)
    if arguments.json:
        write_result(arguments.json, "memory", result)


if __name__ == "__main__":
    main()
