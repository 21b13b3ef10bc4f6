"""The options of commands that run in shards on Ray, and what all of these do with them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from fmapzip.cli.console import counted, say
from fmapzip.errors import InvalidInput

if TYPE_CHECKING:
    from fmapzip.eval.ray_workers import Job


@dataclass(frozen=True)
class Cluster:
    """Where shards run, if they run on Ray.

    Attributes
    ----------
    ray
        The cluster's address; None: no Ray.
    workers, shards
        How many; None: as `fmapzip.eval.ray_workers.run_shards` chooses.
    """

    ray: str | None = None
    workers: int | None = None
    shards: int | None = None

    def asked(self, **others: object) -> bool:
        """Whether to run on Ray; options that do not go with that, `others` by their names, are refused."""
        if self.ray is None:
            if self.workers is not None or self.shards is not None:
                raise InvalidInput("--workers and --shards are of --ray")
            return False
        for name, given in others.items():
            if given is not None:
                raise InvalidInput(f"--ray makes all shards and their result: without --{name.replace('_', '-')}")
        return True

    @contextmanager
    def documents(self, job: Job, processors: int) -> Iterator[list[Path]]:
        """The documents of all shards, for as long as they are merged; then a line says who made them."""
        from fmapzip.cli.progress import progress
        from fmapzip.eval.ray_workers import run_shards

        assert self.ray is not None
        with TemporaryDirectory() as folder:
            with progress() as advance:
                done = run_shards(job, self.ray, self.workers, self.shards, processors, Path(folder), advance)
            yield done.files
        shards, workers = counted(len(done.files), "shard"), counted(done.workers, "worker")
        say(f"{shards} on {workers} of at most {done.memory / 2**20:.0f} MiB each")
