"""Where tables go: stdout, as wide as the terminal, or wide enough for all columns when there is none."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

WITHOUT_TERMINAL = 120


def stdout() -> Console:
    """The console for tables. ``COLUMNS`` sets its width where stdout is no terminal."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WITHOUT_TERMINAL
    return console


def counted(count: int, what: str) -> str:
    """A number of things: ``1 map``, ``2 maps``."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
