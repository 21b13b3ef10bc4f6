"""How far long work is, on stderr: bars on a terminal, else a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from fmapzip.cli.console import SafeConsole
from fmapzip.cli.exits import go_on, tell

Advance = Callable[[str, int, int | None], None]
"""Takes what is being done, how much of it is done, and how much there is, if known."""

SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def progress() -> Iterator[Advance]:
    """Show one bar for each stage of the work while the block runs, or lines where stderr is no terminal.

    Yields
    ------
    Advance
        To be called with ``(stage, done, total)``; a stage's first call starts its bar. What follows a colon in its
        name may change from call to call.
    """
    console = SafeConsole(stderr=True)
    if not console.is_terminal:
        yield lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bars: dict[str, TaskID] = {}
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as shown:

        def advance(stage: str, done: int, total: int | None) -> None:
            go_on()
            name = stage.partition(":")[0]
            if name not in bars:
                bars[name] = shown.add_task(stage, total=total)
            shown.update(bars[name], description=stage, completed=done, total=total)

        yield advance


def lines(clock: Callable[[], float] = time.monotonic) -> Advance:
    """Print a line at most every ten seconds, so that a log shows that long work goes on and short work stays quiet."""
    last = clock()

    def advance(stage: str, done: int, total: int | None) -> None:
        nonlocal last
        go_on()
        now = clock()
        if now - last >= SECONDS_BETWEEN_LINES:
            last = now
            of = "" if total is None else f" of {total}"
            tell(f"{stage}: {done}{of}")

    return advance
