"""Shards on Ray: workers hold the network and the codecs, and give the documents of shards back.

What a worker's death costs is the shard that it was at: Ray starts the worker again and gives it that shard.
"""

from __future__ import annotations

import os
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from logging import ERROR
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from fmapzip.codecs.base import Codec
from fmapzip.errors import FmapzipError, MissingExtra
from fmapzip.eval.codec_spec import parse_codec
from fmapzip.eval.metric_spec import parse_metric
from fmapzip.eval.request import Progress, Request
from fmapzip.eval.shards import inputs_of, run_shard
from fmapzip.plan import Plan

LOCAL = "local"
"""The address that starts Ray on this machine, for this run."""

SHARDS_A_WORKER = 4
RETRIES = 3
"""How often a worker is started again, and how often a shard is tried again."""

SHARDS = "shards"

Shard = Callable[[tuple[int, int], Path], object]
"""Does the shard of index `i` of `n`, given as ``(i, n)``, and writes its document to a file."""


class Job(Protocol):
    """What all workers do; they get it pickled, and run it in the driver's folder."""

    def ready(self) -> Shard:
        """Load network, images and codecs, once for all shards of a worker."""


@dataclass(frozen=True)
class Evaluation:
    """A job: shards of an evaluation.

    Attributes
    ----------
    request
        As `fmapzip.eval.run.run` takes it.
    codecs, metrics
        As typed.
    plans
        As bytes.
    """

    request: Request
    codecs: tuple[str, ...]
    plans: tuple[bytes, ...]
    metrics: tuple[str, ...]

    def ready(self) -> Shard:
        """Load everything."""
        codecs: list[Codec | Plan] = [*map(parse_codec, self.codecs), *map(Plan.from_bytes, self.plans)]
        tasks = [parse_metric(spec) for spec in self.metrics]
        inputs = inputs_of(self.request, tasks)
        return lambda part, file: run_shard(
            self.request, codecs, part, file, lambda *_: None, tasks, self.metrics, inputs
        )


class Done(NamedTuple):
    """The documents of all shards, how many workers made them, and the most memory that one of them had, in bytes."""

    files: list[Path]
    workers: int
    memory: int


class Worker:
    """An actor: a job, made ready once."""

    def __init__(self, job: Job, folder: str) -> None:
        self._job, self._folder = job, folder
        self._shard: Shard | None = None

    def load(self) -> Shard:
        """Make the job ready, if it is not; apart from the constructor, whose errors Ray gives on as text."""
        if self._shard is None:
            os.chdir(self._folder)
            self._shard = self._job.ready()
        return self._shard

    def loaded(self) -> None:
        """Load, and give nothing back."""
        self.load()

    def shard(self, part: int, shards: int) -> tuple[bytes, int]:
        """Do one shard: its document, and the most memory that this process has had, in bytes."""
        from resource import RUSAGE_SELF, getrusage

        shard = self.load()  # by a worker that was started again
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "shard")
            shard((part, shards), file)
            return file.read_bytes(), getrusage(RUSAGE_SELF).ru_maxrss * 1024


def run_shards(
    job: Job,
    address: str,
    workers: int | None,
    shards: int | None,
    processors: int,
    folder: Path,
    progress: Progress,
) -> Done:
    """Have workers on Ray do all shards.

    Parameters
    ----------
    job
        What to do.
    address
        Of the cluster, as `ray.init` takes it; ``"local"`` starts one here.
    workers
        How many; None: as the cluster has processors for now.
    shards
        How many; None: four a worker.
    processors
        What each worker takes.
    folder
        Gets the documents.
    progress
        Told how many shards are done.

    Raises
    ------
    MissingExtra
        Ray is not installed.
    FmapzipError
        There is no such cluster, a worker died too often, or what the job raises.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("--ray needs Ray: pip install 'fmapzip[ray]'") from error
    started = not ray.is_initialized()
    if started:
        _connect(ray, address, workers)
    try:
        if workers is None:
            workers = max(1, int(ray.cluster_resources().get("CPU", 1)) // processors)
        actor = ray.remote(num_cpus=processors, max_restarts=RETRIES, max_task_retries=RETRIES)(Worker)
        made = [actor.remote(job, str(Path.cwd())) for _ in range(workers)]
        return _give_out(ray, made, shards or SHARDS_A_WORKER * workers, folder, progress)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, FmapzipError):
            raise error.cause from None
        raise
    except ray.exceptions.ActorDiedError as error:
        raise FmapzipError(f"a worker on Ray died {RETRIES + 1} times") from error
    finally:
        if started:
            ray.shutdown()


def _connect(ray: Any, address: str, workers: int | None) -> None:
    """Start Ray here, or connect to a cluster."""
    try:
        if address == LOCAL:
            ray.init(address=LOCAL, num_cpus=workers, log_to_driver=False, logging_level=ERROR)
        else:
            ray.init(address=address, log_to_driver=False, logging_level=ERROR)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        raise FmapzipError(f"--ray {address}: no cluster there: {error}") from error


def _give_out(ray: Any, workers: Sequence[Any], shards: int, folder: Path, progress: Progress) -> Done:
    """Give each worker that is ready one shard at a time."""
    todo, memory = deque(range(shards)), 0
    doing: dict[Any, tuple[Any, int | None]] = {worker.loaded.remote(): (worker, None) for worker in workers}
    files = [folder / f"{part + 1}.json" for part in range(shards)]
    done = 0
    while done < shards:
        (finished,), _ = ray.wait(list(doing), num_returns=1)
        worker, part = doing.pop(finished)
        result = ray.get(finished)
        if part is not None:
            files[part].write_bytes(result[0])
            memory, done = max(memory, result[1]), done + 1
            progress(SHARDS, done, shards)
        if todo:
            part = todo.popleft()
            named = worker.shard.options(name=f"shard {part + 1}/{shards}")
            doing[named.remote(part, shards)] = worker, part
    return Done(files, len(workers), memory)
