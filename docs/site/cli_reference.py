"""The commands with their options as a page, from what Typer knows: `python docs/site/cli_reference.py` prints it."""

from __future__ import annotations

from typing import Any

import typer.main

from fmapzip.cli import app

OPENING = """# Commands and options

Made from the commands themselves; `fmapzip COMMAND -h` shows the same.
What they do, with examples and exit codes: [The command line](../CLI.md).
"""


def page() -> str:
    """The page's Markdown."""
    group: Any = typer.main.get_command(app)
    context = group.make_context("fmapzip", [], resilient_parsing=True)
    parts = [_command(name, group.get_command(context, name), context) for name in group.list_commands(context)]
    return "\n".join([OPENING, *parts])


def _command(name: str, command: Any, parent: Any) -> str:
    context = command.make_context(name, [], parent=parent, resilient_parsing=True)
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [f"## `{name}`", "", _text(command.help or ""), "", f"    fmapzip {name} {usage}", ""]
    groups: dict[str, list[str]] = {}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            usual = "Arguments" if parameter.param_type_name == "argument" else "Options"
            title = getattr(parameter, "rich_help_panel", None) or usual
            groups.setdefault(title, []).append(f"| `{record[0].replace('|', '¦')}` | {_text(record[1])} |")
    for title, rows in groups.items():
        lines += [f"| {title} | |", "|---|---|", *rows, ""]
    return "\n".join(lines)


def _text(words: str) -> str:
    escaped = "".join("\\" + c if c in "|<>*_[]`" else c for c in words)
    return " ".join(escaped.split())


if __name__ == "__main__":
    print(page())
