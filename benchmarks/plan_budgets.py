"""What plans clip_ratio: one plan a budget, made from calibration images alone, measured on the other images.

    python benchmarks/plan_budgets.py path/to/nets.py:squeezenet1_1 path/to/images --preprocess imagenet \
        --max-kl 0.01 0.02 0.03 0.06 0.12 --work plans --json benchmarks/results/plan_budgets_squeezenet1_1.json

Beside them stands `context-rans` at one step for all maps, its points trained on the same calibration images. The
standard protocol: rows 0, 5, 10, ... calibrate. Plans and measurements are kept in the folder `--work`: a run that was
stopped goes on from there, and another `--codec` shares it. A change of the code asks for another folder. A baseline
with steps is planned like a codec of ours: `--codec bench-baseline:baseline=projection`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from common import FIGURES, write_result

import fmapzip
from fmapzip import registry
from fmapzip.bench.baseline_codec import BaselineCodec
from fmapzip.cli.progress import progress
from fmapzip.codecs.base import Codec
from fmapzip.eval.codec_spec import parse_codec
from fmapzip.eval.request import Request, load
from fmapzip.eval.run import run
from fmapzip.measurements import MeasurementCache
from fmapzip.planner import Budget, make_plan
from fmapzip.planner.budget import Kind

UNIFORM_STEPS = (1, 2, 3, 4)
SHOWN = ("ratio_total", "kl_vs_float", "output_sqnr_db", "met", "planning_seconds")
CONDITIONS = ("images", "calibration_images", "quantizer", "baselines")

Values = dict[str, Any]


def remembered(cache: MeasurementCache, name: str, work: Callable[[], Values]) -> Values:
    """What `work` returned when it was first asked for."""
    found: Values = cache.get(name, work)
    print(name, {key: found[key] for key in SHOWN if found.get(key) is not None}, flush=True)
    return found


def uniform(request: Request) -> Values:
    """One step for all maps, with the conditions of the run."""
    with progress() as advance:
        found = run(request, [registry.make("context-rans", step=step) for step in UNIFORM_STEPS], advance)
    rows = [{"step": entry["config"]["step"], **{key: entry[key] for key in FIGURES}} for entry in found["codecs"]]
    raw = sum(tap["raw_bytes"] for tap in found["codecs"][0]["taps"]) // found["images"]
    return {**{key: found[key] for key in CONDITIONS}, "raw_bytes": raw, "uniform": rows}


def planned(request: Request, budget: Budget, codecs: Sequence[str | Codec], state: Path, target: Path) -> Values:
    """Make the plan of a budget, and say how it went; only calibration images are looked at."""
    inputs = load(request)
    with progress() as advance:
        found = make_plan(
            inputs.model,
            inputs.calibration,
            budget,
            codecs=codecs,
            threads=request.threads,
            state=state,
            progress=advance,
        )
    found.plan.save(target)
    return {
        "budget": {"kind": budget.kind, "value": budget.value},
        "met": found.met,
        "back_offs": found.back_offs,
        "planning_seconds": found.seconds,
        "choices": [
            {"codec": each.codec.config(), "clip_ratio": each.clip_ratio, "shaped": each.shaped}
            for each in found.chosen
        ],
    }


def measured(request: Request, plan: Path) -> Values:
    """Run a plan on the images that are reported."""
    with progress() as advance:
        found = run(request, [fmapzip.Plan.load(plan)], advance)
    return {key: found["codecs"][0][key] for key in FIGURES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--preprocess")
    budgets = parser.add_mutually_exclusive_group(required=True)
    budgets.add_argument("--max-kl", type=float, nargs="+", default=(), metavar="NATS")
    budgets.add_argument("--min-sqnr", type=float, nargs="+", default=(), metavar="DB")
    parser.add_argument("--codec", action="append", help="as `fmapzip plan` takes it; default auto")
    parser.add_argument("--images", type=int, help="how many of the others to measure on; all by default")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work", type=Path, required=True, help="folder for what is done")
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    request = Request(
        arguments.model,
        arguments.data,
        preprocess=arguments.preprocess,
        threads=arguments.threads,
        torch_threads=arguments.threads,
    )
    reported = replace(request, images=arguments.images)
    names = arguments.codec or ["auto"]
    registry.register(BaselineCodec)
    codecs = [parse_codec(name) if ":" in name else name for name in names]
    kind: Kind = "kl" if arguments.max_kl else "sqnr"
    work: Path = arguments.work
    work.mkdir(parents=True, exist_ok=True)
    images = arguments.images or "all"
    conditions = [arguments.model, arguments.data, arguments.preprocess, version("fmapzip")]
    cache = MeasurementCache(work / "measurements", "plan budgets", conditions)
    base = remembered(cache, f"uniform_{images}", partial(uniform, reported))
    plans = []
    for value in (*arguments.max_kl, *arguments.min_sqnr):
        name = f"{kind}_{value:g}_{'+'.join(names)}"
        file, making = work / f"{name}.fmzp", (request, Budget(kind, value), codecs, work / "state")
        made = remembered(cache, name, partial(planned, *making, file))
        plans.append({**made, **remembered(cache, f"{name}_{images}", partial(measured, reported, file))})
    result = {
        "model": arguments.model.rpartition("/")[2],
        "data": arguments.data.rstrip("/").rpartition("/")[2],
        **base,
        "codecs": names,
        "plans": plans,
    }
    write_result(arguments.json, "plan budgets", result, arguments.threads)


if __name__ == "__main__":
    main()
