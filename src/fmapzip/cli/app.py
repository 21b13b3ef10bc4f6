"""The application that the commands register with, and its entry point."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from fmapzip.cli.console import discard_stdout
from fmapzip.cli.exits import Exit, asked_to_end, debugging, ending, stop_on_signals, tell, tell_warnings

ORDER = (
    "eval",
    "merge",
    "demo",
    "plan",
    "tune",
    "bench",
    "traffic",
    "split",
    "serve",
    "send",
    "capture",
    "encode",
    "decode",
    "inspect",
    "verify",
    "compact",
    "rtl",
    "vectors",
    "codecs",
)


class _Ordered(TyperGroup):
    """Lists the commands with the main ones first, and ends them quietly when nobody reads what they print."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """The commands' names."""
        return sorted(self.commands, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Run the command."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # here, before Typer makes another exit code of it
            discard_stdout()  # the reader left (fmapzip eval ... | head): nothing is wrong
            return Exit.OK


app = typer.Typer(
    name="fmapzip",
    cls=_Ordered,
    help="Compress the feature maps of CNNs: real bytes, per-layer savings, measured accuracy cost.",
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    if context.invoked_subcommand is None and not version:
        print(context.get_help())
    if version:
        from importlib.metadata import version as installed

        print(f"fmapzip {installed('fmapzip')}")
        raise typer.Exit


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and give its exit code; errors become one line on stderr.

    Parameters
    ----------
    arguments
        What follows the program's name; by default the process's own.

    Examples
    --------
    >>> run(["--version"])  # doctest: +ELLIPSIS
    fmapzip ...
    0
    """
    command = typer.main.get_command(app)
    try:
        code = command.main(args=arguments, prog_name="fmapzip", standalone_mode=False)
    except (Exception, KeyboardInterrupt) as error:
        if debugging():
            raise
        exit_code, line = ending(error)
        tell(line)
        return exit_code
    code = asked_to_end() or code
    if code == Exit.INTERRUPTED:
        tell("interrupted")
    return code if isinstance(code, int) else Exit.OK


def main() -> NoReturn:
    """Run the command line of this process and leave with its exit code."""
    stop_on_signals()
    if not debugging():
        tell_warnings()
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name must not end a command where stdout is not UTF-8
    code = run()
    sys.exit(_flushed(code))


def _flushed(code: int) -> int:
    """``code``, or that of an output which could not be written to its end."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        discard_stdout()
        if not isinstance(error, BrokenPipeError):
            tell(f"stdout: {error.strerror}")
            return code or Exit.INPUT
    return code
