"""Where tables go: stdout, as wide as the terminal, or wide enough for all columns when there is none."""

from __future__ import annotations

import os

from rich.console import Console

WITHOUT_TERMINAL = 120


def stdout() -> Console:
    """The console for tables. ``COLUMNS`` sets its width where stdout is no terminal."""
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WITHOUT_TERMINAL
    return console
