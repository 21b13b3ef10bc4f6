"""How a command ends: its exit code and, when something is wrong, one line on stderr."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from contextlib import suppress
from enum import IntEnum
from types import FrameType

from fmapzip.errors import CorruptArchive, FmapzipError, FrameError, MissingExtra, UnknownCodec
from fmapzip.printable import printable


class Exit(IntEnum):
    """The exit codes, documented in docs/CLI.md."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    INPUT = 3
    CORRUPT = 4
    MISSING = 5
    UNMET = 6
    BROKEN_PROMISE = 7
    INTERRUPTED = 130
    TERMINATED = 143


_CODES: tuple[tuple[tuple[type[BaseException], ...], Exit], ...] = (
    ((FrameError, CorruptArchive), Exit.CORRUPT),  # before its kin: MissingCodec is an UnknownCodec too
    ((UnknownCodec,), Exit.USAGE),
    ((MissingExtra,), Exit.MISSING),
    ((FmapzipError, OSError, MemoryError), Exit.INPUT),
    ((KeyboardInterrupt,), Exit.INTERRUPTED),
)

DEBUG = "FMAPZIP_DEBUG"
"""With this environment variable set, an error is shown with its traceback."""


def ending(error: BaseException) -> tuple[Exit, str]:
    """The exit code and the one line for an error that reached the top."""
    asked = asked_to_end()
    if asked is not None:  # the error is what became of the signal
        return asked, asked.name.lower()
    text = " ".join(str(error).split()) or type(error).__name__
    if hasattr(error, "format_message"):  # typer's own: the command line cannot be understood
        text = " ".join(error.format_message().split())
        return Exit.USAGE, text
    if isinstance(error, OSError) and not isinstance(error, FmapzipError):
        text = f"{error.filename}: {error.strerror}" if error.filename else text
    for kinds, code in _CODES:
        if isinstance(error, kinds):
            return code, text
    return Exit.INTERNAL, f"internal error: {type(error).__name__}: {text} ({DEBUG}=1 shows where)"


def tell(line: str) -> None:
    """Write one line to stderr."""
    with suppress(OSError):  # nobody reads it
        print(f"fmapzip: {printable(line)}", file=sys.stderr, flush=True)


def tell_warnings() -> None:
    """Let warnings be one line each, without the place in the code that gave them."""

    def show(message: Warning | str, *_: object, **__: object) -> None:
        tell(f"note: {' '.join(str(message).split())}")

    warnings.showwarning = show


def debugging() -> bool:
    """Whether errors are to be shown with their traceback."""
    return bool(os.environ.get(DEBUG))


_SIGNALS = {signal.SIGTERM: Exit.TERMINATED, signal.SIGINT: Exit.INTERRUPTED}
_asked: list[Exit] = []  # by a signal, to end so


def stop_on_signals() -> None:
    """Let SIGTERM and SIGINT unwind the stack, so that temporary files are removed.

    C code that calls Python may swallow what a handler raises, or make an error of its own of it. So long work asks
    again (`go_on`), and how the command ends is what was asked for.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        _asked.append(_SIGNALS[signal.Signals(number)])
        go_on()

    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as SIGINT is where a shell runs a script behind
            signal.signal(number, stop)


def go_on() -> None:
    """Return, unless a signal asked for an end: then unwind the stack."""
    code = asked_to_end()
    if code is Exit.INTERRUPTED:
        raise KeyboardInterrupt
    if code is not None:
        raise SystemExit(code)


def asked_to_end() -> Exit | None:
    """The exit code that a signal asked for, if any did."""
    return _asked[0] if _asked else None
