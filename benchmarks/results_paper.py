"""The first section of docs/RESULTS.md and of README's results: the network of the paper, complete."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from textwrap import fill

from results_files import Values
from results_recall import alone_table, everything, paired, plan_name, recall_table
from results_tables import WIDTH, conditions, table

from fmapzip.documents.maps import pooled
from fmapzip.report.settings import changed_settings

TITLE = "The complete ResNet-50"
PUBLISHED = (
    ("DCT-CM (ISCAS 2021)", "2.9", "average on ResNet-50 for ImageNet, 8 bits; which maps it is of is not said"),
    ("TECO (TNNLS 2023)", "2.31", "ResNet-50 for ImageNet, with a loss function of its own"),
    (
        "CAT (JMLR 2021)",
        "5.0",
        "trained for low entropy; quoted at second hand, the abstract has 1.5 bits on ResNet-18",
    ),
)

ROUNDED = (
    "*Exact* is of the integers. One map, the pooled vector before the last layer, is floating point in the file and "
    "is rounded to 8 bits whatever the codec: `dct-cm`, whose choice here loses nothing else, shows what that costs."
)


def paper(runs: Sequence[Values], whole: Sequence[Values] = (), alone: Sequence[Values] = ()) -> str:
    """Every method at each size, plans, and what is published; "" where nothing was measured.

    `whole`: reports of `fmapzip eval`, lossless on all images. `alone`: what the maps of a plan cost alone.
    """
    sizes = merged(runs)
    if not sizes:
        return ""
    head = ["method", *_columns(sizes), "cosine", "recall@1"]
    rows = [*_plan_rows(sizes), *_whole_rows(whole, sizes), *_method_rows(sizes, lambda _: True)]
    intro = (
        "`benchmarks/paper.py`: ResNet-50 v1.5 for copy detection (SSCD, int8 QDQ ONNX), the integers of all its "
        "maps, stages 1 to 4. *Cosine*: the mean to the embeddings of the network as shipped, on images that did not "
        "calibrate. *Recall@1*: distorted copies through the network with stored maps, among the embeddings of all "
        "images by the network as shipped."
    )
    notes = [f"- {name}, as published, of other maps and other integers: {what}." for name, _, what in PUBLISHED]
    lines = [line for size, found in sizes.items() for line in _facts(size, found)]
    lines += [_whole_fact(run) for run in whole]
    notes.append(f"- {ROUNDED}")
    machine = f"- {conditions(runs[0])}"
    parts = [
        f"## {TITLE}",
        fill(intro, WIDTH),
        _telling(head, [*rows, *_published(sizes)]),
        "\n".join([*lines, *notes, machine]),
        *(recall_table(size, found) for size, found in sizes.items()),
        *map(alone_table, alone),
    ]
    return "\n\n".join(filter(None, parts))


def short_paper(runs: Sequence[Values], whole: Sequence[Values] = ()) -> str:
    """README's table: plans, lossless methods, lossy ones of ours that keep a cosine of 0.98, what is published."""
    sizes = merged(runs)
    if not sizes:
        return ""
    head = [f"{TITLE}, all its maps", *_columns(sizes), "cosine", "recall@1"]
    best: dict[str, list[str]] = {}
    for row in _method_rows(sizes, _worth_a_look):
        name = row[0].strip("`")
        best.setdefault(name if name.startswith("**") else name.partition(":")[0].partition("`")[0], row)
    rows = [*_plan_rows(sizes), *_whole_rows(whole, sizes), *best.values(), *_published(sizes)]
    facts = [line for size, found in sizes.items() for line in _facts(size, found)] + [*map(_whole_fact, whole)]
    folded = ["<details><summary>Images, calibration and plans of these rows</summary>", "\n".join(facts), "</details>"]
    return "\n\n".join([_telling(head, rows), *folded])


def _columns(sizes: dict[str, Values]) -> list[str]:
    return [name for size in sizes for name in (f"{size} px", "maps alone")]


