"""What a bench has finished, line by line, so that an interrupted one goes on where it stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SUFFIX = ".partial"


class Journal:
    """Results by key, kept in a file beside the report while a bench runs.

    A line that is not whole (the bench was killed while it wrote) is left out, and so is everything of a run with
    other conditions.

    Parameters
    ----------
    report : Path or None
        The report that the bench will write; None keeps nothing.
    conditions : dict
        What figures must have been measured under to be used again: versions, machine, settings.
    """

    def __init__(self, report: Path | None, conditions: dict[str, Any]) -> None:
        self._path = None if report is None else report.with_name(report.name + SUFFIX)
        head = json.dumps(conditions, sort_keys=True)
        self._found = self._read(head)
        self.resumed = len(self._found)
        if self._path is not None and not self._found:
            self._path.write_text(head + "\n", "utf-8")

    def get(self, key: str) -> dict[str, Any] | None:
        """The result of that key, or None."""
        return self._found.get(key)

    def put(self, key: str, result: dict[str, Any]) -> None:
        """Keep a result."""
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps([key, result]) + "\n")

    def finish(self) -> None:
        """Remove the file: the report is written."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _read(self, head: str) -> dict[str, dict[str, Any]]:
        if self._path is None or not self._path.is_file():
            return {}
        lines = self._path.read_text("utf-8").splitlines()
        if not lines or lines[0] != head:
            return {}
        found = {}
        for line in lines[1:]:
            try:
                key, result = json.loads(line)
            except ValueError:
                break
            found[key] = result
        return found
