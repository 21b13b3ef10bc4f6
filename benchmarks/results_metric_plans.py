"""The section of docs/RESULTS.md on plans by what a metric may lose."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10
from textwrap import fill

from results_files import NETWORKS, Values
from results_tables import WIDTH, conditions, table

MOST_POINTS = 10


def metric_plans(runs: Sequence[Values]) -> str:
    """Each kept report of ``fmapzip plan``; "" where there is none."""
    if not runs:
        return ""
    intro = (
        "`fmapzip plan --max-metric-loss`: what the metric lost on the calibration images, which chose and verified, "
        "with its 95 % interval by bootstrap over them, and whole plans that the search ran on the images that choose: "
        "the ratio of frames alone (`context-rans:level=max` is searched by `default`, which takes more bytes), and "
        "the noise of the output that it spent, in which the metric may weigh errors. What plans lose on the other "
        "images stands in *In the network*."
    )
    return "\n\n".join(["## Plans by a metric", fill(intro, WIDTH), *map(_section, runs)])


def _section(run: Values) -> str:
    task, chosen = run["task"], run["choosing"]
    low, high = task["loss_interval"]
    told = (
        f"{NETWORKS.get(run['model'], run['model'])}, {run['budget']['words']}: on the {chosen['images']} images that "
        f"chose {chosen['ratio_with_plan']:.3f}x, plan counted, at {chosen['output_sqnr_db']:.1f} dB; on all "
        f"{task['images']} {task['loss']:.2f} lost ({low:.2f} to {high:.2f}). {conditions(run)}"
    )
    points = lower_hull(run)
    rows = [["ratio", *(f"{ratio:.2f}" for ratio, _ in points)], ["dB", *(f"{decibels:.1f}" for _, decibels in points)]]
    head = ["plans that were run", *[""] * len(points)]
    return f"{told}\n\n{table(head, rows)}"


def lower_hull(run: Values) -> list[tuple[float, float]]:
    """Plans that no other one beats in bytes and in noise, thinned out: their ratio, and dB of signal over noise.

    Examples
    --------
    >>> tried = ((50.0, 0.1), (25.0, 1.0), (60.0, 0.2))
    >>> lower_hull({"raw_bytes": 100, "curve": [{"bytes": size, "distortion": noise} for size, noise in tried]})
    [(4.0, 0.0), (2.0, 10.0)]
    """
    best: list[tuple[float, float]] = []
    for step in sorted(run["curve"], key=lambda step: (step["bytes"], step["distortion"])):
        decibels = 10 * log10(1 / step["distortion"])
        if not best or decibels > best[-1][1]:
            best.append((run["raw_bytes"] / step["bytes"], decibels))
    last = max(1, len(best) - 1)
    kept = sorted({round(i * last / (MOST_POINTS - 1)) for i in range(MOST_POINTS)} & set(range(len(best))))
    return [best[i] for i in kept]
