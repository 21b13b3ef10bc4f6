"""The section of docs/RESULTS.md on a network in two places."""

from __future__ import annotations

from textwrap import fill

from results_files import NETWORKS, Values
from results_tables import WIDTH, conditions, table


def split_links(found: Values) -> str:
    """Latency at several links."""
    links = [key for key in found["ways"][0] if "_" in key]
    intro = (
        f"`benchmarks/split_links.py`: {NETWORKS.get(found['model'], found['model'])} cut behind `{found['at']}`, a "
        f"server and a client in two processes of this machine, one thread each, and a shaped link between them. "
        f"Median milliseconds from an image to its output, one under way at a time, {found['images']} images that "
        f"did not calibrate; every output is, bit for bit, that of one place. All in one place took "
        f"{found['here_ms']} ms. "
        f"{conditions(found)}"
    )
    rows = [[way["codec"], str(way["bytes"]), *(str(way[link]) for link in links)] for way in found["ways"]]
    head = ["what crosses", "bytes", *(" Mbit/s, ".join(link.split("_")) + " ms" for link in links)]
    return "\n\n".join(["## A network in two places", fill(intro, WIDTH), table(head, rows)])
