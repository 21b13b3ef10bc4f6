"""Measuring for a plan in shards: each measures some of the feature maps; joined, the plan begins from what they found.

What is cut is what a map's candidates are measured for alone: their bytes, and the output's distortion with that map
stored. What follows depends on the choice for all maps together, and is done by the run that makes the plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from fmapzip.atomic import write_atomically
from fmapzip.codecs.base import Codec
from fmapzip.errors import InvalidInput
from fmapzip.eval.shard_file import in_order
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
        wanted = _Shard(part[0] + 1, part[1], about)
        found = _shard_of(state, {_SHARD: session.cache.get(_SHARD, lambda: list(wanted))})
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
    shards: list[tuple[Path, _Shard]] = []
    joined: dict[str, Any] = {}
    conditions: Any = None
    maps = 0
    for file in files:
        found, results = read_measurements(file, MEASUREMENTS)
        shard = _shard_of(file, results)
        if not shards:
            conditions = found
        if found != conditions:
            raise InvalidInput(f"{file}: not of the same run as {files[0]}{difference(conditions, found)}")
        shards.append((file, shard))
        first = shards[0][1]
        if (shard.shards, shard.about) != (first.shards, first.about):
            raise InvalidInput(f"{file}: not of the same run as {files[0]}: {_other(shard, first)}")
        match results.pop(_DONE, None):
            case int(measured):
                maps += measured
            case _:
                raise InvalidInput(f"{file} is unfinished; run its command again")
        for name, value in results.items():
            if joined.setdefault(name, value) != value:
                raise InvalidInput(f"{file}: has another result than an earlier shard of {name!r}")
    in_order(shards)
    write_atomically(output, written(MEASUREMENTS, conditions, joined))
    return maps


class _Shard(NamedTuple):
    """Which shard a file is of, from 1; of how many; and what was to be measured."""

    shard: int
    shards: int
    about: dict[str, Any]


def _shard_of(file: Path, results: dict[str, Any]) -> _Shard:
    """Take out of results of which shard they are."""
    match results.pop(_SHARD, None):
        case [int(place), int(count), {"codecs": list(), "lossless": bool(), "drafts": bool()} as about]:
            return _Shard(place, count, about)
    raise InvalidInput(f"{file}: not the measurements of a shard")


def _other(found: _Shard, wanted: _Shard) -> str:
    """Return in words what a shard is of that was not wanted."""
    if found.shards != wanted.shards or found.about == wanted.about:
        return f"shard {found.shard}/{found.shards}, not {wanted.shard}/{wanted.shards}"
    return "of other codecs" if found.about["codecs"] != wanted.about["codecs"] else "of another kind of budget"
