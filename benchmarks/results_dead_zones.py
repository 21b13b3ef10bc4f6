"""The section of docs/RESULTS.md on dead zones: what a wider interval of zero saves at equal squared error."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median
from textwrap import fill

from results_files import NETWORKS, Values
from results_tables import WIDTH, conditions, table

_INTRO = (
    "`benchmarks/dead_zones.py`: bytes that are saved where magnitudes up to so many integers beyond half a step "
    "become zero too, at equal squared error between steps, points and tables trained with it. Median over maps of at "
    "least 4096 values and steps, the range in brackets; *best* lets each map choose its width, or none, and is a mean "
    "over maps. For so little the planner has no such candidate: points at trained means, and steps on finer grids, "
    "have taken the gain already."
)


_TRAINED = (
    "`benchmarks/trained_dead_zones.py`: widths that train with the network, one a map, in steps of the codec; half a "
    "step is what rounding does. *Loss* is the task's plus what a bit is worth times the bits a value, of images that "
    "do not train. Widths: the median of all maps after the last epoch, the range in brackets."
)


def dead_zones(found: Sequence[Values]) -> str:
    """All networks."""
    if not found:
        return ""
    rows = [_row(each, codec, maps) for each in found for codec, maps in each["codecs"].items()]
    widths = list(found[0]["codecs"]["dct-cm"][0]["saved"])
    head = ["network", "coded by", *(f"{width} wider" for width in widths), "best"]
    return "\n\n".join(["## Dead zones", fill(_INTRO, WIDTH), table(head, rows), _conditions(found)])


def trained_dead_zones(found: Values) -> str:
    """One network, with widths that train and without."""
    rows = [_trained_row(run) for run in found["runs"]]
    head = ["step", "a bit is worth", "widths begin at", "widths reached", "task", "bits", "loss"]
    told = (
        f"{NETWORKS[found['network']]}, {found['images']} images of `{found['tuned_on']}`, {found['epochs']} epochs, "
        f"measured on {found['held_back']} others; learning rate {found['learning_rate']:g}. {conditions(found)}"
    )
    return "\n\n".join(["### Dead zones that train", fill(_TRAINED, WIDTH), table(head, rows), told])


def _trained_row(run: Values) -> list[str]:
    last, widths = run["epochs"][-1], sorted(run["widths"].values())
    reached = f"{median(widths):.3f} ({widths[0]:.3f} to {widths[-1]:.3f})" if widths else ""
    loss = last["task"] + run["price"] * last["bits"]
    first = f"{run['width']:g}" if widths else "none"
    figures = (f"{last['task']:.4f}", f"{last['bits']:.4f}", f"{loss:.4f}")
    return [str(run["step"]), f"{run['price']:g}", first, reached, *figures]


def _row(found: Values, codec: str, maps: Sequence[Values]) -> list[str]:
    name = {"dct-cm": "`dct-cm:path=mask`"}.get(codec, f"`{codec}`")
    columns = []
    for width in maps[0]["saved"]:
        saved = [share for tap in maps for share in tap["saved"][width]]
        columns.append(f"{median(saved):.1%} ({min(saved):.1%} to {max(saved):.1%})")
    best = fmean(max(0.0, *(fmean(saved) for saved in tap["saved"].values() if saved)) for tap in maps)
    return [NETWORKS[found["network"]], name, *columns, f"{best:.2%}"]


def _conditions(found: Sequence[Values]) -> str:
    steps = found[0]["steps"]
    samples = " and ".join(str(each["samples"]) for each in found)
    return f"Odd steps from {steps[0]} to {steps[-1]}; {samples} images, half of which train. {conditions(found[0])}"
