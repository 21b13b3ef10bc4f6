"""The section of docs/RESULTS.md on hardware: areas, and what the blocks were proven on."""

from __future__ import annotations

from textwrap import fill

from results_files import NETWORKS, Values
from results_tables import WIDTH, table

BARS = (
    ("dct-cm-mask-decoder", 1, 8),
    ("dct-cm-points-decoder", 1, 8),
    ("dct-cm-mask-encoder", 1, 12),
    ("dct-cm-points-encoder", 1, 12),
    ("dct-cm-mask-decoder", 8, 4),
    ("dct-cm-points-decoder", 8, 4),
    ("dct-cm-inverse-8", 8, 3),
    ("context-rans-fast-decoder", 16, 14),
    ("context-rans-decoder", 16, 14),
)
"""What blocks may take: kGE a value a cycle, or a lane, without memories."""
ENDS = ("first_out", "last_out")


def bars(found: Values) -> str:
    """Areas against what they were meant to be at most."""
    areas = {(row["block"], row["values"]): row["kge"] / row["values"] for row in found["rows"]}
    rows = []
    for name, values, most in BARS:
        area = areas.get((name, values))
        told = ["not synthesised", "open"] if area is None else [f"{area:.2f}", "yes" if area <= most else "no"]
        rows.append([f"`{name}`", str(values), str(most), *told])
    return table(["block", "values a cycle, or lanes", "meant: kGE each, at most", "measured", "holds"], rows)


def synthesis(found: Values) -> str:
    """Area, delay and memory of each block."""
    intro = (
        f"`benchmarks/synthesis.py`: {found['tool']} and its ABC on the cells of {found['cells']} (180 nm), without "
        f"wires; 1 kGE is a thousand times the area of NAND2X1. Memories are left out of the first figure and of the "
        f"delay, and are flip-flops in the last but one, at one value a cycle. Rows without a delay are sums over "
        f"modules that were synthesised one by one. Blocks that are not ours are the open sources of their authors, "
        f"through the same passes."
    )
    rows = [
        [
            f"`{row['block']}`",
            str(row["values"]),
            f"{row['kge']:.2f}",
            f"{row['kge'] / row['values']:.2f}",
            str(row["memory_bits"]),
            "-" if row["kge_with_memories"] is None else f"{row['kge_with_memories']:.2f}",
            "-" if row["delay_ns"] is None else f"{row['delay_ns']:.2f}",
            row["commit"],
        ]
        for row in found["rows"]
    ]
    head = ["block", "values a cycle", "kGE", "kGE a value", "memory, bits", "kGE with memories", "delay, ns", "commit"]
    return "\n\n".join(["## Hardware", fill(intro, WIDTH), table(head, rows), bars(found)])


def proof(found: Values) -> str:
    """Tiles of real maps that went through the blocks' Verilog."""
    intro = (
        "`benchmarks/prove_blocks.py`: the exported Verilog in Verilator, on tiles of real maps, byte for byte "
        "against the software: as fast as the block takes them, and again with streams that stall in up to 200 of 256 "
        "cycles, after a reset. Spoilt bodies have a bit flipped or their end cut off, and ended in the "
        "reference's error. Of `context-rans` and `dct-cm-points` the cycles count those in which tables are loaded, "
        "before each tile."
    )
    rows = [
        [
            f"`{row['block']}`",
            str(row["values"]),
            NETWORKS.get(row["network"], row["network"]),
            str(row["tiles"]),
            str(row["tile_values"]),
            f"{row['values_per_cycle']:.2f}",
            str(row["spoilt"]) if row["spoilt"] else "-",
            row["commit"],
        ]
        for row in found["rows"]
    ]
    head = [
        "block",
        "values a cycle, at most",
        "network",
        "tiles",
        "values",
        "values a cycle, measured",
        "spoilt bodies",
        "commit",
    ]
    return "\n\n".join([fill(intro, WIDTH), table(head, rows), *latency(found), *coverage(found)])


