"""The section of docs/RESULTS.md on what storing costs a pass in time."""

from __future__ import annotations

from textwrap import fill

from results_files import NETWORKS, Values
from results_tables import WIDTH, conditions, table


def stored_pass(found: Values) -> str:
    """Passes with stored maps against the float pass, under each allocator."""
    intro = (
        f"`benchmarks/pass.py`: {NETWORKS.get(found['model'], found['model'])}, batch {found['input'][0]}, one thread, "
        f"{found['taps']} taps of {found['values'] / 1e6:.1f} million values; the best of {found['repeat'] + 1} passes "
        "in turns. `copy` only copies each tap's floats. PyTorch takes its tensors from glibc, which by default gives "
        "large ones back to the system: every pass then pays for its pages anew, about as much with stored maps as "
        f"without, so that ratios look smaller than with an allocator that keeps its memory. {conditions(found)}"
    )
    allocators = list(dict.fromkeys(row["allocator"] for row in found["rows"]))
    rows = []
    for name in dict.fromkeys(row["pass"] for row in found["rows"]):
        own = [row for row in found["rows"] if row["pass"] == name]
        ratio = own[0].get("ratio_payload")
        cells = [f"{row['x_float']:.2f} ({1e3 * row['seconds']:.0f} ms, {row['page_faults']})" for row in own]
        rows.append([f"`{name}`", f"{ratio:.2f}" if ratio else "", *cells])
    head = ["pass", "ratio", *(f"{name}: x float (time, page faults)" for name in allocators)]
    return "\n\n".join(["## A pass with stored maps", fill(intro, WIDTH), table(head, rows)])
