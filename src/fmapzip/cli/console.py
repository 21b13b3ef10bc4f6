"""What goes to the terminal: tables as wide as it is, single lines, and nothing that it would obey."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import NoReturn

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from fmapzip.printable import printable

WITHOUT_TERMINAL = 120


class SafeConsole(Console):
    """A console that shows control characters as escapes: what it prints has names and texts of strangers' files."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of a renderable, with nothing in them that a terminal obeys but Rich's own codes."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=_lines(segment.text))

    def on_broken_pipe(self) -> NoReturn:
        """Let the one who called know; Rich would end the process."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def stdout() -> Console:
    """The console for tables. ``COLUMNS`` sets its width where stdout is no terminal."""
    console = SafeConsole(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WITHOUT_TERMINAL
    return console


def say(line: str) -> None:
    """Print one line to stdout."""
    print(printable(line))


def discard_stdout() -> None:
    """Let what is still written to stdout vanish."""
    with suppress(OSError, ValueError):  # not a file of the system's: nothing to do
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def counted(count: int, what: str) -> str:
    """A number of things: ``1 map``, ``2 maps``."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _lines(text: str) -> str:
    return text if text.isprintable() else "\n".join(map(printable, text.split("\n")))