def _published(sizes: dict[str, Values]) -> list[list[str]]:
    return [[f"*{name}, other maps*", *[f"*{ratio}*", ""] * len(sizes), "", ""] for name, ratio, _ in PUBLISHED]


def _telling(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table without the columns that tell nothing."""
    kept = [i for i in range(len(head)) if any(row[i] not in ("", "exact") for row in rows)]
    return table([head[i] for i in kept], [[row[i] for i in kept] for row in rows])


def merged(runs: Sequence[Values]) -> dict[str, Values]:
    """What was measured at each size, of several runs."""
    found: dict[str, Values] = {}
    for run in runs:
        for part in run["sizes"]:
            known = found.setdefault(part["size"], {"plans": []})
            known["plans"] += part["plans"]
            if "arena" in part:
                known["arena"] = part["arena"]
            shipped = [each["shipped"] for each in (known, part) if "shipped" in each]
            if shipped:
                known["shipped"] = max(shipped, key=lambda each: int(each["images"]))
    return found


def _plan_rows(sizes: dict[str, Values]) -> Iterator[list[str]]:
    asked = {plan_name(plan): plan for found in sizes.values() for plan in found["plans"]}
    for name in sorted(asked, key=lambda name: (asked[name]["cosine"], name)):
        plans = [next((p for p in found["plans"] if plan_name(p) == name), None) for found in sizes.values()]
        ratios = [f"{plan[key]:.2f}" if plan else "" for plan in plans for key in ("ratio_total", "ratio_payload")]
        known = [plan for plan in plans if plan]
        recalls = [_recall(found, plan) for found, plan in zip(sizes.values(), plans, strict=True) if plan]
        cosines = [f"{cosine_of(plan['output_sqnr_db']):.4f}" for plan in known]
        yield [f"**{name}**", *ratios, ", ".join(cosines), ", ".join(filter(None, recalls))]


def _recall(found: Values, plan: Values) -> str:
    """Of all copies, the share that finds its image, and as shipped."""
    if not plan.get("recall"):
        return ""
    each = paired(found["shipped"]["hits"], plan["recall"]["hits"], everything(plan["recall"]))
    return f"{each.after:.1f}% of {each.before:.1f}%"


def _whole_rows(whole: Sequence[Values], sizes: dict[str, Values]) -> Iterator[list[str]]:
    """Codecs without loss on all images, the smallest first."""
    for run in whole:
        for entry in sorted(run["codecs"], key=lambda entry: -float(entry["ratio_total"])):
            figures = [f"{entry[key]:.3f}" for key in ("ratio_total", "ratio_payload")]
            cells = [cell for size in sizes for cell in (figures if size == _size(run) else ["", ""])]
            name = f"**`{entry['codec']}{changed_settings(entry['config'])}`**, {run['images']} images"
            yield [name, *cells, "exact", ""]


def _whole_fact(run: Values) -> str:
    zeros, bits = (pooled(run["taps"], key) for key in ("zeros", "entropy_bits"))
    return (
        f"- {_size(run)} px: {run['images']} images by `fmapzip eval`, calibrated on {run['calibration_images']} "
        f"others, which share the plan's bytes; {_alike(zeros, bits)}."
    )


def _alike(zeros: float, bits: float) -> str:
    """What integers are like."""
    return f"{zeros:.1%} zeros, order-0 entropy {bits:.2f} bits ({8 / bits:.2f}x)"


def _size(run: Values) -> str:
    return str(run["protocol"]["input"]["resize"][0])


def _method_rows(sizes: dict[str, Values], shown: Callable[[Values], bool]) -> list[list[str]]:
    """Methods of the arenas, the smallest at the first size first."""
    arenas = [found.get("arena") for found in sizes.values()]
    order: dict[str, float] = {}
    for arena in arenas:
        for method in arena["methods"] if arena else ():
            if method["status"] == "ok" and shown(method):
                order.setdefault(method["label"], method["total_bytes"] / arena["raw_bytes"])
    return [_method_row(label, arenas) for label in sorted(order, key=lambda label: order[label])]


def _worth_a_look(method: Values) -> bool:
    """Whether it loses nothing, or is ours and keeps a cosine of 0.98."""
    lost = method["output_sqnr_db"]
    return bool(method["lossless"] or (method["ours"] and lost is not None and cosine_of(lost) >= 0.98))


def _method_row(label: str, arenas: Sequence[Values | None]) -> list[str]:
    ratios, cosines, name = [], [], f"`{label}`"
    for arena in arenas:
        method = next((m for m in arena["methods"] if m["label"] == label), None) if arena else None
        if arena is None or method is None or method["status"] != "ok":
            ratios += ["", ""]
            continue
        ratios += [f"{arena['raw_bytes'] / method[key]:.3f}" for key in ("total_bytes", "bytes")]
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
        yield (
            f"- {size} px: {arena['taps']} maps, {arena['images']} images of `imagenet200`, calibrated on "
            f"{arena['calibration_images']} others; {_alike(arena['zeros'], arena['entropy_bits'])}. {_ahead(arena)}"
        )
    for made in dict.fromkeys(map(_made, found["plans"])):
        alike = [plan for plan in found["plans"] if _made(plan) == made]
        codecs = " and ".join(dict.fromkeys(f"`{plan['codec']}`" for plan in alike))
        yield f"- {size} px: plans of {codecs}: {made}."
    judged = [plan for plan in found["plans"] if plan.get("recall")]
    for images in sorted({plan["recall"]["images"] for plan in judged}, reverse=True):
        alike = [plan for plan in judged if plan["recall"]["images"] == images]
        ratios = " and ".join(f"{plan['ratio_total']:.2f}x" for plan in alike)
        copies = images * len(alike[0]["recall"]["hits"])
        yield (
            f"- {size} px: recall@1 of {copies} distorted copies of {images} images with plans "
            f"at {ratios}, of what it is by the network as shipped."
        )


def _made(plan: Values) -> str:
    """What a plan was made and measured on."""
    copies = ", each distorted by another of the hard and harder copies," if plan.get("on_copies") else ""
    return (
        f"made on {plan['calibration_images']} images{copies} and measured on {plan['images']} others, which share the "
        f"plan's bytes"
    )


def _ahead(arena: Values) -> str:
    """What the smallest lossless methods are to each other: maps alone, and with what is kept once for many images."""
    ours, theirs = (_best(arena, mine) for mine in (True, False))

    def less(images: int) -> str:
        sizes = [each["bytes"] * images / arena["images"] + each["side_bytes"] for each in (ours, theirs)]
        share = 1 - sizes[0] / sizes[1]
        return f"{abs(share):.1%} {'fewer' if share >= 0 else 'more'}"

    alone = f"{1 - ours['bytes'] / theirs['bytes']:.1%}"
    return (
        f"Smallest without loss: `{ours['label']}`, maps alone {alone} fewer bytes than the best peer, "
        f"`{theirs['label']}`; with its plan of {ours['side_bytes'] / 1e3:.0f} kB counted once for these images "
        f"{less(arena['images'])}, for 40 images like them it would be {less(40)}, for 160 {less(160)}."
    )


def _best(arena: Values, ours: bool) -> Values:
    exact = [m for m in arena["methods"] if m["status"] == "ok" and m["lossless"] and m["ours"] == ours]
    return min(exact, key=lambda method: int(method["bytes"]))


def cosine_of(sqnr_db: float) -> float:
    """The mean cosine of vectors of length 1 at an SQNR.

    Examples
    --------
    >>> round(cosine_of(20.0), 4)
    0.995
    """
    return 1 - 10 ** (-sqnr_db / 10) / 2
