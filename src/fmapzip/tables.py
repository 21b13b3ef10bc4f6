"""Tables for a terminal: figures aligned, and the least important columns left out where it is narrow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from fmapzip import registry
from fmapzip.errors import FmapzipError
from fmapzip.printable import printable

GAP = 2
"""Blanks between columns."""


@dataclass
class Figures:
    """A table whose first column is text that may wrap and whose others are short cells, most of them figures.

    Attributes
    ----------
    columns
        The headings; a newline makes them two lines high.
    left_out
        Headings of the columns to leave out where the width does not suffice, the first to go first.
    left_aligned
        Headings of columns of words.
    rows, total
        The cells; ``total`` is set off below the others.
    """

    columns: Sequence[str]
    left_out: Sequence[str] = ()
    left_aligned: Sequence[str] = ()
    rows: list[Sequence[str]] = field(default_factory=list)
    total: Sequence[str] | None = None
    title: str | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        rows = [[printable(cell) for cell in row] for row in self.rows]
        cells = [*rows, *([self.total] if self.total else [])]
        widths = [max(_width(self.columns[i]), *(_width(row[i]) for row in cells), 1) for i in range(len(self.columns))]
        shown = list(range(len(self.columns)))
        for heading in self.left_out:
            if sum(widths[i] + GAP for i in shown) - GAP <= options.max_width:
                break
            shown.remove(self.columns.index(heading))
        yield self._table(shown, rows)

    def _table(self, shown: list[int], rows: list[list[str]]) -> Table:
        table = Table(
            title=self.title and Text(self.title),
            title_justify="left",
            title_style="bold",
            box=box.SIMPLE_HEAD,
            show_edge=False,
            pad_edge=False,
            padding=(0, GAP - 1, 0, 0),
        )
        for i in shown:
            heading = self.columns[i]
            left = i == 0 or heading in self.left_aligned
            table.add_column(heading, justify="left" if left else "right", overflow="fold", no_wrap=i > 0)
        for row in rows:
            table.add_row(*(Text(row[i]) for i in shown))
        if self.total:
            table.add_section()
            table.add_row(*(Text(self.total[i], "bold") for i in shown))
        return table


def size(count: float | None) -> str:
    """A number of bytes with its unit; 1 kB is 1000 bytes.

    Examples
    --------
    >>> size(999), size(12345), size(2.5e9), size(None)
    ('999 B', '12.3 kB', '2.50 GB', '-')
    """
    if count is None:
        return "-"
    for unit, scale, digits in (("B", 1, 0), ("kB", 1e3, 1), ("MB", 1e6, 1)):
        if count < 999.95 * scale:
            return f"{count / scale:.{digits}f} {unit}"
    return f"{count / 1e9:.2f} GB"


def number(value: float | None, digits: int, times: float = 1) -> str:
    """A figure with a fixed number of decimals; ``-`` for one that does not apply.

    Examples
    --------
    >>> number(0.4567, 1, 100), number(None, 2)
    ('45.7', '-')
    """
    return "-" if value is None else f"{value * times:.{digits}f}"


def quotient(part: float, whole: float) -> float | None:
    """``part / whole``, or None where that is nothing."""
    return part / whole if whole else None


def unusual_settings(config: Mapping[str, Any]) -> str:
    """The settings in a codec's `config()` that are not its defaults; all, for a codec that is not installed here.

    Examples
    --------
    >>> unusual_settings({"codec": "zvc"})
    ''
    """
    try:
        usual = registry.make(config["codec"]).config() if config else {}
    except FmapzipError:
        usual = {}
    chosen = {key: value for key, value in config.items() if key != "codec" and usual.get(key, usual) != value}
    return ", ".join(f"{key}={value}" for key, value in chosen.items())


def _width(cell: str) -> int:
    return max((cell_len(line) for line in cell.splitlines()), default=0)