def latency(found: Values) -> list[str]:
    """Cycles from input to output, of the tiles whose test bench told them."""
    timed: dict[tuple[str, int], list[Values]] = {}
    for row in found["rows"]:
        if "first_out" in row:
            timed.setdefault((row["block"], row["values"]), []).append(row)
    if not timed:
        return []
    intro = (
        "Cycles without stalls, of the tile with the fewest to the one with the most: from the first transfer into a "
        "block, its descriptor, to the first beat of values, codes or body that it offers, so with the tables that "
        "come first, and from the last transfer into it to its last beat. The words of status are left out."
    )
    rows = [
        [f"`{name}`", str(values), str(sum(row["tiles"] for row in group)), *(_range(group, end) for end in ENDS)]
        for (name, values), group in timed.items()
    ]
    head = ["block", "values a cycle, at most", "tiles", "first in to first out", "last in to last out"]
    return [fill(intro, WIDTH), table(head, rows)]


def _range(rows: list[Values], end: str) -> str:
    """Least and most cycles of some rows."""
    least, most = min(row[end][0] for row in rows), max(row[end][1] for row in rows)
    return str(least) if least == most else f"{least} to {most}"


def coverage(found: Values) -> list[str]:
    """What of the Verilog was reached."""
    if not found.get("coverage"):
        return []
    intro = (
        "Coverage that Verilator counts on a few of these tiles and spoilt bodies, with stalls and a reset: lines and "
        "branches of the exported Verilog that ran, and bits of its signals that changed."
    )
    rows = [
        [
            f"`{row['block']}`",
            str(row["values"]),
            str(row["tiles"]),
            *(f"{row[part]} of {row[f'of_{part}']}, {row[part] / row[f'of_{part}']:.1%}" for part in ("lines", "bits")),
            row["commit"],
        ]
        for row in found["coverage"]
    ]
    return [fill(intro, WIDTH), table(["block", "values a cycle", "tiles", "lines", "bits", "commit"], rows)]


def tile_sizes(found: Values) -> str:
    """What smaller tiles cost."""
    intro = (
        "`benchmarks/tile_sizes.py`: bytes of each map of the last image of an archive, tiles and the table of their "
        "lengths, by `tile_values`; what is trained was trained on the images before it (2 of ImageNet, 29 of "
        "CIFAR-10). A tile has at least one row, so that some have more values: the largest tile of all maps stands "
        "behind the bytes."
    )
    sizes = list(dict.fromkeys(row["tile_values"] for row in found["rows"]))
    rows: dict[tuple[str, str], list[str]] = {}
    first = 0
    for row in found["rows"]:
        first = row["bytes"] if not row["tile_values"] else first
        told = f"{row['bytes']}" if not row["tile_values"] else f"{100 * (row['bytes'] / first - 1):+.1f} %"
        line = rows.setdefault((row["network"], row["codec"]), [NETWORKS.get(row["network"], row["network"])])
        line += [f"`{row['codec']}`"] * (len(line) == 1)
        line.append(f"{told} ({row['largest']})")
    head = ["network", "codec", *(str(size) if size else "the codec's choice, bytes" for size in sizes)]
    return "\n\n".join([fill(intro, WIDTH), table(head, list(rows.values()))])


def table_sizes(found: Values) -> str:
    """What fewer token tables and cells cost."""
    intro = (
        "`benchmarks/table_sizes.py`: bytes of each map of the last image of an archive, by a model that was trained "
        "on the images before it (2 of ImageNet, 29 of CIFAR-10), and the models' bytes. The first row of a level is "
        "what plans have. `context-rans:weights=shared,tables=8` has 8 tables."
    )
    rows, first = [], 0
    for row in found["rows"]:
        default = row["level"] == "default"
        first = row["bytes"] if row["tables"] == (32 if default else 8) else first
        cells = str(row["levels"] * row["spread_levels"]) if default else "-"
        more = f"{100 * (row['bytes'] / first - 1):+.1f} %" if row["bytes"] != first else ""
        network = NETWORKS.get(row["network"], row["network"])
        rows.append([network, row["level"], str(row["tables"]), cells, str(row["bytes"]), more, str(row["models"])])
    head = ["network", "level", "tables", "cells", "bytes", "more", "models, bytes"]
    return "\n\n".join([fill(intro, WIDTH), table(head, rows)])
