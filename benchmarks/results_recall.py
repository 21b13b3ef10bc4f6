"""What plans do to recall@1 of distorted copies, the same ones with stored maps and as shipped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill

import numpy as np
from numpy.typing import NDArray
from results_files import Values
from results_tables import WIDTH, conditions, table

from fmapzip.eval.distortions import distortions

SETS = {"copies": "all", "harder copies": "harder"}
ROUNDS = 10_000


@dataclass(frozen=True)
class Paired:
    """Queries that found their image as shipped and with a plan.

    Attributes
    ----------
    queries
        How many.
    before, after
        Percent that found it.
    lost, won
        How many found it as shipped alone, and with the plan alone.
    interval
        Of the points that are lost: 95 %, by bootstrap over images.
    """

    queries: int
    before: float
    after: float
    lost: int
    won: int
    interval: tuple[float, float]


def paired(shipped: Mapping[str, str], plan: Mapping[str, str], kinds: Sequence[str]) -> Paired:
    """Compare the same queries: those of the plan's images, the first of what was shipped.

    Parameters
    ----------
    shipped, plan : mapping
        Of each kind of copy, a 1 for each image that it found and a 0 for each other.
    kinds : sequence of str

    Examples
    --------
    >>> found = paired({"flip": "1101"}, {"flip": "1010"}, ["flip"])
    >>> (found.lost, found.won, found.before, found.after)
    (2, 1, 75.0, 50.0)
    """
    after = _hits(plan, kinds)
    before = _hits(shipped, kinds)[:, : after.shape[1]]
    difference = (before - after).mean(0)
    rows = np.random.default_rng(0).integers(0, len(difference), (ROUNDS, len(difference)))
    low, high = np.percentile(100 * difference[rows].mean(1), (2.5, 97.5))
    return Paired(
        queries=before.size,
        before=float(100 * before.mean()),
        after=float(100 * after.mean()),
        lost=int((before > after).sum()),
        won=int((after > before).sum()),
        interval=(float(low), float(high)),
    )


def _hits(found: Mapping[str, str], kinds: Sequence[str]) -> NDArray[np.float64]:
    return np.array([[float(hit) for hit in found[kind]] for kind in kinds])


def everything(found: Values) -> list[str]:
    """All kinds of copies that were judged."""
    return list(found["hits"])


def recall_table(size: str, found: Values) -> str:
    """The plans of a size; "" where no copies were looked for."""
    judged = [plan for plan in found["plans"] if plan.get("recall")]
    if not judged:
        return ""
    rows = [row for plan in judged for row in _rows(plan, found["shipped"])]
    images = found["shipped"]["images"]
    kinds = "; ".join(f"{name}: {', '.join(distortions(which))}" for name, which in SETS.items())
    intro = (
        f"Copies of {images} images at {size} pixels that did not calibrate, by the same distortions with stored maps "
        f"and as shipped. *Lost*, *won*: copies that find their image as shipped only, and with the plan only. *Points "
        f"lost*: with the 95 % interval by bootstrap over images. *Cosine*: to the embedding of the same copy as "
        f"shipped. {kinds[0].upper()}{kinds[1:]}."
    )
    head = ["plan", "ratio", "of", "queries", "cosine", "as shipped", "with the plan", "lost", "won", "points lost"]
    return f"{fill(intro, WIDTH)}\n\n{table(head, rows)}"


def _rows(plan: Values, shipped: Values) -> Iterator[list[str]]:
    name, ratio = f"**{plan_name(plan)}**", f"{plan['ratio_total']:.2f}"
    for what, which in SETS.items():
        kinds = list(distortions(which))
        each = paired(shipped["hits"], plan["recall"]["hits"], kinds)
        cosine = float(np.mean([plan["recall"]["cosine"][kind] for kind in kinds]))
        low, high = each.interval
        lost = f"{each.before - each.after:.1f} ({low:.1f} to {high:.1f})"
        counts = [f"{each.before:.1f}%", f"{each.after:.1f}%", str(each.lost), str(each.won), lost]
        yield [name, ratio, what, str(each.queries), f"{cosine:.4f}", *counts]


def alone_table(run: Values) -> str:
    """What the maps of a plan cost alone, added up by the stage of the network that reads them."""
    columns = [name for name in run["maps"][0] if name != "map"]
    stages: dict[str, list[Values]] = {}
    for row in run["maps"]:
        stages.setdefault(_stage(row["map"]), []).append(row)
    rows = [
        [name, str(len(maps)), *(f"{sum(row[column] for row in maps):.4f}" for column in columns)]
        for name, maps in stages.items()
    ]
    rows[-1][1] = str(len(run["maps"]) - 1)
    intro = (
        "`benchmarks/maps_alone.py`: why copies lose more than images as they are. 1 - cosine to the embedding as "
        "shipped with one map stored alone, by the plan of `context-rans:level=max` for 0.98, added up by the stage "
        "that reads the maps; *all*: with all stored. One calibration image a column."
    )
    return f"{fill(intro, WIDTH)}\n\n{table(['maps read by', 'maps', *columns], rows)}\n\n- {conditions(run)}"


def _stage(name: str) -> str:
    """Of a node's name, the stage that it is in.

    Examples
    --------
    >>> _stage("/backbone/blocks/0/block0-1/convolutional_block/3/Conv"), _stage("all")
    ('stage 1', 'all')
    """
    _, inside, rest = name.partition("/blocks/")
    if inside:
        return f"stage {int(rest[0]) + 1}"
    return name if name == "all" else "the last layer"


def plan_name(plan: Values) -> str:
    """What a row calls a plan."""
    on = " on copies" if plan.get("on_copies") else ""
    return f"`{plan['codec']}` planned for a cosine of {plan['cosine']:g}{on}"
