"""Where reports go: as JSON, as an HTML page, or as tables on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmapzip.atomic import check_writable, write_atomically
from fmapzip.errors import InvalidInput

if TYPE_CHECKING:
    from rich.console import RenderableType

_STDOUT = Path("-")


@dataclass(frozen=True)
class Outputs:
    """The files that a report was asked for in.

    Attributes
    ----------
    json_file
        Its JSON; ``-`` writes it to stdout instead of the tables.
    html
        Its page.
    """

    json_file: Path | None = None
    html: Path | None = None

    @property
    def kept_json(self) -> Path | None:
        """The JSON's file, if it goes to one."""
        return None if self.json_to_stdout else self.json_file

    @property
    def json_to_stdout(self) -> bool:
        """Whether the JSON takes the tables' place."""
        return self.json_file == _STDOUT

    def check(self, *others: Path | None) -> None:
        """Refuse files that cannot be written, or are named twice, before the work is done.

        `others` are the command's own.
        """
        named: set[Path] = set()
        for file in (self.kept_json, self.html, *others):
            check_writable(file)
            if file is None or (file.exists() and not file.is_file()):  # a pipe takes several
                continue
            if file.resolve() in named:
                raise InvalidInput(f"{file}: two outputs of this command are named so")
            named.add(file.resolve())

    def write(self, report: dict[str, Any], render: Callable[[dict[str, Any]], RenderableType]) -> None:
        """Write the files that were asked for, and the tables unless the JSON took their place."""
        from fmapzip.cli.console import stdout

        if self.html is not None:
            from fmapzip.report import write_html

            write_html(report, self.html)
        if self.json_file is not None:
            text = json.dumps(report, indent=1, allow_nan=False) + "\n"
            if self.json_to_stdout:
                sys.stdout.write(text)
                return
            write_atomically(self.json_file, text.encode())
        stdout().print(render(report))
