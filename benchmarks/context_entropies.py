"""Where the bits of `context-rans` go, tap by tap: entropies, the model's code length, and the real bytes.

    fmapzip capture path/to/nets.py:resnet50v2_trunk path/to/images --limit 20 -o trunk.fmz
    python benchmarks/context_entropies.py trunk.fmz --json benchmarks/results/context_entropies.json

The first half of an archive's samples trains, the other half is coded. All figures are bits a value over that half:
the order-0 entropy with the training half's table, the same in 24 contexts of W, N, NW and NE, the code length that
the trained tables promise, and the tile bodies as they are, whose difference is what the coder costs (its lane states
are listed apart).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from common import load_maps, write_result
from numpy.typing import NDArray

from fmapzip import _core, registry
from fmapzip.reference.context_parameters import Parameters, read
from fmapzip.reference.context_rans import ZERO_PROBABILITY, Tokens, lanes_of

CELL = 2  # ContextStatistics: count symbols by cell
STATE_BYTES = 4


def cross_entropy(training: NDArray[Any], coded: NDArray[Any]) -> float:
    """Bits of `coded` counts under the frequencies of `training` counts, both [contexts, symbols]."""
    p = (training + 0.02) / (training + 0.02).sum(1, keepdims=True)
    return float(-(coded * np.log2(p)).sum())


def neighbour_contexts(maps: NDArray[Any]) -> NDArray[Any]:
    """2W + 2N + NW + NE on a logarithmic scale of 24 steps, zeros outside."""
    q = np.abs(maps.astype(np.int32))
    padded = np.pad(q, ((0, 0), (0, 0), (1, 0), (1, 1)))
    total = 2 * padded[:, :, 1:, :-2] + 2 * padded[:, :, :-1, 1:-1] + padded[:, :, :-1, :-2] + padded[:, :, :-1, 2:]
    return np.where(total == 0, 0, np.minimum(1 + (2 * np.log2(np.maximum(total, 1))).astype(np.int32), 23))


def histogram(contexts: NDArray[Any], maps: NDArray[Any], count: int) -> NDArray[Any]:
    joint = contexts.reshape(-1).astype(np.int64) * 256 + maps.view(np.uint8).reshape(-1)
    return np.bincount(joint, minlength=256 * count).reshape(count, 256)


def model_bits(parameters: bytes, maps: NDArray[Any]) -> float:
    """Code length that tables and zero classes give the symbols of maps, raw bits included."""
    p: Parameters = read(parameters)
    counts = np.frombuffer(_core.ContextStatistics(parameters).count(maps, CELL), np.int64).reshape(128, -1)
    zero = ZERO_PROBABILITY[p.zero_class_of] / 4096
    tokens = Tokens(p)
    costs = np.take_along_axis(p.raw_bits - np.log2(p.frequencies / 256), tokens.of_byte[:, 1:], 1)
    others = counts[:, 1:].sum(1)
    flags = -(counts[:, 0] * np.log2(zero) + others * np.log2(1 - zero)).sum()
    return float(flags + (counts[:, 1:] * costs[p.table_of]).sum())


def measure(name: str, samples: list[NDArray[Any]], level: str) -> dict[str, Any]:
    maps = np.stack([q.reshape(*q.shape, *(1,) * (3 - q.ndim)) for q in samples])
    training, coded = maps[: len(maps) // 2], maps[len(maps) // 2 :]
    parameters = registry.make("context-rans", level=level).train(training)
    codec = _core.Codec(4, parameters)
    frames = [
        _core.Frame(_core.encode(q, codec, b"", False, 0, b"\0" * 8, 0, 1), 0, 1 << 28, 1 << 24, True) for q in coded
    ]
    payload = sum(8 * frame.payload_bytes for frame in frames)
    zeros = np.zeros_like(coded)
    order0 = cross_entropy(histogram(np.zeros_like(training), training, 1), histogram(zeros, coded, 1))
    near = cross_entropy(
        histogram(neighbour_contexts(training), training, 24), histogram(neighbour_contexts(coded), coded, 24)
    )
    model = model_bits(parameters, coded)
    lanes = lanes_of(read(parameters), coded[0].shape)
    states = 8 * STATE_BYTES * lanes * sum(len(frame.tile_lengths) for frame in frames)
    return {
        "name": name,
        "shape": list(coded[0].shape),
        "order0": order0 / coded.size,
        "neighbours24": near / coded.size,
        "model": model / coded.size,
        "payload": payload / coded.size,
        "states": states / coded.size,
        "coder_overhead": (payload - states / 2 - model) / model,
        "parameter_bytes": len(parameters),
        "values": coded.size,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--level", default="default", choices=["default", "max"])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    names, maps = load_maps(arguments.archive)
    rows = []
    keys = ("order0", "neighbours24", "model", "payload", "states")
    print(f"{'tap':30} {'shape':>14} " + " ".join(f"{key:>12}" for key in keys) + "  overhead")
    for name in names:
        rows.append(measure(name, maps[name], arguments.level))
        row = rows[-1]
        shape = "x".join(map(str, row["shape"]))
        print(
            f"{name:30} {shape:>14} "
            + " ".join(f"{row[key]:12.4f}" for key in keys)
            + f"  {100 * row['coder_overhead']:7.3f} %"
        )
    values = sum(row["values"] for row in rows)
    total = {key: sum(row[key] * row["values"] for row in rows) / values for key in keys}
    print("all: " + ", ".join(f"{key} {total[key]:.4f}" for key in keys))
    if arguments.json:
        write_result(arguments.json, "context_entropies", {"level": arguments.level, "taps": rows, "total": total})


if __name__ == "__main__":
    main()
