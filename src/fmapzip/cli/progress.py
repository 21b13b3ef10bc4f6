"""Progress bars: on a terminal, on stderr, and nowhere else."""

from __future__ import annotations

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

Advance = Callable[[str, int, int | None], None]
"""Takes what is being done, how much of it is done, and how much there is, if known."""


@contextmanager
def progress() -> Iterator[Advance]:
    """Show one bar for each stage of the work while the block runs; silent unless stderr is a terminal.

    Yields
    ------
    Advance
        To be called with ``(stage, done, total)``; a stage's first call starts its bar.
    """
    console = SafeConsole(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bars: dict[str, TaskID] = {}
    with Progress(
        *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal, transient=True
    ) as shown:

        def advance(stage: str, done: int, total: int | None) -> None:
            if stage not in bars:
                bars[stage] = shown.add_task(stage, total=total)
            shown.update(bars[stage], completed=done, total=total)

        yield advance
