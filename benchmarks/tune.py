"""What tuning gains: networks tuned for a codec, and the same network tuned for nothing, with plans of their own.

    python benchmarks/tune.py path/to/nets.py:cifar_resnet20 path/to/cifar1000 --preprocess cifar \
        --tune-on path/to/cifar_train10k.npz --label-weight 0.5 --mirror --epochs 8 --time-limit 1800 \
        --run context-rans:step=8@5.3 --run dct-cm:path=transform,step=8@3.1 --run dct-cm:step=8,mask_step=8@4.3 \
        --work tuned --json benchmarks/results/tune_cifar_resnet20.json

A run is a codec, or a plan's file, and the ratio that lambda is searched for. Before them, or after them with `--zero-
last`, the network is tuned in the same way with lambda 0 for lossless `context-rans`: what fine-tuning alone gives,
from which losses are counted where it is better than the network as it was. `tune_plans.py` makes plans of all of them
without further training. The standard protocol: rows 0, 5, 10, ... make plans, the others are reported. All is kept in
the folder `--work`: a run that was stopped goes on from there.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from common import FIGURES, write_result
from plan_budgets import remembered

from fmapzip import registry
from fmapzip.cli.progress import progress
from fmapzip.cli.tune import _tell
from fmapzip.eval.request import Request, load
from fmapzip.eval.run import run
from fmapzip.measurements import MeasurementCache
from fmapzip.plan import Plan
from fmapzip.torch import compress_model
from fmapzip.torch.tuning.tasks import divergence
from fmapzip.tune.asked import Asked
from fmapzip.tune.run import run as tune
from fmapzip.tune.run import save_weights
from fmapzip.tune_settings import TuneSettings

Values = dict[str, Any]


def tuned(request: Request, asked: Asked, settings: TuneSettings, files: Path) -> Values:
    """Tune, and write `files` with the endings of weights and plan; images that are reported are not looked at."""
    with progress() as advance:
        found, report = tune(request, asked, settings, files.with_suffix(".state"), advance, _tell)
    save_weights(found.model, files.with_suffix(".safetensors"))
    found.plan.save(files.with_suffix(".fmzp"))
    kept = ("epochs", "kept", "stopped", "tuning_images", "calibration_images")
    taps = [
        {key: tap[key] for key in ("name", "bits_before", "bits_after", "expected_bits_after")}
        for tap in report["taps"]
    ]
    return {**{key: report[key] for key in kept}, "taps": taps}


def _asked(stored: str, rate: str, tune_on: str) -> Asked:
    """What to store maps with, a plan's file or a codec, and what to count bits by."""
    if stored.endswith(".fmzp"):
        return Asked(plan=Path(stored), rate=rate, tune_on=tune_on)
    return Asked(codec=stored, rate=rate, tune_on=tune_on)


def reported(request: Request, files: Path) -> Values:
    """What a tuned network and its plan do on the images that are reported."""
    weighted = replace(request, weights=str(files.with_suffix(".safetensors")))
    plan = Plan.load(files.with_suffix(".fmzp"))
    with progress() as advance:
        found = run(weighted, [plan], advance)
    figures = {key: found["codecs"][0][key] for key in FIGURES}
    return {
        **figures,
        "float_top1": found["baselines"]["float"]["top1"],
        "kl_vs_original": moved(request, weighted, plan),
    }


def moved(request: Request, weighted: Request, plan: Plan) -> float:
    """KL of the stored tuned network to the network as it was, a mean over the reported images."""
    original, stored = load(request), compress_model(load(weighted).model, plan)
    total = count = 0.0
    with torch.inference_mode():
        for images, _ in original.images:
            total += len(images) * float(divergence(stored(images), original.model(images)))
            count += len(images)
    return total / count


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--preprocess")
    parser.add_argument("--tune-on")
    parser.add_argument("--run", action="append", default=[], metavar="CODEC@RATIO or PLAN.fmzp@RATIO")
    parser.add_argument("--rates", nargs="+", default=["codec"], help="each run once for each of these rates")
    parser.add_argument("--replan", type=int, default=0, metavar="EPOCHS")
    parser.add_argument("--zero-last", action="store_true", help="what is tuned with lambda 0 comes after the runs")
    parser.add_argument("--lambda", dest="lambda_", type=float, default=0.1, help="where its search begins")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--time-limit", type=float, metavar="SECONDS", help="of each run")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate-samples", type=int, default=64)
    parser.add_argument("--rate-bands", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--label-weight", type=float, default=0.0)
    parser.add_argument("--mirror", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work", type=Path, required=True, help="folder for what is done")
    parser.add_argument("--json", type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    given = _given()
    request = Request(given.model, given.data, preprocess=given.preprocess, torch_threads=given.threads)
    shared = (
        "epochs",
        "replan",
        "lambda_",
        "time_limit",
        "batch",
        "rate_samples",
        "rate_bands",
        "learning_rate",
        "label_weight",
        "mirror",
    )
    settings = TuneSettings(**{name: getattr(given, name) for name in shared}, patience=max(1, given.epochs))
    given.work.mkdir(parents=True, exist_ok=True)
    conditions = [given.model, given.data, given.preprocess, given.tune_on, settings.to_json(), version("fmapzip")]
    cache = MeasurementCache(given.work / "measurements", "tuning", json.loads(json.dumps(conditions)))
    todo = [("context-rans", "codec", replace(settings, lambda_=0.0, replan=0))]
    for text in given.run:
        stored, _, ratio = text.rpartition("@")
        todo += [(stored, rate, replace(settings, target_ratio=float(ratio))) for rate in given.rates]
    numbered = list(enumerate(todo))
    if given.zero_last:
        numbered.append(numbered.pop(0))
    with progress() as advance:
        base = remembered(cache, "original", partial(_original, request, advance))
    result = {
        "model": given.model.rpartition("/")[2],
        "data": given.data.rstrip("/").rpartition("/")[2],
        "tuned_on": str(given.tune_on).rstrip("/").rpartition("/")[2],
        "settings": settings.to_json(),
        **base,
        "runs": [],
    }
    runs: dict[int, Values] = {}
    for i, (stored, rate, each) in numbered:
        files = given.work / f"run{i}"
        label = Path(stored).name if rate == "codec" else f"{Path(stored).name} by {rate}"
        name = f"{label} {each.target_ratio}"
        made = remembered(cache, name, partial(tuned, request, _asked(stored, rate, given.tune_on), each, files))
        figures = remembered(cache, f"{name} reported", partial(reported, request, files))
        runs[i] = {"codec": Path(stored).name, "rate": rate, "target_ratio": each.target_ratio, **figures, **made}
        result["runs"] = [runs[key] for key in sorted(runs)]
        write_result(given.json, "tuning", result, given.threads)


def _original(request: Request, advance: Any) -> Values:
    """The network as it was, in float, on the images that are reported."""
    found = run(request, [registry.make("raw")], advance)
    return {
        "images": found["images"],
        "calibration_images": found["calibration_images"],
        "top1": found["baselines"]["float"]["top1"],
    }


if __name__ == "__main__":
    main()
