"""docs/RESULTS.md and its plot, from the measurements in bench/results.

    fmapzip bench path/to/nets.py:squeezenet1_1 path/to/images --images 8 --json arena.json
    python bench/results.py keep arena.json     # its figures, without histograms, into bench/results
    python bench/results.py make                # docs/RESULTS.md, docs/plots, and the table in README.md

Nothing in docs/RESULTS.md is typed; a test makes it again and compares.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from common import git_hash

from fmapzip.bench.summary import sentences

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "bench" / "results"
DOCUMENT, README = ROOT / "docs" / "RESULTS.md", ROOT / "README.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"

NETWORKS = {
    "resnet50v2_trunk": "ResNet-50 v2 trunk (stem and stages 1-3)",
    "squeezenet1_1": "SqueezeNet 1.1",
    "mobilenetv2_trunk": "MobileNetV2 1.0 (signed bottlenecks)",
    "cifar_resnet20": "CIFAR-10 ResNet-20",
}

NAMED_PACKAGES = ("numpy", "torch", "zstandard", "lz4", "blosc2", "pcodec", "zfpy", "brotli")

WIDTH = 150
OPENING = """
Made by `python bench/results.py make` from the measurements in `bench/results`; nothing here is typed. Ratios are sums
over sums, against 8-bit values, and count every byte: frames with headers and checksums, tables, and what is kept once
beside the maps (the plan, or a peer's side information). *Maps alone* leaves the latter out. Speeds are of one thread,
in MB/s of 8-bit values, with preallocated outputs where a package takes them; ~ marks methods that are written in NumPy
here, whose time says nothing. Ours are in bold. The methods are described in [METHODS.md](METHODS.md).
""".replace("\n", " ").strip()

Values = dict[str, Any]


def keep(report: Path) -> Path:
    """Copy what tables need of a bench report: totals, and bytes by tap."""
    found = json.loads(report.read_text())
    model = found["source"]["model"].rpartition(":")[2]
    source = {**found["source"], "model": model, "data": found["source"]["data"].rstrip("/").rpartition("/")[2]}
    taps = [{key: tap[key] for key in ("name", "shape", "raw_bytes", "zeros", "entropy_bits")} for tap in found["taps"]]
    for entry in found["codecs"]:
        entry["taps"] = [{"bytes": tap["bytes"]} for tap in entry.get("taps", [])]
    kept = {"benchmark": "arena", "commit": git_hash(), **found, "source": source, "taps": taps}
    target = KEPT / f"arena_{model}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(_rows_on_lines(kept))
    return target


def _rows_on_lines(kept: Values) -> str:
    """JSON with one method or tap a line: short, and a change of one figure is a change of one line."""
    lines = [f" {json.dumps(key)}: {_lined(value)}" for key, value in kept.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _lined(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n  " + ",\n  ".join(json.dumps(item) for item in value) + "\n ]"
    return json.dumps(value)


def document() -> str:
    """The whole of docs/RESULTS.md."""
    parts = [_opening()]
    parts += [_arena(report) for report in arenas()]
    parts += [_grid(found) for found in _loaded("dct_cm_grid_*.json")]
    parts += [_pca(_loaded("pca_before_*.json"))]
    parts += [_speed(found) for found in _loaded("speed.json")]
    parts += [_memory(found) for found in _loaded("memory.json")]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def arenas() -> list[Values]:
    """The kept bench reports, in the order of `NETWORKS`."""
    found = {report["source"]["model"]: report for report in _loaded("arena_*.json")}
    return [found[name] for name in NETWORKS if name in found]


def _loaded(pattern: str) -> list[Values]:
    return [json.loads(path.read_text()) for path in sorted(KEPT.glob(pattern))]


def _opening() -> str:
    return f"# Results\n\n{fill(OPENING, WIDTH)}"


def _arena(report: Values) -> str:
    source, totals = report["source"], report["totals"]
    raw = totals["raw_bytes"]
    title = NETWORKS.get(source["model"], source["model"])
    intro = (
        f"{len(report['taps'])} taps, {source['images']} images of `{source['data']}` ({raw / 1e6:.1f} MB, "
        f"{totals['zeros']:.1%} zeros), calibrated on {source['calibration_images']} others, "
        f"quantizer `{source['quantizer']}`. {_conditions(report)}"
    )
    damage = _damage(report)
    head = ["method", "ratio", "maps alone", "bits", "encode", "decode", "SQNR", *([damage[1]] if damage else [])]
    rows = [_arena_row(entry, raw, damage) for entry in report["codecs"] if entry["status"] == "ok"]
    others = [f"- {entry['label']}: {entry['status']}" for entry in report["codecs"] if entry["status"] != "ok"]
    words = [f"- {text}" for text in sentences(report)]
    return "\n\n".join([f"## {title}", intro, _table(head, rows), "\n".join([*words, *others])])


def _damage(report: Values) -> tuple[str, str] | None:
    for key, name in (("kl_vs_float", "KL to float"), ("output_sqnr_db", "output SQNR")):
        if any((entry.get("damage") or {}).get(key) is not None for entry in report["codecs"]):
            return key, name
    return None


def _arena_row(entry: Values, raw: int, damage: tuple[str, str] | None) -> list[str]:
    name = f"`{entry['label']}`" + (f" ({entry['layout']})" if entry["layout"] == "channels-last" else "")
    cells = [
        f"**{name}**" if entry["ours"] else name,
        f"{raw / entry['total_bytes']:.3f}",
        f"{raw / entry['bytes']:.3f}",
        f"{8 * entry['total_bytes'] / raw:.2f}",
        _rate(entry, raw, "encode_seconds"),
        _rate(entry, raw, "decode_seconds"),
        "exact" if entry["sqnr_db"] is None else f"{entry['sqnr_db']:.1f} dB",
    ]
    if damage:
        value = (entry["damage"] or {}).get(damage[0])
        cells.append("" if value is None else f"{value:.4f}" if damage[0].startswith("kl") else f"{value:.1f} dB")
    return cells


def _rate(entry: Values, raw: int, key: str) -> str:
    mark = "" if entry["speed_meaningful"] else "~"
    return f"{mark}{raw / 1e6 / entry[key]:.3g}" if entry[key] else ""


def _grid(found: Values) -> str:
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
        f"quantizer `{found['quantizer']}`; {exact}. {_conditions(found)} "
        "The mask path has neither group, order nor frequency mask."
    )
    return "\n\n".join([f"## DCT-CM's settings: {title}", intro, _table(head, rows)])


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


def _pca(runs: Sequence[Values]) -> str:
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
        f"`bench/pca_before.py`: {runs[0]['images']} images, basis from {runs[0]['calibration_images']} others; "
        "taps that a ReLU makes; SQNR against the float tap."
    )
    head = ["network", "taps", "coded", "ratio", "maps alone", "SQNR"]
    return "\n\n".join(["## PCA before and after the activation function", intro, _table(head, rows)])


def _speed(found: Values) -> str:
    head = ["codec", "instructions", "ratio", "encode", "decode", "encode x memcpy", "decode x memcpy", "two threads x"]
    rows = [
        [
            f"`{row['codec']}`",
            row["simd"],
            f"{row['ratio']:.3f}",
            f"{row['encode_mb_per_s']:.0f}",
            f"{row['decode_mb_per_s']:.0f}",
            f"{row['encode_x_memcpy']:.3f}",
            f"{row['decode_x_memcpy']:.3f}",
            f"{row['encode_two_threads_x']:.2f}, {row['decode_two_threads_x']:.2f}",
        ]
        for row in found["rows"]
    ]
    latency = [
        [f"`{row['codec']}`", row["simd"], where, f"{ways['encode']:.1f}", f"{ways['decode']:.1f}"]
        for row in found["rows"]
        for where, ways in row["latency_us"].items()
    ]
    intro = (
        f"`bench/speed.py` on the maps of `{found['archive']}`. {_conditions(found)} "
        f"`import fmapzip` takes {1e3 * found['import_seconds']:.0f} ms beyond NumPy."
    )
    tables = [
        _table(head, rows),
        "Microseconds for one frame:",
        _table(["codec", "instructions", "frame", "encode", "decode"], latency),
    ]
    return "\n\n".join(["## Speed against memcpy", intro, *tables])


def _memory(found: Values) -> str:
    rows = [row for row in found.get("rows", []) if isinstance(row, dict)]
    if not rows:
        return ""
    head = list(rows[0])
    cells = [[f"{row[key]:.4g}" if isinstance(row[key], float) else str(row[key]) for key in head] for row in rows]
    return "\n\n".join(
        ["## Memory", f"`bench/memory.py`. {_conditions(found)}", _table([h.replace("_", " ") for h in head], cells)]
    )


def _conditions(found: Values) -> str:
    machine = found["environment"]
    packages = {name: version for name, version in machine["packages"].items() if name in NAMED_PACKAGES}
    versions = ", ".join(f"{name} {version}" for name, version in packages.items())
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['simd']}, Python {machine['python']}, {versions}; "
        f"commit {found['commit']}."
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [list(head), ["---", *["---:"] * (len(head) - 1)], *map(list, rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def short_table() -> str:
    """The one table that matters, for README: lossless ratios by network."""
    reports = arenas()
    names = [NETWORKS[report["source"]["model"]].partition(" (")[0] for report in reports]
    labels: list[str] = []
    for report in reports:
        labels += [e["label"] for e in report["codecs"] if _shown(e) and e["label"] not in labels]
    rows = []
    for label in labels:
        ratios = [_ratio(report, label) for report in reports]
        ours = any(e["label"] == label and e["ours"] for report in reports for e in report["codecs"])
        rows.append(
            (max(ratios), [f"**`{label}`**" if ours else f"`{label}`", *(f"{r:.2f}" if r else "" for r in ratios)])
        )
    rows.sort(key=lambda row: -row[0])
    return _table(["lossless, every byte counted", *names], [row for _, row in rows])


def _shown(entry: Values) -> bool:
    return entry["status"] == "ok" and entry["lossless"]


def _ratio(report: Values, label: str) -> float:
    for entry in report["codecs"]:
        if entry["label"] == label and _shown(entry):
            return float(report["totals"]["raw_bytes"] / entry["total_bytes"])
    return 0.0


def readme() -> str | None:
    """README with the table between its markers; None where it has none."""
    text = README.read_text()
    if BEGIN not in text or not arenas():
        return None
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    plot = "![Ratio against decode speed, ResNet-50 v2 trunk](docs/plots/arena.svg)"
    return f"{before}{BEGIN}\n{short_table()}\n\n{plot}\n{END}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("keep").add_argument("report", type=Path, nargs="+")
    commands.add_parser("make")
    arguments = parser.parse_args()
    if arguments.command == "keep":
        print("\n".join(str(keep(path)) for path in arguments.report))
        return
    print("\n".join(str(path) for path in make()))


def make() -> Iterator[Path]:
    """Write the document, the plot and README's table; yields what was written."""
    from results_plot import draw

    DOCUMENT.write_text(document())
    yield DOCUMENT
    reports = arenas()
    if reports:
        yield draw(reports[0], ROOT / "docs" / "plots" / "arena.svg")
    text = readme()
    if text is not None:
        README.write_text(text)
        yield README


if __name__ == "__main__":
    main()
