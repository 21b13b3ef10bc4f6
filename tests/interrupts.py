"""Interrupts of processes that tests start."""

from __future__ import annotations

import signal


def heed_interrupts() -> None:
    """Undo what a shell does to its background jobs: they, and all that they start, ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
