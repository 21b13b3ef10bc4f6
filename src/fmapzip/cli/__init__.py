"""The command line: ``fmapzip COMMAND``. Each command is one module; heavy imports happen inside it."""

from __future__ import annotations

from fmapzip.cli import (  # noqa: F401  (their commands register themselves)
    bench,
    capture,
    codecs,
    compact,
    evaluate,
    export,
    files,
    hardware,
    inspect,
    merge,
    plan,
    send,
    serve,
    split,
    traffic,
    tune,
    verify,
)
from fmapzip.cli.app import app, main

__all__ = ["app", "main"]
