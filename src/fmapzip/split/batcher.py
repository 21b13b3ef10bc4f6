"""Gathering the images of all clients into batches, with bounded room."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from time import monotonic

from fmapzip.split.engine import Computed, Engine


@dataclass(eq=False)
class Job:
    """An image under way."""

    frames: Sequence[bytes]
    rung: int
    expires: float | None
    done: asyncio.Future[Computed | None]  # None: it was too late
    arrived: float = field(default_factory=monotonic)
    waited: float = 0.0


class Batcher:
    """Runs jobs on an engine in the order in which they came, those that wait at the same time together.

    Parameters
    ----------
    engine
    thread
        Where it computes.
    room
        Jobs that may wait or run at once; `put` waits for room.
    linger
        Seconds that an image waits for others to be computed with, at most.
    watch
        Told the size of each batch.
    """

    def __init__(
        self, engine: Engine, thread: Executor, room: int, linger: float, watch: Callable[[int], None]
    ) -> None:
        self.engine = engine
        self._thread, self._linger, self._watch = thread, linger, watch
        self._room = asyncio.Semaphore(room)
        self._waiting: deque[Job] = deque()
        self._arrived, self._full = asyncio.Event(), asyncio.Event()
        self._largest = engine.sizes[0]
        self._task = asyncio.create_task(self._work())

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return len(self._waiting)

    async def put(self, frames: Sequence[bytes], rung: int, patience: float | None) -> Job:
        """Add an image, once there is room for it."""
        await self._room.acquire()
        expires = None if patience is None else monotonic() + patience
        job = Job(frames, rung, expires, asyncio.get_running_loop().create_future())
        job.done.add_done_callback(lambda _: self._room.release())
        self._waiting.append(job)
        self._arrived.set()
        if len(self._waiting) >= self._largest:
            self._full.set()
        return job

    async def close(self) -> None:
        """Stop; nothing may wait any more."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            await self._arrived.wait()
            if len(self._waiting) < self._largest and self._linger > 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._full.wait(), self._linger)
            jobs = [self._waiting.popleft() for _ in range(min(self._largest, len(self._waiting)))]
            if not self._waiting:
                self._arrived.clear()
            if len(self._waiting) < self._largest:
                self._full.clear()
            await self._run([job for job in jobs if self._is_wanted(job)])

    def _is_wanted(self, job: Job) -> bool:
        if job.done.done():  # its client is gone
            return False
        now = monotonic()
        job.waited = now - job.arrived
        if job.expires is not None and now > job.expires:
            job.done.set_result(None)
            return False
        return True

    async def _run(self, jobs: Sequence[Job]) -> None:
        if not jobs:
            return
        self._watch(len(jobs))
        messages = [(job.frames, job.rung) for job in jobs]
        loop = asyncio.get_running_loop()
        for job, computed in zip(
            jobs, await loop.run_in_executor(self._thread, self.engine.run, messages), strict=True
        ):
            if not job.done.done():
                job.done.set_result(computed)
