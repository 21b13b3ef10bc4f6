"""The section of docs/RESULTS.md on plans: what budgets gave, and what that saves against one step for all maps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import exp, log
from textwrap import fill

from results_files import NETWORKS, Values
from results_tables import WIDTH, conditions, table

COMPARED_STEPS = (2, 3)
SHOWN = (["auto"], ["dct-cm"])


def plans(runs: Sequence[Values]) -> str:
    """All networks and choices of codecs."""
    if not runs:
        return ""
    intro = (
        "`benchmarks/plan_budgets.py`: `fmapzip plan` with several budgets, from the calibration images alone; then "
        "the plans on the other images. Beside them `context-rans` with one step for all maps and trained points. "
        "*Fewer bytes* compares at the distortion of such a step on the same images: straight lines between plans, the "
        "logarithm of bytes against the logarithm of KL, or against dB. The first plan's time is that of all "
        "measurements; the others share them. Of choices other than `auto` and `dct-cm`, only this comparison is shown."
    )
    names = sorted({_network(run) for run in runs}, key=lambda name: [*NETWORKS, name].index(name))
    networks = [_section([run for run in runs if _network(run) == name]) for name in names]
    return "\n\n".join(["## Plans", fill(intro, WIDTH), *networks])


def _section(runs: Sequence[Values]) -> str:
    """One network."""
    name = _network(runs[0])
    parts = [f"### Plans: {NETWORKS.get(name, name)}"]
    for run in sorted(runs, key=lambda run: run["codecs"] != ["auto"]):
        if run["codecs"] in SHOWN:
            parts += [_conditions(run), _budgets(run)]
    parts.append(_comparison(runs))
    within = [run for run in runs if all(choice.startswith("dct-cm") for choice in run["codecs"])]
    if within:
        parts += ["What these plans chose within DCT-CM, in maps of all their budgets:", _paths(within)]
    return "\n\n".join(parts)


def _conditions(run: Values) -> str:
    return (
        f"{run['images']} images of `{run['data']}`, calibrated on {run['calibration_images']} others, quantizer "
        f"`{run['quantizer']}`; codecs to choose from: `{' '.join(run['codecs'])}`. {conditions(run)}"
    )


def _budgets(run: Values) -> str:
    scored, raw = _scored(run), run["raw_bytes"]
    distortion = ["KL to float", "top-1", "changed"] if scored else ["output"]
    rows = [[f"step {each['step']}", *_figures(each, raw, scored), ""] for each in run["uniform"]]
    for each in run["plans"]:
        rows.append([_budget(each), *_figures(each, raw, scored), f"{each['planning_seconds']:.0f} s"])
    return table(["", "ratio", "bytes an image", "plan", *distortion, "planned in"], rows)


def _figures(each: Values, raw: int, scored: bool) -> Iterable[str]:
    yield f"{each['ratio_total']:.3f}"
    yield f"{raw / each['ratio_total']:.0f}"
    yield f"{each['plan_bytes'] / 1e3:.1f} kB"
    if scored:
        yield from (f"{each['kl_vs_float']:.4f}", f"{each['top1']:.1%}", str(each["changed_vs_int8"]))
    else:
        yield f"{each['output_sqnr_db']:.2f} dB"


def _comparison(runs: Sequence[Values]) -> str:
    """What each choice of codecs reaches at the distortion of one step for all maps."""
    head, rows = ["codecs to choose from", "images"], []
    for step in COMPARED_STEPS:
        head += [f"ratio at step {step}'s distortion", "fewer bytes"]
    for run in runs:
        rows.append([f"`{' '.join(run['codecs'])}`", str(run["images"])])
        for step in COMPARED_STEPS:
            uniform = next(each for each in run["uniform"] if each["step"] == step)
            ratio = ratio_at(run["plans"], _distortion(uniform, _scored(run)), _scored(run))
            rows[-1] += ["-", "-"] if ratio is None else [f"{ratio:.3f}", f"{1 - uniform['ratio_total'] / ratio:.1%}"]
    return table(head, rows)


def _paths(runs: Sequence[Values]) -> str:
    """How often plans took DCT-CM's paths, masks and groups."""
    rows = []
    for run in runs:
        choices = [choice for plan in run["plans"] for choice in plan["choices"]]
        transforms = [choice["codec"] for choice in choices if choice["codec"]["path"] == "transform"]
        groups = Counter(int(config["group"]) for config in transforms)
        rows.append(
            [
                f"`{' '.join(run['codecs'])}`",
                str(len(choices)),
                str(len(choices) - len(transforms)),
                str(sum(choice["shaped"] for choice in choices)),
                ", ".join(f"{count} of {group}" for group, count in sorted(groups.items())),
                str(sum(config["keep"] is not None for config in transforms)),
                str(sum(config["zero_mask"] for config in transforms)),
            ]
        )
    head = ["codecs to choose from", "maps", "mask path", "a scale a channel", "transforms, channels a group"]
    return table([*head, "with a frequency mask", "with a zero mask"], rows)


def ratio_at(found: Sequence[Values], distortion: float, scored: bool) -> float | None:
    """The ratio that plans reach at a distortion, interpolated; None where they do not span it."""
    curve = sorted((_distortion(each, scored), log(each["ratio_total"])) for each in found)
    for (low, least), (high, most) in pairwise(curve):
        if low <= distortion <= high:
            return exp(least + (most - least) * (distortion - low) / max(high - low, 1e-12))
    return None


def _distortion(each: Values, scored: bool) -> float:
    """The logarithm of KL, or dB of noise over signal: what lines are straight in."""
    return log(each["kl_vs_float"]) if scored else -float(each["output_sqnr_db"])


def _budget(plan: Values) -> str:
    kind, value = plan["budget"]["kind"], plan["budget"]["value"]
    words = f"KL <= {value:g}" if kind == "kl" else f">= {value:g} dB"
    return words if plan["met"] else f"{words} (not met)"


def _scored(run: Values) -> bool:
    return bool(run["plans"][0]["budget"]["kind"] == "kl")


def _network(run: Values) -> str:
    return str(run["model"].rpartition(":")[2])
