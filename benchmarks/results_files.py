"""The measurements in benchmarks/results: kept small, and read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from common import git_hash, rows_on_lines

from fmapzip.documents.bench import BENCH
from fmapzip.documents.evaluation import EVALUATION
from fmapzip.documents.planning import PLANNING

KEPT = Path(__file__).parent / "results"

NETWORKS = {
    "resnet50v2_trunk": "ResNet-50 v2 trunk (stem and stages 1-3)",
    "squeezenet1_1": "SqueezeNet 1.1",
    "mobilenetv2_trunk": "MobileNetV2 1.0 (signed bottlenecks)",
    "cifar_resnet20": "CIFAR-10 ResNet-20",
    "efficientnet_lite0": "EfficientNet-Lite0",
    "efficientnet_lite0.onnx": "EfficientNet-Lite0 by torch.onnx",
    "efficientnet_lite0_qdq.onnx": "EfficientNet-Lite0 by quantize_static",
    "demo.onnx": "the demo network by torch.onnx",
    "sscd.onnx": "ResNet-50, complete (SSCD, ONNX)",
    "yolox_nano.onnx": "YOLOX-Nano (ONNX)",
}

Values = dict[str, Any]


def keep(report: Path, commit: str | None = None, speeds: bool = False, note: str = "") -> Path:
    """Copy what tables need of a report of ``fmapzip bench``, ``eval`` or ``plan``.

    Parameters
    ----------
    report
        The JSON file.
    commit
        What was measured; by default what is checked out.
    speeds
        Whether a bench was for its times: a few fast methods on a quiet machine, beside the whole arena.
    note
        What a reader should know of the conditions.
    """
    name, kept = _kept(report)
    if speeds:
        name = name.replace("arena_", "speeds_")
    target = KEPT / f"{name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(rows_on_lines({"commit": commit or git_hash(), **({"note": note} if note else {}), **kept}))
    return target


def renew(report: Path, commit: str | None = None) -> Path:
    """Put the methods of a later report of the same maps into the place of those kept, with the commit they are from.

    Parameters
    ----------
    report
        The JSON file; of ``eval`` it is named as the kept one was.
    commit
        What was measured; by default what is checked out.

    Raises
    ------
    ValueError
        Other images, or other calibration, than the kept report's.
    """
    name, found = _kept(report)
    target = KEPT / f"{name}.json"
    kept = json.loads(target.read_text())
    if _conditions(kept) != _conditions(found):
        raise ValueError(f"{report} has other maps than {target}")
    methods = {json.dumps(entry["config"]): entry for entry in kept["codecs"]}
    methods |= {json.dumps(entry["config"]): {**entry, "commit": commit or git_hash()} for entry in found["codecs"]}
    order = (lambda entry: entry["total_bytes"]) if kept.get("kind") == "bench" else (lambda _: 0)
    kept["codecs"] = sorted(methods.values(), key=order)
    target.write_text(rows_on_lines(kept))
    return target


def _conditions(kept: Values) -> Values:
    """What two reports of the same maps share."""
    keys = ("model", "data", "quantizer", "calibration_images", "images")
    preprocess = kept.get("protocol", {}).get("preprocess")
    return {"preprocess": preprocess, **{key: kept.get("source", kept)[key] for key in keys}}


def _kept(report: Path) -> tuple[str, Values]:
    kind = json.loads(report.read_text()).get("kind")
    if kind == "plan":
        return _kept_plan(PLANNING.read(report), report.stem)
    return _kept_bench(BENCH.read(report)) if kind == "bench" else _kept_eval(EVALUATION.read(report), report.stem)


def _kept_bench(found: Values) -> tuple[str, Values]:
    """Totals, and bytes by tap."""
    model = _function(found["source"]["model"])
    source = {**found["source"], "model": model, "data": _folder(found["source"]["data"])}
    codecs = [
        {**entry, "taps": [{"bytes": tap["bytes"]} for tap in entry.get("taps", [])]} for entry in found["codecs"]
    ]
    return f"arena_{model}", {
        "benchmark": "arena",
        **found,
        "source": source,
        "taps": _kept_taps(found),
        "codecs": codecs,
    }


def _kept_eval(found: Values, stem: str) -> tuple[str, Values]:
    """Totals alone."""
    codecs = [{key: value for key, value in entry.items() if key != "taps"} for entry in found["codecs"]]
    names = {"model": _function(found["model"]), "data": _folder(found["data"])}
    return f"eval_{stem}", {"benchmark": "eval", **found, **names, "taps": _kept_taps(found), "codecs": codecs}


def _kept_plan(found: Values, stem: str) -> tuple[str, Values]:
    """Totals, and the plans that were run."""
    names = {"model": _function(found["model"]), "data": _folder(found["data"])}
    kept = {key: value for key, value in found.items() if key not in ("taps", "protocol")}
    return f"plan_{stem}", {"benchmark": "plan", **kept, **names}


def _kept_taps(found: Values) -> list[Values]:
    """What the integers of each tap are like, without histograms."""
    keys = ("name", "shape", "raw_bytes", "zeros", "entropy_bits")
    return [{key: tap[key] for key in keys} for tap in found["taps"]]


def _function(model: str) -> str:
    return model.rpartition(":")[2].rpartition("/")[2]


def _folder(data: str) -> str:
    return data.rstrip("/").rpartition("/")[2]


def arenas() -> list[Values]:
    """The kept bench reports, in the order of `NETWORKS`."""
    found = {report["source"]["model"]: report for report in loaded("arena_*.json")}
    return [found[name] for name in NETWORKS if name in found]


def loaded(pattern: str) -> list[Values]:
    return [json.loads(path.read_text()) for path in sorted(KEPT.glob(pattern))]
