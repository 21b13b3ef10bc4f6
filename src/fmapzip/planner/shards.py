"""Measuring for a plan in shards: each measures some of the feature maps; joined, the plan begins from what they found.

What is cut is what a map's candidates are measured for alone: their bytes, and the output's distortion with that map
stored. What follows depends on the choice for all maps together, and is done by the run that makes the plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from fmapzip.atomic import write_atomically
from fmapzip.codecs.base import Codec
from fmapzip.errors import InvalidInput
from fmapzip.measurements import difference, read_measurements, written
from fmapzip.planner.budget import Budget
from fmapzip.planner.candidates.families import codecs_of
from fmapzip.planner.measure.meter import Deadline
from fmapzip.planner.session import MEASUREMENTS, open_session, searched_in_draft
from fmapzip.torch.batches import Progress, ignore_progress
from fmapzip.torch.capture import METHODS
from fmapzip.torch.metrics import MetricsChoice
from fmapzip.torch.preserve import evaluation_mode
from fmapzip.torch.tasks import Metric as TaskMetric

_SHARD, _DONE = "shard", "shard is done"
"""Names of the results that say which shard a file is of, and that it has all."""


def measure_shard(
    model: nn.Module,
    calibration: Any,
    budget: Budget,
    part: tuple[int, int],
    state: Path,
    *,
    codecs: Sequence[str | Codec] = ("auto",),
    validation: Any = None,
    taps: Sequence[str] | str | None = None,
    metrics: MetricsChoice = "auto",
    task: TaskMetric | None = None,
    threads: int = 1,
    seed: int = 0,
    methods: Sequence[str] = METHODS,
    progress: Progress = ignore_progress,
) -> int:
    """Measure the candidates of some of a network's feature maps, for `fmapzip.planner.make_plan` to choose from.

    Parameters
    ----------
    model, calibration, budget, codecs, validation, taps, metrics, task, threads, seed, methods, progress
        As of `make_plan`, the same for every shard and for the plan. Of the budget only the kind matters, and whether
        it is lossless.
    part : tuple of int
        ``(i, n)``: of `n` shards the one of index `i`, which has every n-th map.
    state : Path
        The file for the measurements; what it has already is not measured again.

    Returns
    -------
    int
        How many maps the shard has.

    Raises
    ------
    InvalidInput
        As of `make_plan`; or the file is another shard's.
    """
    options = codecs_of(codecs)
    with evaluation_mode(model):
        session = open_session(
            model,
            calibration,
            budget,
            validation=validation,
            taps=taps,
            metrics=metrics,
            task=task,
            threads=threads,
            deadline=Deadline(None),
            seed=seed,
            state=state,
            methods=methods,
            progress=progress,
        )
        in_draft = searched_in_draft(budget)
        about = {"drafts": in_draft, "lossless": budget.lossless, "codecs": [codec.config() for codec in options]}
        wanted = [part[0] + 1, part[1], about]
        found = session.cache.get(_SHARD, lambda: wanted)
        if found != wanted:
            raise InvalidInput(f"{state} is {_other(found, wanted)}; remove it, or name another file")
        search, _ = session.search(options, None, seed, in_draft)
        maps = search.alone(part, budget.lossless)
        session.cache.get(_DONE, lambda: maps)
    return maps


def join_shards(files: Sequence[Path], output: Path) -> int:
    """Join the measurements of all shards, in any order, in one file for ``state`` of `fmapzip.planner.make_plan`.

    Returns
    -------
    int
        How many maps were measured.

    Raises
    ------
    InvalidInput
        Shards are missing, doubled, unfinished, damaged, or of different runs; the message names the file.
    """
    shards: dict[int, Path] = {}
    joined: dict[str, Any] = {}
    conditions: Any = None
    first: list[Any] = [1, 1, {}]
    maps = 0
    for file in files:
        found, results = read_measurements(file, MEASUREMENTS)
        match results.pop(_SHARD, None):
            case [int(place), int(), dict()] as shard:
                pass
            case _:
                raise InvalidInput(f"{file}: the measurements of a whole run, not of a shard")
        if not shards:
            conditions, first = found, shard
        if found != conditions:
            raise InvalidInput(f"{file}: not of the same run as {files[0]}{difference(conditions, found)}")
        if shard[1:] != first[1:]:
            raise InvalidInput(f"{file}: not of the same run as {files[0]}: {_other(shard, first)}")
        if place in shards:
            raise InvalidInput(f"{file} and {shards[place]} are both shard {place}/{shard[1]}")
        if _DONE not in results:
            raise InvalidInput(f"{file} is unfinished; run its command again")
        maps += results.pop(_DONE)
        for name, value in results.items():
            if joined.setdefault(name, value) != value:
                raise InvalidInput(f"{file}: has another result than an earlier shard of {name!r}")
        shards[place] = file
    missing = [i for i in range(1, first[1] + 1) if i not in shards]
    if missing:
        raise InvalidInput(f"{len(missing)} of {first[1]} shards are missing, the first is {missing[0]}/{first[1]}")
    write_atomically(output, written(MEASUREMENTS, conditions, joined))
    return maps


def _other(found: Any, wanted: Sequence[Any]) -> str:
    """Return in words what a shard is of that was not wanted."""
    if found[1] != wanted[1] or found[2] == wanted[2]:
        return f"shard {found[0]}/{found[1]}, not {wanted[0]}/{wanted[1]}"
    return "of other codecs" if found[2]["codecs"] != wanted[2]["codecs"] else "of another kind of budget"
