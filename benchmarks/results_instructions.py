"""The section of docs/RESULTS.md on instructions a value."""

from __future__ import annotations

from textwrap import fill

from results_files import NETWORKS, Values
from results_tables import WIDTH, table

SETS = ("scalar", "avx2", "neon", "neon_dot")


def instructions(found: Values) -> str:
    """Instructions a value of each instruction set, and NEON's over AVX2's."""
    shape = " x ".join(map(str, found["shape"]))
    network = NETWORKS.get(found["archive"], found["archive"])
    intro = (
        f"`benchmarks/instructions.py`: one map of {network}, `{found['tap']}`, {shape}, with parameters trained on "
        "all maps of it. x86-64's are counted by callgrind, AArch64's by a plugin of qemu-user: counts, not times. "
        "*neon_dot* is NEON with the dot product, which only `level=max` asks for; the last column is the better of "
        f"both over AVX2. Commit {found['commit']}."
    )
    rows = [
        [
            f"`{row['codec']}`, {row['what']}",
            *(f"{row[simd]:.1f}" for simd in SETS),
            f"{min(row['neon'], row['neon_dot']) / row['avx2']:.2f}",
        ]
        for row in found["rows"]
    ]
    return "\n\n".join(["## Instructions a value", fill(intro, WIDTH), table(["codec", *SETS, "neon / avx2"], rows)])
