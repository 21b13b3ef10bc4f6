"""The sections of docs/RESULTS.md, each from one kind of measurement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import fill

from results_files import NETWORKS, Values

from fmapzip.bench.summary import sentences
from fmapzip.documents.maps import pooled
from fmapzip.report.settings import changed_settings

NAMED_PACKAGES = ("numpy", "torch", "zstandard", "lz4", "blosc2", "pcodec", "zfpy", "brotli", "imagecodecs")
WIDTH = 150


def evals(runs: Sequence[Values]) -> str:
    """What ``fmapzip eval`` says, all networks in one table."""
    if not runs:
        return ""
    order = list(NETWORKS)
    runs = sorted(runs, key=lambda run: order.index(run["model"]) if run["model"] in order else len(order))
    head = [
        "network",
        "codec",
        "ratio",
        "payload ratio",
        "plan",
        "KL to 8-bit",
        "KL to float",
        "top-1",
        "changed",
        "output",
    ]
    rows = [_eval_row(run, entry) for run in runs for entry in run["codecs"]]
    lines = [f"- {NETWORKS.get(run['model'], run['model'])}: {_eval_conditions(run)}" for run in runs]
    intro = (
        "`fmapzip eval`, every map stored and read back while the network runs. *Changed*: predictions that differ "
        "from the 8-bit network's. *Output*: SQNR of the network's output, where it is not class scores."
    )
    parts = ["## In the network", fill(intro, WIDTH), table(head, rows), "\n".join(lines)]
    return "\n\n".join([*parts, *_tasks(runs)])


def _tasks(runs: Sequence[Values]) -> list[str]:
    """What networks lose of what they are for, where a metric judged them."""
    rows = [
        [
            NETWORKS.get(run["model"], run["model"]).partition(" (")[0],
            name,
            "" if ratio is None else f"{ratio:.3f}",
            task["figure"],
            f"{task['value']:.2f}",
            _interval(task["interval"]),
            "" if task["loss"] is None else f"{task['loss']:.2f}",
            _interval(task["loss_interval"]),
        ]
        for run in runs
        for name, ratio, tasks in _judged(run)
        for task in tasks
    ]
    if not rows:
        return []
    intro = (
        "By what they are for (`--metric`; shares in percent): each figure with its 95 % interval by bootstrap over "
        "images, and what is lost against the float network, with the interval of that."
    )
    head = ["network", "codec", "ratio", "figure", "value", "interval", "lost", "interval of it"]
    return [fill(intro, WIDTH), table(head, rows)]


def _judged(run: Values) -> Iterator[tuple[str, float | None, list[Values]]]:
    for name, words in (("float", "float"), ("int8", "8-bit")):
        yield words, None, run["baselines"][name].get("tasks") or []
    for entry in run["codecs"]:
        yield f"`{entry['codec']}{changed_settings(entry['config'])}`", entry["ratio_total"], entry.get("tasks") or []


def _interval(ends: Sequence[float] | None) -> str:
    return "" if ends is None else f"{ends[0]:.2f} to {ends[1]:.2f}"


def _eval_conditions(run: Values) -> str:
    base = run["baselines"]
    accuracy = ""
    if base["float"]["top1"] is not None:
        accuracy = f" Top-1 {base['float']['top1']:.1%} in float, {base['int8']['top1']:.1%} in 8 bits."
    calibrated = f"calibrated on {run['calibration_images']} others" if run["calibration_images"] else "as planned"
    return (
        f"{run['images']} images of `{run['data']}`, {calibrated}, quantizer "
        f"`{run['quantizer']}`.{_maps(run)}{accuracy}{_input(run)} {conditions(run)}"
    )


def _input(run: Values) -> str:
    """How images were read; runs of earlier releases do not tell."""
    found = run["protocol"].get("input")
    return "" if found is None else f" Input: {found['words']}."


def _maps(run: Values) -> str:
    """What the integers are like; runs of earlier releases do not tell."""
    if not run.get("taps"):
        return ""
    zeros, entropy = (pooled(run["taps"], key) for key in ("zeros", "entropy_bits"))
    return f" {zeros:.1%} zeros, order-0 entropy {entropy:.2f} bits a value."


def _eval_row(run: Values, entry: Values) -> list[str]:
    def shown(key: str, form: str) -> str:
        return "" if entry[key] is None else format(entry[key], form)

    return [
        NETWORKS.get(run["model"], run["model"]).partition(" (")[0],
        f"`{entry['codec']}{changed_settings(entry['config'])}`",
        f"{entry['ratio_total']:.3f}",
        f"{entry['ratio_payload']:.3f}",
        f"{entry['plan_bytes'] / 1e3:.1f} kB",
        shown("kl_vs_int8", ".4f"),
        shown("kl_vs_float", ".4f"),
        shown("top1", ".1%"),
        shown("changed_vs_int8", "d"),
        "" if entry["output_sqnr_db"] is None or entry["top1"] is not None else f"{entry['output_sqnr_db']:.1f} dB",
    ]


def arena(report: Values) -> str:
    source, totals = report["source"], report["totals"]
    raw = totals["raw_bytes"]
    title = NETWORKS.get(source["model"], source["model"])
    intro = (
        f"{len(report['taps'])} taps, {source['images']} images of `{source['data']}` ({raw / 1e6:.1f} MB, "
        f"{totals['zeros']:.1%} zeros), calibrated on {source['calibration_images']} others, "
        f"quantizer `{source['quantizer']}`. {conditions(report)}"
    )
    distortion = _distortion(report)
    head = [
        "method",
        "ratio",
        "maps alone",
        "bits",
        "encode",
        "decode",
        "SQNR",
        *([distortion[1]] if distortion else []),
    ]
    rows = [_arena_row(entry, raw, distortion) for entry in report["codecs"] if entry["status"] == "ok"]
    others = [f"- {entry['label']}: {entry['status']}" for entry in report["codecs"] if entry["status"] != "ok"]
    words = [f"- {text}" for text in sentences(report)]
    return "\n\n".join([f"## {title}", intro, table(head, rows), "\n".join([*words, *others])])


def _distortion(report: Values) -> tuple[str, str] | None:
    for key, name in (("kl_vs_float", "KL to float"), ("output_sqnr_db", "output SQNR")):
        if any((entry.get("distortion") or {}).get(key) is not None for entry in report["codecs"]):
            return key, name
    return None


def _arena_row(entry: Values, raw: int, distortion: tuple[str, str] | None) -> list[str]:
    name = f"`{entry['label']}`" + (f" ({entry['layout']})" if entry["layout"] in ("channels-last", "tiled") else "")
    cells = [
        f"**{name}**" if entry["ours"] else name,
        f"{raw / entry['total_bytes']:.3f}",
        f"{raw / entry['bytes']:.3f}",
        f"{8 * entry['total_bytes'] / raw:.2f}",
        _rate(entry, raw, "encode_seconds"),
        _rate(entry, raw, "decode_seconds"),
        "exact" if entry["sqnr_db"] is None else f"{entry['sqnr_db']:.1f} dB",
    ]
    if distortion:
        value = (entry["distortion"] or {}).get(distortion[0])
        cells.append("" if value is None else f"{value:.4f}" if distortion[0].startswith("kl") else f"{value:.1f} dB")
    return cells


def _rate(entry: Values, raw: int, key: str) -> str:
    mark = "" if entry["speed_meaningful"] else "~"
    return f"{mark}{raw / 1e6 / entry[key]:.3g}" if entry[key] else ""


def speeds(report: Values) -> str:
    """A bench of the fast methods alone, for their times."""
    source, raw = report["source"], report["totals"]["raw_bytes"]
    title = NETWORKS.get(source["model"], source["model"])
    intro = (
        f"The fast lossless methods alone, on {source['images']} images ({raw / 1e6:.1f} MB): medians of "
        f"{report['repeat']} runs of each map. {conditions(report)}"
    )
    entries = [entry for entry in report["codecs"] if entry["status"] == "ok"]
    rows = [_arena_row(entry, raw, None)[:6] for entry in entries]
    head = ["method", "ratio", "maps alone", "bits", "encode", "decode"]
    return "\n\n".join([f"## Speeds: {title}", intro, table(head, rows)])


def grid(found: Values) -> str:
    title = NETWORKS.get(found["model"].rpartition(":")[2], found["model"])
    scored = found["rows"][0]["kl_vs_float"] is not None
    head = ["path", "group", "order", "kept", "zero mask", "step", "coding", "ratio", "payload ratio"]
    head += ["KL to float", "top-1", "changed"] if scored else ["output SQNR"]
    rows = [_grid_row(row, scored) for row in found["rows"]]
    base = found["baselines"]
    exact = (
        f"8-bit KL {base['int8']['kl_vs_float']:.4f}" if scored else f"8-bit {base['int8']['output_sqnr_db']:.1f} dB"
    )
    intro = (
        f"{found['images']} images, calibrated on {found['calibration_images']} others, "
        f"quantizer `{found['quantizer']}`; {exact}. {conditions(found)} "
        "The mask path has neither group, order nor frequency mask."
    )
    return "\n\n".join([f"## DCT-CM's settings: {title}", intro, table(head, rows)])


def _grid_row(row: Values, scored: bool) -> list[str]:
    config = row["config"]
    transforms = config["path"] != "mask"
    cells = [
        config["path"] + (f" ({config['threshold']:g})" if config["path"] == "auto" else ""),
        str(config["group"]) if transforms else "",
        config["order"] if transforms else "",
        ("all" if config["keep"] is None else str(config["keep"])) if transforms else "",
        ("yes" if config["zero_mask"] else "no") if transforms else "",
        _grid_step(config),
        config["coding"],
        f"{row['ratio_total']:.3f}",
        f"{row['ratio_payload']:.3f}",
    ]
    if not scored:
        return [*cells, f"{row['output_sqnr_db']:.1f} dB"]
    return [*cells, f"{row['kl_vs_float']:.4f}", f"{row['top1']:.1%}", str(row["changed_vs_int8"])]


def _grid_step(config: Values) -> str:
    mask = f"{config['mask_step']:g}" + ("" if config["points"] == "trained" else " centred")
    return {"mask": mask, "transform": f"{config['step']:g}", "auto": f"{config['step']:g}, mask {mask}"}[
        config["path"]
    ]


def pca(runs: Sequence[Values]) -> str:
    rows = [
        [
            NETWORKS.get(found["model"].rpartition(":")[2], found["model"]),
            str(found["taps"]),
            row["where"],
            f"{row['ratio']:.3f}",
            f"{row['ratio_maps_alone']:.3f}",
            f"{row['sqnr_db']:.1f} dB",
        ]
        for found in runs
        for row in found["rows"]
    ]
    if not rows:
        return ""
    intro = (
        f"`benchmarks/pca_before.py`: {runs[0]['images']} images, basis from {runs[0]['calibration_images']} others; "
        "taps that a ReLU makes; SQNR against the float tap."
    )
    head = ["network", "taps", "coded", "ratio", "maps alone", "SQNR"]
    return "\n\n".join(["## PCA before and after the activation function", intro, table(head, rows)])


def speed(found: Values) -> str:
    head = ["codec", "instructions", "ratio", "encode", "decode", "x memcpy", "x zstd -1", "two threads x"]
    rows = [
        [
            f"`{row['codec']}`",
            row["simd"],
            f"{row['ratio']:.3f}",
            f"{row['encode_mb_per_s']:.0f}",
            f"{row['decode_mb_per_s']:.0f}",
            f"{row['encode_x_memcpy']:.3f}, {row['decode_x_memcpy']:.3f}",
            f"{row['encode_x_zstd1']:.2f}, {row['decode_x_zstd1']:.2f}",
            ""
            if row["encode_two_threads_x"] is None
            else f"{row['encode_two_threads_x']:.2f}, {row['decode_two_threads_x']:.2f}",
        ]
        for row in found["rows"]
    ]
    latency = [
        [f"`{row['codec']}`", row["simd"], where, f"{ways['encode']:.1f}", f"{ways['decode']:.1f}"]
        for row in found["rows"]
        for where, ways in row["latency_us"].items()
    ]
    intro = (
        f"`benchmarks/speed.py` on the maps of `{found['archive']}`. {conditions(found)} "
        f"`import fmapzip` takes {1e3 * found['import_seconds']:.0f} ms beyond NumPy. Pairs are encode, decode. "
        f"zstd -1 in the same runs: {_span(found, 'zstd1_encode_mb_per_s')} and "
        f"{_span(found, 'zstd1_decode_mb_per_s')} MB/s at a ratio of "
        f"{found['rows'][0]['zstd1_ratio']:.3f}. Tables were trained on four of the images.{_other_maps(found)} "
        "The scalar rows are from before that path was made faster "
        "([by how much](METHODS.md#without-an-instruction-set))."
    )
    tables = [
        table(head, rows),
        "Microseconds for one frame:",
        table(["codec", "instructions", "frame", "encode", "decode"], latency),
    ]
    return "\n\n".join(["## Speed against memcpy", intro, *tables])


def _other_maps(found: Values) -> str:
    """Which maps rows were measured on that came later."""
    told: dict[str, list[str]] = {}
    for row in found["rows"]:
        if "archive" not in row:
            continue
        where = f"{row['taps']} maps of `{row['archive']}`, {row['images']} images, commit {row['commit']}"
        where += ", least processor time beside other programs" if row["busy"] else ""
        codecs = told.setdefault(where, [])
        codecs += [name for name in (f"`{row['codec']}`",) if name not in codecs]
    return "".join(f" {', '.join(codecs)}: {where}, plans of all images." for where, codecs in told.items())


def _span(found: Values, key: str) -> str:
    values = [row[key] for row in found["rows"]]
    return f"{min(values):.0f} to {max(values):.0f}"


def memory(found: Values) -> str:
    parts = ["## Memory", f"`benchmarks/memory.py`. {conditions(found)}"]
    decode = [
        [f"`{row['codec']}`", *(f"{row[key] / 1024:.0f}" for key in ("output_bytes", "frame_bytes", "working_bytes"))]
        for row in found["decode"]
    ]
    parts.append(table(["decoding one map with", "output, KiB", "frame, KiB", "beside them, KiB"], decode))
    if "eval" in found:
        rows = [[str(row["images"]), f"{row['peak_bytes'] / 1e6:.0f}"] for row in found["eval"]]
        parts.append(table(["images in `eval`", "peak, MB"], rows))
    return "\n\n".join(parts)


def conditions(found: Values) -> str:
    machine = found["environment"]
    packages = {name: version for name, version in machine["packages"].items() if name in NAMED_PACKAGES}
    versions = ", ".join(f"{name} {version}" for name, version in packages.items())
    note = f" {found['note']}" if found.get("note") else ""
    later = "".join(
        f", `{entry['codec']}{changed_settings(entry['config'])}` {entry['commit']}"
        for entry in found.get("codecs", [])
        if "commit" in entry
    )
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['simd']}, Python {machine['python']}, {versions}; "
        f"commit {found['commit']}{later}.{note}"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, its first column aligned to the left."""
    lines = [list(head), ["---", *["---:"] * (len(head) - 1)], *map(list, rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def short_table(reports: Sequence[Values]) -> str:
    """The one table that matters, for README: lossless ratios by network, of each baseline its best settings."""
    names = [NETWORKS.get(report["source"]["model"], "maps").partition(" (")[0] for report in reports]
    entries = {entry["label"]: entry for report in reports for entry in report["codecs"] if _shown(entry)}
    best: dict[str, tuple[float, list[str]]] = {}
    for label, entry in entries.items():
        ratios = [_ratio(report, label) for report in reports]
        name = f"**`{label}`**" if entry["ours"] else f"`{label}`"
        row = sum(ratios), [name, *(f"{ratio:.2f}" if ratio else "" for ratio in ratios)]
        key = label if entry["ours"] else entry["codec"]
        best[key] = max(best.get(key, row), row)
    rows = [row for _, row in sorted(best.values(), key=lambda item: -item[0])]
    return table(["lossless, every byte counted", *names], rows)


def _shown(entry: Values) -> bool:
    return entry["status"] == "ok" and entry["lossless"]


def _ratio(report: Values, label: str) -> float:
    for entry in report["codecs"]:
        if entry["label"] == label and _shown(entry):
            return float(report["totals"]["raw_bytes"] / entry["total_bytes"])
    return 0.0
