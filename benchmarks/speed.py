"""Speed of codecs on real maps, as ratios to memcpy in one run.

    fmapzip capture path/to/nets.py:resnet50v2_trunk path/to/images --limit 40 -o trunk.fmz
    python benchmarks/speed.py trunk.fmz --json benchmarks/results/speed.json
    python benchmarks/speed.py trunk.fmz --codec context-rans:level=ultra --images 4 --add benchmarks/results/speed.json

The last one measures some codecs, here on maps of four of the images, and puts their rows in the place of theirs.
Maps in the network's order, preallocated outputs, one thread; memcpy is `numpy.copyto` between preallocated buffers
over the same maps, and zstd -1 by its package takes its turn with them. Two threads are measured over batches of each
tap's frames.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zstandard
from common import TRAINING_IMAGES, git_hash, in_order, load_maps, side_by_side, trained_plan, write_result

import fmapzip
from fmapzip import _core
from fmapzip.codecs.base import Codec
from fmapzip.eval.codec_spec import parse_codec

DEFAULT_CODECS = (
    "zvc",
    "dct-cm:path=transform,group=8,coding=bitmap",
    "context-rans",
    "context-rans:level=fast",
    "context-rans:level=max",
    "context-rans:level=ultra",
)
LATENCY_BYTES = (8_000, 800_000)
BOUND_TAPS = 256


def measure(
    archive: Path, spec: str, repeat: int, images: int | None, plans: Path | None, busy: bool
) -> dict[str, Any]:
    """One codec on the instruction set of this process."""
    codec = parse_codec(spec)
    names, every = load_maps(archive)
    plan = _plan(codec, names, every, plans)
    maps = {name: batch[:images] for name, batch in every.items()}
    ordered = in_order(names, maps)
    outputs = [np.zeros_like(q) for _, q in ordered]
    buffers = [np.zeros(fmapzip.frame_bound(q.shape), np.uint8) for _, q in ordered]
    sizes = [fmapzip.encode_into(q, b, plan=plan, tap=n) for (n, q), b in zip(ordered, buffers, strict=True)]
    frames = [buffer[:size].copy() for buffer, size in zip(buffers, sizes, strict=True)]
    stacks = {name: np.stack(maps[name]) for name in names}
    batches = {name: fmapzip.encode_batch(stack, plan=plan, tap=name) for name, stack in stacks.items()}
    results = {name: np.zeros_like(stack) for name, stack in stacks.items()}

    def copy() -> None:
        for (_, q), out in zip(ordered, outputs, strict=True):
            np.copyto(out, q)

    def encode() -> None:
        for (name, q), buffer in zip(ordered, buffers, strict=True):
            fmapzip.encode_into(q, buffer, plan=plan, tap=name)

    def decode() -> None:
        for frame, out in zip(frames, outputs, strict=True):
            fmapzip.decode(frame, out, plan)

    def encode_batches(threads: int) -> None:
        for name, stack in stacks.items():
            fmapzip.encode_batch(stack, plan=plan, tap=name, threads=threads)

    def decode_batches(threads: int) -> None:
        for name, batch in batches.items():
            fmapzip.decode_batch(batch, results[name], plan, threads=threads)

    compressor, decompressor = zstandard.ZstdCompressor(level=1), zstandard.ZstdDecompressor()
    compressed = [compressor.compress(q.data) for _, q in ordered]

    def zstd_encode() -> None:
        for _, q in ordered:
            compressor.compress(q.data)

    def zstd_decode() -> None:
        for data in compressed:
            decompressor.decompress(data)

    tasks = {"memcpy": copy, "encode": encode, "decode": decode, "zstd encode": zstd_encode, "zstd decode": zstd_decode}
    one = side_by_side(tasks, repeat, busy)
    threads = {
        "encode 1": lambda: encode_batches(1),
        "encode 2": lambda: encode_batches(2),
        "decode 1": lambda: decode_batches(1),
        "decode 2": lambda: decode_batches(2),
    }
    two = None if busy else side_by_side(threads, repeat)
    raw = sum(q.nbytes for _, q in ordered)
    return {
        "codec": spec,
        "simd": _core.simd(),
        "commit": git_hash(),
        "archive": archive.name,
        "taps": len(names),
        "images": len(maps[names[0]]),
        "busy": busy,
        "raw_bytes": raw,
        "ratio": raw / sum(sizes),
        "memcpy_mb_per_s": raw / one["memcpy"] / 1e6,
        "encode_mb_per_s": raw / one["encode"] / 1e6,
        "decode_mb_per_s": raw / one["decode"] / 1e6,
        "encode_x_memcpy": one["memcpy"] / one["encode"],
        "decode_x_memcpy": one["memcpy"] / one["decode"],
        "encode_x_zstd1": one["zstd encode"] / one["encode"],
        "decode_x_zstd1": one["zstd decode"] / one["decode"],
        "zstd1_ratio": raw / sum(map(len, compressed)),
        "zstd1_encode_mb_per_s": raw / one["zstd encode"] / 1e6,
        "zstd1_decode_mb_per_s": raw / one["zstd decode"] / 1e6,
        "encode_two_threads_x": two and two["encode 1"] / two["encode 2"],
        "decode_two_threads_x": two and two["decode 1"] / two["decode 2"],
        "latency_us": latency(plan, ordered, repeat, busy),
    }


def _plan(codec: Codec, names: Sequence[str], maps: dict[str, list[Any]], folder: Path | None) -> fmapzip.Plan:
    """A plan as users have them: of all images where parameters are many, and kept in a folder if there is one."""
    file = None if folder is None else folder / f"{codec.id}.{codec.config().get('level', '')}.fmzp"
    if file is not None and file.exists():
        return fmapzip.Plan.load(file)
    plan = trained_plan(codec, names, maps, None if codec.plan_share else TRAINING_IMAGES)
    if file is not None:
        plan.save(file)
    return plan


def latency(plan: fmapzip.Plan, ordered: list[tuple[str, Any]], repeat: int, busy: bool) -> dict[str, dict[str, float]]:
    """Microseconds for one frame of about each size, encoded and decoded again and again."""
    found = {}
    for target in LATENCY_BYTES:
        name, q = min(ordered, key=lambda item: abs(item[1].nbytes - target))
        frame = fmapzip.encode(q, plan=plan, tap=name)
        out = np.zeros_like(q)
        rounds = max(1, 4_000_000 // q.nbytes)

        def encode(q: Any = q, name: str = name, rounds: int = rounds) -> None:
            for _ in range(rounds):
                fmapzip.encode(q, plan=plan, tap=name)

        def decode(frame: bytes = frame, out: Any = out, rounds: int = rounds) -> None:
            for _ in range(rounds):
                fmapzip.decode(frame, out, plan)

        seconds = side_by_side({"encode": encode, "decode": decode}, repeat, busy)
        found[f"{q.nbytes} bytes ({name})"] = {way: 1e6 * s / rounds for way, s in seconds.items()}
    return found


def bound_overhead(repeat: int) -> dict[str, float]:
    """Microseconds that one 4 KiB frame takes through a bound codec beyond its share of a batch, which is the core's.

    By `zvc`, which has no tables to be fetched into the cache anew for each of many taps.
    """
    codec = parse_codec("zvc")
    q = np.maximum(np.random.default_rng(0).normal(0, 20, (64, 8, 8)), 0).astype(np.uint8)
    parameters = codec.train(q[None])
    quantizer = fmapzip.QuantParams("uint8", (0.5,))
    taps = (fmapzip.TapPlan(f"tap{i}", q.shape, quantizer, codec, parameters) for i in range(BOUND_TAPS))
    plan = fmapzip.Plan(tuple(taps))
    bound = [plan.bound(i) for i in range(BOUND_TAPS)]
    frames = [tap.encode(q) for tap in bound]
    batch, out = np.stack([q] * BOUND_TAPS), np.zeros_like(q)
    batch_frames, outs = bound[0].encode_batch(batch), np.zeros_like(batch)
    tasks = {
        "encode": lambda: [tap.encode(q) for tap in bound],
        "encode, core": lambda: bound[0].encode_batch(batch),
        "decode": lambda: [tap.decode(frame, out) for tap, frame in zip(bound, frames, strict=True)],
        "decode, core": lambda: bound[0].decode_parsed(bound[0].parse_batch(batch_frames), outs),
    }
    seconds = side_by_side(tasks, 5 * repeat)
    return {way: 1e6 * (seconds[way] - seconds[f"{way}, core"]) / BOUND_TAPS for way in ("encode", "decode")}


def import_seconds(repeat: int) -> float:
    """Seconds that `import fmapzip` takes beyond the start of Python with NumPy."""
    starts = {
        name: (lambda code=code: subprocess.run([sys.executable, "-c", code], check=True))
        for name, code in {"numpy": "import numpy", "fmapzip": "import fmapzip"}.items()
    }
    seconds = side_by_side(starts, repeat)
    return seconds["fmapzip"] - seconds["numpy"]


def add_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Put rows into a result, in the place of those of the same codec and instruction set or behind all."""
    found = json.loads(path.read_text())
    new = {(row["codec"], row["simd"]): row for row in rows}
    kept = [new.pop((row["codec"], row["simd"]), row) for row in found["rows"]]
    path.write_text(json.dumps({**found, "rows": [*kept, *new.values()]}, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--codec", action="append", help="a codec with settings, as for `fmapzip eval`; repeatable")
    parser.add_argument("--simd", action="append", choices=_core.simd_available())
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--images", type=int, help="so many of the images; all train")
    parser.add_argument("--plans", type=Path, help="a folder where trained plans are kept, and found")
    parser.add_argument("--busy", action="store_true", help="others use this machine: least processor time counts")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--add", type=Path, metavar="JSON", help="put the rows into this result, in place of their own")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        a = arguments
        print(json.dumps(measure(a.archive, a.one, a.repeat, a.images, a.plans, a.busy)))
        return
    rows = []
    for spec in arguments.codec or DEFAULT_CODECS:
        for simd in arguments.simd or _core.simd_available():
            command = [
                sys.executable,
                __file__,
                str(arguments.archive),
                "--one",
                spec,
                "--repeat",
                str(arguments.repeat),
                *(["--images", str(arguments.images)] if arguments.images else []),
                *(["--plans", str(arguments.plans)] if arguments.plans else []),
                *(["--busy"] if arguments.busy else []),
            ]
            done = subprocess.run(
                command, env={**os.environ, "FMAPZIP_SIMD": simd}, stdout=subprocess.PIPE, text=True, check=True
            )
            rows.append(json.loads(done.stdout))
            row = rows[-1]
            print(
                f"{spec} {simd}: ratio {row['ratio']:.3f}; x memcpy: encode {row['encode_x_memcpy']:.3f}, "
                f"decode {row['decode_x_memcpy']:.3f}; x zstd -1: {row['encode_x_zstd1']:.2f}, "
                f"{row['decode_x_zstd1']:.2f}; two threads x: {row['encode_two_threads_x']}, "
                f"{row['decode_two_threads_x']}"
            )
    if arguments.add:
        add_rows(arguments.add, rows)
        return
    result = {
        "archive": arguments.archive.name,
        "import_seconds": import_seconds(arguments.repeat),
        "bound_overhead_us_of_4_kib": bound_overhead(arguments.repeat),
        "rows": rows,
    }
    overhead = result["bound_overhead_us_of_4_kib"]
    print(
        f"a 4 KiB frame through a bound codec: {overhead['encode']:.1f} us to encode beyond the core's time, "
        f"{overhead['decode']:.1f} us to decode"
    )
    print(f"import fmapzip: {1e3 * result['import_seconds']:.0f} ms beyond NumPy")
    if arguments.json:
        write_result(arguments.json, "speed", result)


if __name__ == "__main__":
    main()
