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
        f"its maps of {found['images']} images. x86-64's are counted by callgrind, AArch64's by a plugin of qemu-user: "
        "counts, not times. *neon_dot* is NEON with the dot product, which only `level=max` and `ultra` ask for; the "
        f"last column is the better of both over AVX2. Commit {found['commit']}."
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


PROCESSORS = {
    "znver4": ("avx2", "Zen 4"),
    "neoverse-n1": ("neon_dot", "Neoverse N1"),
    "cortex-a76": ("neon_dot", "Cortex-A76"),
}


def cycles(found: Values) -> str:
    """Cycles a value that llvm-mca estimates."""
    least = min(row[f"{simd}_share"] for row in found["rows"] for simd in ("avx2", "neon_dot"))
    intro = (
        f"`benchmarks/cycles.py`: {found['tool']} on the pieces of code that are at least {100 * least:.0f} % of what "
        "ran (the same map, under qemu-user), times how often each ran. An estimate: memory is in the first cache, "
        "branches are foreseen, a piece is repeated without the others around it. LLVM describes Cortex-A76 by "
        f"Cortex-A57, a narrower core, so that its column is rather an upper bound. Commit {found['commit']}."
    )
    rows = [
        [
            f"`{row['codec']}`, {row['what']}",
            *(
                f"{row[name]:.2f} ({row[f'{simd}_instructions'] / row[name]:.1f})"
                for name, (simd, _) in PROCESSORS.items()
            ),
            f"{row['neoverse-n1'] / row['znver4']:.1f}",
        ]
        for row in found["rows"]
    ]
    head = [f"{told}, `{simd}`" for simd, told in PROCESSORS.values()]
    return "\n\n".join(
        [
            "## Cycles a value, estimated",
            fill(intro, WIDTH) + " In brackets: instructions a cycle.",
            table(["codec", *head, "Neoverse N1 / Zen 4"], rows),
        ]
    )
