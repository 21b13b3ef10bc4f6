"""``fmapzip codecs``: which codecs there are, and their settings."""

from __future__ import annotations

import dataclasses
import inspect
import re
from textwrap import fill
from typing import TYPE_CHECKING, Annotated

import typer

from fmapzip.cli.app import app
from fmapzip.cli.help import Command

if TYPE_CHECKING:
    from fmapzip.baselines.base import Baseline
    from fmapzip.codecs.base import Codec


@app.command(cls=Command)
def codecs(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Only these codecs.", show_default=False)
    ] = None,
) -> None:
    """List codecs and baselines with their settings, as --codec takes them.

    Baselines are methods of others: bench takes them, the other commands do not.
    """
    from fmapzip import baselines, registry
    from fmapzip.cli.console import stdout
    from fmapzip.errors import UnknownCodec

    known: dict[str, type[Codec] | type[Baseline]] = {name: registry.get(name) for name in registry.names()}
    known.update((name, baselines.get(name)) for name in baselines.names())
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise UnknownCodec(f"no codec {unknown[0]!r}; there are: {', '.join(known)}")
    console = stdout()
    chosen = names or list(known)
    for title, group in (("Codecs", registry.names()), ("Baselines, for bench", baselines.names())):
        shown = [name for name in chosen if name in group]
        if shown:
            console.print(f"{title}:\n", markup=False)
        for name in shown:
            console.print(describe(name, known[name], console.width), markup=False, soft_wrap=True)


def describe(name: str, codec: type[Codec] | type[Baseline], width: int) -> str:
    """Name, what it is, whether it is lossless at its defaults, and a line for each setting.

    Examples
    --------
    >>> from fmapzip.codecs.zvc import Zvc
    >>> describe("zvc", Zvc, 80).splitlines()[0]
    '  zvc (lossless)'
    """
    text = inspect.getdoc(codec) or ""
    lines = [f"  {name} ({_kind(codec)})", _wrapped(text.partition("\n")[0], width, 6)]
    told = _told(text)
    for setting in dataclasses.fields(codec):
        default = str(setting.default)
        lines.append(f"      {setting.name}={default if len(default) <= 40 else '...'}")
        lines += [_wrapped(told[setting.name], width, 10)] if setting.name in told else []
    return "\n".join(lines) + "\n"


def _kind(codec: type[Codec] | type[Baseline]) -> str:
    from fmapzip.errors import InvalidInput

    try:
        return "lossless" if codec().lossless else "lossy"
    except InvalidInput:
        return "takes one of its settings"


def _told(text: str) -> dict[str, str]:
    """What a docstring's section "Parameters" says of each one."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w+\n-+\n|\Z)", text, re.M | re.S)
    told: dict[str, str] = {}
    for entry in re.finditer(r"^(\S[^\n]*?) : ([^\n]*)\n((?:^ +[^\n]*\n?|^\n)*)", section[1] if section else "", re.M):
        words = " ".join(f"{entry[2]}. {entry[3]}".split()).replace("``", "")
        told |= {name.strip(): words for name in entry[1].split(",")}
    return told


def _wrapped(text: str, width: int, indent: int) -> str:
    return fill(text, width, initial_indent=" " * indent, subsequent_indent=" " * indent)
