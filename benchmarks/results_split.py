"""The section of docs/RESULTS.md on networks in two places."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

from results_files import NETWORKS, Values
from results_tables import WIDTH, conditions, table

SLOWER = 8
"""How many times slower the other device of the table is."""
NAMES = {
    "raw": "int8",
    "bench-zstd": "int8, zstd",
    "PNG": "the image, PNG",
    "here": "nothing",
    "ladder": "a ladder of plans",
}
EXACT = "context-rans"

INTRO = f"""
`benchmarks/split_links.py`: a client, and servers in a network namespace of their own behind a link of packets with a
rate, a round trip, loss and jitter (this kernel has no netem: a process passes packets between two TUN devices); TCP,
TLS and gRPC run over it. One image is under way at once. Milliseconds from an image to its output, the median over the
images sent of the least of some tries: measured, with device and server on this machine / where the device takes
{SLOWER} times as long for its part, reckoned from that part's own time. The image sent is what the network reads,
scaled and cropped. Every output of a split is, bit for bit, that of one place. JPEG has the lowest qualities that lose
no more than a rung of the split. In bold, the least of those that lose no more than the 8-bit cut.
""".replace("\n", " ").strip()


def split_links(runs: Sequence[Values]) -> str:
    """Latency at several links, a table a network."""
    if not runs:
        return ""
    order = list(NETWORKS)
    runs = sorted(runs, key=lambda run: order.index(run["model"]) if run["model"] in order else len(order))
    return "\n\n".join(
        ["## Networks in two places", fill(INTRO, WIDTH), *(part for run in runs for part in _network(run))]
    )


def _network(found: Values) -> list[str]:
    steady = [key for key in found["ways"][0] if _is_link(key) and not isinstance(found["ways"][0][key], list)]
    shape = ", ".join(" x ".join(map(str, each)) for each in found["crossing"])
    intro = (
        f"Cut behind {' and '.join(f'`{name}`' for name in found['at'])}, where {shape} crosses; input "
        f"{' x '.join(map(str, found['input']))}. Losses are of {found['images']} images that did not calibrate, "
        f"times of {found['sent']} of them. Others used {found['others_cpu']:.0%} of the machine. "
        f"{conditions(found)}"
    ).replace("%", " %")
    here = found["here_ms"]
    alone = {"way": "here", "bytes": 0, **found["float"], "device_ms": here}
    ways = [{**alone, **dict.fromkeys(steady, here)}, *found["ways"]]
    least = {(link, slower): _least(ways, found, link, slower) for link in steady for slower in (1, SLOWER)}
    rows = [
        [
            *_facts(way, found),
            *(" / ".join(_cell(_latency(way, link, s), least[link, s]) for s in (1, SLOWER)) for link in steady),
        ]
        for way in ways
    ]
    lost = ["KL", "top-1", "changed"] if found["classes"] else ["error over energy"]
    head = ["what is sent", "bytes", *lost, *(_words(link) for link in steady)]
    return [
        f"### {NETWORKS.get(found['model'], found['model'])}",
        fill(intro, WIDTH),
        table(head, rows),
        *_unsteady(found),
    ]


def _facts(way: Values, found: Values) -> list[str]:
    lost = [f"{way['distortion']:.2g}"]
    if found["classes"]:
        lost += [f"{way['hits'] / found['images']:.1%}", str(way["changed"])]
    return [_name(way["way"]), f"{way['bytes']:.0f}", *lost]


def _latency(way: Values, link: str, slower: float) -> float:
    return float(way[link] + (slower - 1) * way["device_ms"])


def _least(ways: Sequence[Values], found: Values, link: str, slower: float) -> float:
    """Of the ways that lose no more than the 8-bit cut."""
    exact = next(way["distortion"] for way in found["ways"] if way["way"] == EXACT)
    return min(_latency(way, link, slower) for way in ways if way["distortion"] <= exact)


def _cell(ms: float, least: float) -> str:
    return f"**{ms:.0f}**" if ms == least else f"{ms:.0f}"


def _unsteady(found: Values) -> list[str]:
    """Links that lose packets, are out of step, and change."""
    links = [key for key in found["ways"][0] if isinstance(found["ways"][0][key], list)]
    changing = {row["way"]: row["ms"] for row in found["changing"]}
    ways = [*found["ways"], *({"way": name} for name in changing if name == "ladder")]
    rows = [
        [
            _name(way["way"]),
            *(" / ".join(f"{ms:.0f}" for ms in way[link]) if link in way else "" for link in links),
            ", ".join(f"{ms:.0f}" for ms in changing.get(way["way"], [])),
        ]
        for way in ways
    ]
    intro = (
        f"The same at links that are not steady: median / 90th percentile of {found['in_a_row']} images; and medians "
        "of 12 images in a row while the link drops to a tenth and recovers."
    )
    head = ["what is sent", *(_words(link) for link in links), "10, 1, 10 Mbit/s, 20 ms"]
    return [fill(intro, WIDTH), table(head, rows)]


def _is_link(key: str) -> bool:
    return key[0].isdigit()


def _words(link: str) -> str:
    rate, _, trip = link.partition(", ")
    trip, comma, more = trip.partition(", ")
    return f"{rate} Mbit/s, {trip} ms{comma}{more}"


def _name(way: str) -> str:
    if way.startswith("JPEG"):
        return f"the image, {way}"
    return NAMES.get(way, f"**`{way}`**")


def reductions(runs: Sequence[Values]) -> str:
    """Fewer channels, and channels with steps of their own, a table a network."""
    if not runs:
        return ""
    intro = (
        "`benchmarks/reductions.py`: bytes of what crosses and what that does to the output, where all channels have "
        "one step, steps of their own (*weighted*), or a share of them crosses and the tail computes the others "
        "([METHODS.md](METHODS.md#reductions-at-a-cut)); `context-rans`, with its step in 8-bit integers."
    )
    parts = ["### Reductions at a cut", fill(intro, WIDTH)]
    for found in runs:
        rows = [
            [_REDUCTIONS.get(row["reduction"], f"{row['reduction']} of the channels"), str(row["step"]),
             f"{row['bytes']:.0f}", f"{row['kl']:.2g}", str(row["changed"])]
            for row in sorted(found["rows"], key=lambda row: -row["bytes"])
        ]  # fmt: skip
        name = NETWORKS.get(found["model"], found["model"])
        words = f"{name} at `{found['at']}`, {found['images']} images that did not calibrate. {conditions(found)}"
        parts += [fill(words, WIDTH), table(["channels", "step", "bytes", "KL to float", "changed"], rows)]
    return "\n\n".join(parts)


_REDUCTIONS = {"none": "all", "weighted": "weighted"}


def soak(found: Values) -> str:
    """What a server holds over many requests."""
    memory = found["server_rss_mb"]
    words = (
        f"`benchmarks/split_soak.py`: {found['requests']:,} requests over one stream, each output held against that of "
        f"one place, in {found['seconds']:.0f} s; the server had {min(memory):.1f} to {max(memory):.1f} MB, looked at "
        f"{len(memory)} times. {conditions(found)}"
    )
    return "\n\n".join(["### A long soak", fill(words, WIDTH)])
