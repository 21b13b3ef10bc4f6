"""The section of docs/RESULTS.md on evaluations in shards."""

from __future__ import annotations

from textwrap import fill

from results_files import NETWORKS, Values
from results_tables import WIDTH, conditions, table
from scale_schedule import makespan

SETS = {"ImageNet, validation": 50_000, "ImageNet, training": 1_281_167}
CORES = (1, 16, 256)
SHARDS_A_CORE = 4


def scale(found: Values) -> str:
    """Stages, the check of the schedule, and what it predicts."""
    intro = (
        f"`benchmarks/scale.py`: `eval --plan` with `{found['codec']}` in shards, one process and thread each, "
        f"images from JPEG files; the float network, the 8-bit one and the stored one see each. Seconds are of the "
        f"process's own processor time. {conditions(found)}"
    )
    stages = [
        [
            NETWORKS.get(row["network"], row["network"]),
            f"{row['batch'] / row['stages']['batch']:.1f}",
            f"{row['stages']['start']:.1f}",
            f"{row['stages']['calibration']:.2f}",
            f"{row['stages']['finish']:.2f}",
            f"{row['stages']['merge']:.2f}",
            f"{row['peak_bytes'] / 1e6:.0f}",
            f"{row['document_bytes'] / 1e3:.0f}",
        ]
        for row in found["networks"]
    ]
    head = ["network", "images a second and core", "start, s", "calibration, s an image"]
    head += ["document, s", "merge, s a shard", "peak memory, MB", "document, kB"]
    told = "The schedule made of stages that were measured on six batches, against runs over more images:"
    checks = [
        [
            NETWORKS.get(row["network"], row["network"]),
            str(row["images"]),
            str(check["workers"]),
            f"{check['predicted']:.1f}",
            f"{check['measured']:.1f}",
            f"{check['measured'] / check['predicted'] - 1:+.0%}".replace("%", " %"),
        ]
        for row in found["networks"]
        for check in row["checks"]
    ]
    predicted = (
        f"What it predicts with a plan and {SHARDS_A_CORE} shards a core, merging included; nothing of it was run. "
        f"Cores of one machine share its memory, and slow each other where that is the limit: measure yours."
    )
    kept = (
        "What `capture` of all maps would keep, by the frames of these runs. Fewer taps (`--taps`) "
        "or a sample (`--limit`) take their share of it."
    )
    storage = [
        [NETWORKS.get(row["network"], row["network"]), _kb(row["raw_bytes"]), _kb(row["stored_bytes"])]
        + [f"{count * row['stored_bytes'] / 1e12:.3f}" for count in SETS.values()]
        for row in found["networks"]
    ]
    parts = ["## Evaluations in shards", fill(intro, WIDTH)]
    parts += [table(head, stages)]
    parts += [fill(told, WIDTH), table(["network", "images", "workers", "predicted, s", "measured, s", "off"], checks)]
    parts += [fill(predicted, WIDTH), table(["network", "images", *map(_cores, CORES)], _predicted(found))]
    columns = ["network", "8-bit kB an image", "kept, kB an image", *(f"{name}, TB" for name in SETS)]
    parts += [fill(kept, WIDTH), table(columns, storage)]
    return "\n\n".join(parts)


def ray(found: Values) -> str:
    """What a second worker on Ray gains."""
    taken = {(run["workers"], run["images"]): run["seconds"] for run in found["runs"]}
    workers, images = (sorted(set(each)) for each in zip(*taken, strict=True))
    few, many = images
    own = {count: taken[count, many] - taken[count, few] for count in workers}
    intro = (
        f"`benchmarks/scale_ray.py`: `eval --plan --ray local`, {NETWORKS.get(found['network'], found['network'])}, "
        f"batches of {found['batch']}, {found['shards']} shards; a worker has one thread. Seconds are of whole "
        f"commands by the clock. What lies between {few} and {many} images is the workers' own; the rest is the start "
        f"of Ray, of Python and the network in each worker, and the merging. {conditions(found)}"
    )
    head = ["workers", *(f"{count} images, s" for count in images), "between them, s", "times one worker", "the whole"]
    rows = [
        [
            str(count),
            *(f"{taken[count, each]:.1f}" for each in images),
            f"{own[count]:.1f}",
            f"{own[workers[0]] / own[count]:.2f}",
            f"{taken[workers[0], many] / taken[count, many]:.2f}",
        ]
        for count in workers
    ]
    return "\n\n".join(["### Workers on Ray", fill(intro, WIDTH), table(head, rows)])


def _predicted(found: Values) -> list[list[str]]:
    rows = []
    for row in found["networks"]:
        for name, images in SETS.items():
            times = [
                sum(makespan(row["stages"], images, row["batch"], SHARDS_A_CORE * cores, cores)) for cores in CORES
            ]
            rows.append([NETWORKS.get(row["network"], row["network"]), name, *map(_duration, times)])
    return rows


def _cores(count: int) -> str:
    return f"{count} core" if count == 1 else f"{count} cores"


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 5400 else f"{seconds / 60:.1f} min"


def _kb(size: float) -> str:
    return f"{size / 1e3:.0f}"
