"""The sections of docs/RESULTS.md on keeping feature maps."""

from __future__ import annotations

from textwrap import fill

from results_files import NETWORKS, Values
from results_tables import WIDTH, conditions, table


def stores(found: Values) -> str:
    """Bytes on disk and times of an epoch."""
    taps = ", ".join(f"`{name}`" for name in found["taps"])
    intro = (
        f"`benchmarks/stores.py`: {taps} of {found['samples']} images, {found['raw_bytes'] / 1e6:.1f} MB of 8-bit "
        f"values, one chunk a map, batches of {found['batch']} by a `DataLoader` from the page cache. Seconds of an "
        f"epoch by workers, in order / shuffled. {conditions(found)}"
    )
    workers = sorted({int(key.rpartition("_")[2]) for key in found["ways"][0] if key.startswith("in_order_")})
    rows = [
        [
            way["way"],
            f"{way['bytes'] / 1e6:.2f}",
            f"{found['raw_bytes'] / way['bytes']:.2f}",
            *(f"{way[f'in_order_{n}']:.2f} / {way[f'shuffled_{n}']:.2f}" for n in workers),
        ]
        for way in found["ways"]
    ]
    head = ["kept as", "MB on disk", "ratio", *(f"{n} workers, s" for n in workers)]
    return "\n\n".join(["## Stores", fill(intro, WIDTH), table(head, rows)])


def capture(found: Values) -> str:
    """What keeping costs a pass."""
    intro = (
        f"`benchmarks/capture.py`: {NETWORKS.get(found['model'], found['model'])}, {found['images']} images in memory, "
        f"the network's own pass and capturing into a store in turns, the least of each in processor time, one thread. "
        f"Others used {found['others_cpu']:.0%} of the machine. {conditions(found)}"
    ).replace("%", " %")
    rows = [
        [
            str(row["taps"]),
            f"**`{row['codec']}`**",
            f"{row['own_ms']:.1f}",
            f"{row['capture_ms']:.1f}",
            f"{row['capture_ms'] / row['own_ms'] - 1:+.0%}".replace("%", " %"),
            f"{row['bytes'] / found['images'] / 1e3:.1f}",
        ]
        for row in found["rows"]
    ]
    head = ["taps", "codec", "own pass, ms an image", "captured, ms an image", "more", "kB an image"]
    return "\n\n".join(["### Capturing", fill(intro, WIDTH), table(head, rows)])


def linear_head(found: Values) -> str:
    """What keeping saves a training loop."""
    ratio = found["raw_bytes"] / found["bytes"]
    small = ": a vector is shorter than what a frame and its place in the index take" if ratio < 1 else ""
    intro = (
        f"`benchmarks/linear_head.py`: a linear head on `{found['tap']}` of {found['images']} images of CIFAR-10, "
        f"{found['epochs']} epochs, one thread. Capturing took {found['capture_seconds']:.0f} s once; the store has "
        f"{found['bytes'] / 1e6:.1f} MB, ratio {ratio:.2f} (`{found['codec']}`){small}. {conditions(found)}"
    )
    rows = [[way["way"], f"{way['seconds']:.1f}", f"{way['top1']:.1%}"] for way in found["ways"]]
    return "\n\n".join(["### A linear head on kept maps", fill(intro, WIDTH), table(["features", "s", "top-1"], rows)])
