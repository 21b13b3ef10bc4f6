"""Plans of tuned networks, without further training, beside those of the network as it was.

    python benchmarks/tune_plans.py path/to/nets.py:cifar_resnet20 path/to/cifar1000 --preprocess cifar \
        --network original --network 0=tuned/run0.safetensors --max-kl 0.03 --min-ratio 5 --codec context-rans \
        --work tuned --json benchmarks/results/tune_cifar_resnet20.json

Adds to a file that `tune.py` wrote: to its run of that number, or to the network as it was. With `--grids PLAN.fmzp`
and a `--codec` of another level, maps are coded by that level on that plan's grids. The standard protocol:
rows 0, 5, 10, ... choose plans, the others are reported. Plans and measurements are kept in the folder `--work`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from common import git_hash
from plan_budgets import measured, planned, remembered
from tune import moved

from fmapzip.atomic import write_atomically
from fmapzip.eval.codec_spec import parse_codec
from fmapzip.eval.request import Request, load
from fmapzip.measurements import MeasurementCache
from fmapzip.plan import Plan, TapPlan
from fmapzip.planner import Budget
from fmapzip.torch import tunable
from fmapzip.torch.network_hash import network_hash

Values = dict[str, Any]


def plans(request: Request, weights: str, budgets: Sequence[Budget], codecs: Sequence[str], work: Path) -> list[Values]:
    """Plans of a network within budgets, reported on images that did not choose them; "" is the network as it was."""
    asked = replace(request, weights=weights) if weights else request
    name = f"plans_{network_hash(load(asked).model)[:16]}"
    cache = MeasurementCache(work / name, "tuning's plans", [request.data, request.preprocess, version("fmapzip")])
    options = [each if each == "auto" else parse_codec(each) for each in codecs]
    found = []
    for budget in budgets:
        label = f"{' '.join(codecs)} {budget.kind} {budget.value:g}"
        file = work / f"{name}_{label.replace(' ', '_').replace(':', '-')}.fmzp"
        made = remembered(cache, label, partial(planned, asked, budget, options, work / f"{name}.state", file))
        figures = remembered(cache, f"{label} reported", partial(_reported, request, asked, file))
        kept = {key: made[key] for key in ("budget", "met", "planning_seconds")}
        found.append({"codecs": list(codecs), **kept, **figures, "commit": git_hash()})
    return found


def levelled(request: Request, weights: str, grids: Path, coarser: float, codec: str, work: Path) -> Values:
    """The grids of a plan, or coarser ones, by another level of `context-rans`, reported in the same way."""
    asked = replace(request, weights=weights) if weights else request
    network, level = load(asked), parse_codec(codec).level
    file = work / f"{grids.stem}_{coarser:g}_{network_hash(network.model)[:16]}_{level}.fmzp"
    if not file.exists():
        plan = Plan(tuple(_coarsened(tap, coarser, level) for tap in Plan.load(grids)))
        tunable(network.model, plan, network.calibration).plan(network.calibration).save(file)
    budget = {"kind": "grids", "value": grids.name, "coarser": coarser}
    return {"codecs": [codec], "budget": budget, **_reported(request, asked, file), "commit": git_hash()}


def _coarsened(tap: TapPlan, factor: float, level: str) -> TapPlan:
    quantizer = replace(tap.quantizer, scale=tuple(factor * each for each in tap.quantizer.scale))
    return replace(tap, quantizer=quantizer, codec=replace(tap.codec, level=level))


def _reported(request: Request, asked: Request, file: Path) -> Values:
    return {**measured(asked, file), "kl_vs_original": moved(request, asked, Plan.load(file))}


def _merged(known: Sequence[Values], new: Sequence[Values]) -> list[Values]:
    """Plans of before, those of the same codecs and budget replaced."""
    asked = [(each["codecs"], each["budget"]) for each in new]
    return [*(each for each in known if (each["codecs"], each["budget"]) not in asked), *new]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--preprocess")
    parser.add_argument("--network", action="append", required=True, metavar="original or RUN=WEIGHTS")
    parser.add_argument("--max-kl", type=float, nargs="*", default=[], metavar="NATS")
    parser.add_argument("--min-ratio", type=float, nargs="*", default=[], metavar="R")
    parser.add_argument("--grids", type=Path, nargs="*", default=[], metavar="PLAN.fmzp")
    parser.add_argument("--coarser", type=float, default=1.0, metavar="FACTOR", help="of the grids of --grids")
    parser.add_argument("--codec", action="append", help="to choose from; by default auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work", type=Path, required=True, help="folder for what is done")
    parser.add_argument("--json", type=Path, required=True)
    given = parser.parse_args()
    request = Request(given.model, given.data, preprocess=given.preprocess, torch_threads=given.threads)
    budgets = [*(Budget("kl", each) for each in given.max_kl), *(Budget("ratio", each) for each in given.min_ratio)]
    given.work.mkdir(parents=True, exist_ok=True)
    for network in given.network:
        run, _, weights = network.partition("=")
        codecs = given.codec or ["auto"]
        found = plans(request, weights, budgets, codecs, given.work)
        found += [
            levelled(request, weights, each, given.coarser, codec, given.work)
            for each in given.grids
            for codec in codecs
        ]
        result = json.loads(given.json.read_text())
        place = result if run == "original" else result["runs"][int(run)]
        place["plans"] = _merged(place.get("plans", []), found)
        write_atomically(given.json, (json.dumps(result, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
