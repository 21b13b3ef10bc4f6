"""The section of docs/RESULTS.md on tuning: what it gained, against the same network tuned for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

from results_files import NETWORKS, Values
from results_tables import WIDTH, conditions, table

_INTRO = (
    "`benchmarks/tune.py`: networks trained for a codec, then measured with the plan that came of it, every byte "
    "counted, on images that neither training nor the plan saw. Lambda 0 is the same training without a rate. *Lost* "
    "counts from the better of the network as it was and the one of lambda 0, both in float; *KL* is to the network as "
    "it was."
)


def tunings(found: Sequence[Values]) -> str:
    """All networks."""
    if not found:
        return ""
    return "\n\n".join(["## Tuning", fill(_INTRO, WIDTH), *(_network(each) for each in found)])


def _agreement(runs: list[Values]) -> str:
    """How far the bits that training counted were from those of frames, by the codec's own rate and by others."""
    own = max(_off(tap) for run in runs if _rate(run) == "codec" for tap in run["taps"])
    said = f"Bits as training counts them differ from those of frames by at most {own:.1%} in any map at the end"
    others = [_off(tap) for run in runs if _rate(run) != "codec" for tap in run["taps"]]
    return f"{said}; by the rates that are not the codec's own by {max(others):.1%}." if others else f"{said}."


def _rate(run: Values) -> str:
    return str(run.get("rate", "codec"))


def _network(found: Values) -> str:
    runs = found["runs"]
    parts = [f"### Tuning: {NETWORKS.get(_name(found), _name(found))}", _conditions(found), _figures(found)]
    parts += [fill(_GROWTH, WIDTH), _growth(runs)]
    parts.append(_agreement(runs))
    rows = _plans("as it was", found)
    for run in runs:
        rows += _plans("lambda 0" if run["target_ratio"] is None else f"{_label(run)}, {run['target_ratio']:g}", run)
    if rows:
        parts += [_PLANS, table(["network", "codecs", "budget", *_HEAD], rows)]
    return "\n\n".join(parts)


_GROWTH = (
    "How bits a value of held-back images fall with epochs (in brackets their KL, and the time since tuning began; "
    "that of epoch 0 finds the maps and the untuned network's curve):"
)
_PLANS = (
    "Plans of these networks by `fmapzip plan`, without further training (the last two columns: KL to the same network "
    "in float, and to the network as it was):"
)
_HEAD = ("ratio", "top-1", "KL to its own", "KL")


def _name(found: Values) -> str:
    return str(found["model"].rpartition(":")[2])


def _conditions(found: Values) -> str:
    run, asked = found["runs"][0], found["settings"]
    limit = "" if asked["time_limit"] is None else f" or {asked['time_limit']:.0f} s"
    return (
        f"{found['images']} images of `{found['data']}`, plans of {run['calibration_images']} others; tuned on "
        f"{run['tuning_images']} images of `{found['tuned_on']}`, {asked['epochs']} epochs{limit}, share of labels "
        f"{asked['label_weight']:g}. {conditions(found)}"
    )


def _figures(found: Values) -> str:
    best = max(
        [found["top1"] or 0.0, *(run["float_top1"] or 0.0 for run in found["runs"] if run["target_ratio"] is None)]
    )
    rows = [["the network as it was, in float", "", "", _share(found["top1"]), "", "", ""]]
    for run in found["runs"]:
        goal = "lambda 0" if run["target_ratio"] is None else f"{run['target_ratio']:g}"
        lost = "" if run["top1"] is None else f"{100 * (best - run['top1']):.2f}"
        figures = [_share(run["top1"]), lost, f"{run['kl_vs_original']:.4f}", f"{run['epochs'][-1]['seconds']:.0f} s"]
        rows.append([_label(run), goal, f"{run['ratio_total']:.3f}", *figures])
    return table(["stored by", "ratio asked for", "ratio", "top-1", "lost, points", "KL", "tuned in"], rows)


def _label(run: Values) -> str:
    """The codec, and the rate where it is not the codec's own."""
    rate = _rate(run)
    return f"`{run['codec']}`" if rate == "codec" else f"`{run['codec']}`, rate `{rate}`"


def _growth(runs: Sequence[Values]) -> str:
    epochs = max(len(run["epochs"]) for run in runs)
    rows = []
    for run in runs:
        cells = [
            f"{epoch['real_bits']:.3f} ({epoch['distortion']:.3g}, {epoch['seconds']:.0f} s)" for epoch in run["epochs"]
        ]
        rows.append([_label(run), *cells, *[""] * (epochs - len(cells))])
    return table(["stored by", *map(str, range(epochs))], rows)


def _plans(name: str, found: Values) -> list[list[str]]:
    return [
        [
            name,
            ", ".join(f"`{codec}`" for codec in each["codecs"]),
            _budget(each["budget"]),
            f"{each['ratio_total']:.3f}",
            _share(each["top1"]),
            f"{each['kl_vs_float']:.4f}",
            f"{each['kl_vs_original']:.4f}",
        ]
        for each in found.get("plans", [])
    ]


def _budget(budget: Values) -> str:
    if budget["kind"] == "grids":
        coarser = "" if budget["coarser"] == 1 else f", {budget['coarser']:g} times as coarse"
        return f"the grids of `{budget['value']}`{coarser}"
    return f"KL <= {budget['value']:g}" if budget["kind"] == "kl" else f"ratio >= {budget['value']:g}"


def _off(tap: Values) -> float:
    return float(abs(tap["expected_bits_after"] / tap["bits_after"] - 1))


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
