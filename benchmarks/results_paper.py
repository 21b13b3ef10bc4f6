"""The first section of docs/RESULTS.md and of README's results: the network of the paper, complete."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import fill

from results_files import Values
from results_tables import WIDTH, conditions, table

TITLE = "The complete ResNet-50"
PUBLISHED = (
    ("DCT-CM (ISCAS 2021)", 2.9, "average on ResNet-50 for ImageNet, 8 bits; which maps it is of is not said"),
    ("TECO (TNNLS 2023)", 2.31, "ResNet-50 for ImageNet, with a loss function of its own"),
    ("CAT (JMLR 2021)", 5.0, "trained for low entropy; its abstract has 1.5 bits a value on ResNet-18, from 5 bits"),
)


def paper(runs: Sequence[Values]) -> str:
    """Every method at each size, plans, and what is published; "" where nothing was measured."""
    sizes = merged(runs)
    if not sizes:
        return ""
    head = ["method", *(f"{size} px" for size in sizes), "cosine", "recall@1"]
    rows = [*_plan_rows(sizes), *_method_rows(sizes, lossless_only=False)]
    published = [[f"*{name}*", *[f"*{ratio:g}*"] * len(sizes), "", ""] for name, ratio, _ in PUBLISHED]
    intro = (
        "`benchmarks/paper.py`: ResNet-50 v1.5 for copy detection (SSCD, int8 QDQ ONNX), the integers of all its "
        "maps, stages 1 to 4. *Cosine*: the mean to the embeddings of the network as shipped, on images that did not "
        "calibrate. *Recall@1*: distorted copies through the network with stored maps, among the embeddings of all "
        "images by the network as shipped."
    )
    notes = [f"- {name}, as published, of other maps and other integers: {what}." for name, _, what in PUBLISHED]
    lines = [line for size, found in sizes.items() for line in _facts(size, found)]
    machine = f"- {conditions(runs[0])}"
    parts = [f"## {TITLE}", fill(intro, WIDTH), table(head, [*rows, *published]), "\n".join([*lines, *notes, machine])]
    return "\n\n".join(parts)


def short_paper(runs: Sequence[Values]) -> str:
    """README's table: plans, lossless methods, what is published."""
    sizes = merged(runs)
    if not sizes:
        return ""
    head = [f"{TITLE}, all its maps, every byte counted", *(f"{size} px" for size in sizes), "cosine", "recall@1"]
    best: dict[str, list[str]] = {}
    for row in _method_rows(sizes, lossless_only=True):
        name = row[0].strip("`")
        best.setdefault(name if name.startswith("**") else name.partition(":")[0].partition("`")[0], row)
    published = [[f"*{name}*, other maps", *[f"*{ratio:g}*"] * len(sizes), "", ""] for name, ratio, _ in PUBLISHED]
    return table(head, [*_plan_rows(sizes), *best.values(), *published])


def merged(runs: Sequence[Values]) -> dict[str, Values]:
    """What was measured at each size, of several runs."""
    found: dict[str, Values] = {}
    for run in runs:
        for part in run["sizes"]:
            known = found.setdefault(part["size"], {"plans": []})
            known["plans"] += part["plans"]
            known |= {key: part[key] for key in ("arena", "shipped") if key in part}
    return found


def _plan_rows(sizes: dict[str, Values]) -> Iterator[list[str]]:
    asked = {(plan["cosine"], plan["codec"]): None for found in sizes.values() for plan in found["plans"]}
    for cosine, codec in sorted(asked, key=lambda key: (key[0], key[1])):
        plans = [_plan(found, cosine, codec) for found in sizes.values()]
        ratios = [f"{plan['ratio_total']:.2f}" if plan else "" for plan in plans]
        known = [plan for plan in plans if plan]
        recalls = [f"{plan['recall']['recall']:.1f}%" for plan in known if plan.get("recall")]
        cosines = [f"{cosine_of(plan['output_sqnr_db']):.4f}" for plan in known]
        name = f"**`{codec}` planned for a cosine of {cosine:g}**"
        yield [name, *ratios, ", ".join(cosines), ", ".join(recalls)]


def _plan(found: Values, cosine: float, codec: str) -> Values | None:
    return next((plan for plan in found["plans"] if (plan["cosine"], plan["codec"]) == (cosine, codec)), None)


def _method_rows(sizes: dict[str, Values], lossless_only: bool) -> list[list[str]]:
    """Methods of the arenas, the smallest at the first size first."""
    arenas = [found.get("arena") for found in sizes.values()]
    order: dict[str, float] = {}
    for arena in arenas:
        for method in arena["methods"] if arena else ():
            if method["status"] == "ok" and (method["lossless"] or not lossless_only):
                order.setdefault(method["label"], method["total_bytes"] / arena["raw_bytes"])
    return [_method_row(label, arenas) for label in sorted(order, key=lambda label: order[label])]


def _method_row(label: str, arenas: Sequence[Values | None]) -> list[str]:
    ratios, cosines, name = [], [], f"`{label}`"
    for arena in arenas:
        method = next((m for m in arena["methods"] if m["label"] == label), None) if arena else None
        if arena is None or method is None or method["status"] != "ok":
            ratios.append("")
            continue
        ratios.append(f"{arena['raw_bytes'] / method['total_bytes']:.3f}")
        if not method["lossless"] and method["output_sqnr_db"] is not None:
            cosines.append(f"{cosine_of(method['output_sqnr_db']):.4f}")
        if method["ours"]:
            name = f"**`{label}`**"
        elif method["layout"] in ("channels-last", "tiled"):
            name = f"`{label}` ({method['layout']})"
    return [name, *ratios, ", ".join(cosines) or "exact", ""]


def _facts(size: str, found: Values) -> Iterator[str]:
    arena = found.get("arena")
    if arena is not None:
        ours, theirs = (_best(arena, mine) for mine in (True, False))
        yield (
            f"- {size} px: {arena['taps']} maps, {arena['images']} images of `imagenet200`, "
            f"calibrated on {arena['calibration_images']} others; {arena['zeros']:.1%} zeros, order-0 entropy "
            f"{arena['entropy_bits']:.2f} bits ({8 / arena['entropy_bits']:.2f}x). Smallest without loss: "
            f"`{ours['label']}`, {1 - ours['total_bytes'] / theirs['total_bytes']:.1%} fewer bytes than the best peer, "
            f"`{theirs['label']}`."
        )
    if found["plans"]:
        plan = found["plans"][0]
        words = f"- {size} px: plans measured on {plan['images']} images"
        if plan.get("recall") and "shipped" in found:
            words += (
                f"; recall of {plan['recall']['queries']} copies, {found['shipped']['recall']:.1f}% by the network "
                "as shipped"
            )
        yield f"{words}."


def _best(arena: Values, ours: bool) -> Values:
    exact = [m for m in arena["methods"] if m["status"] == "ok" and m["lossless"] and m["ours"] == ours]
    return min(exact, key=lambda method: int(method["total_bytes"]))


def cosine_of(sqnr_db: float) -> float:
    """The mean cosine of vectors of length 1 at an SQNR.

    Examples
    --------
    >>> round(cosine_of(20.0), 4)
    0.995
    """
    return 1 - 10 ** (-sqnr_db / 10) / 2
