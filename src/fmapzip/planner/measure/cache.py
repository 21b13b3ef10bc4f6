"""Measurements kept in a file, so that a plan that was interrupted goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fmapzip.errors import InvalidInput


class MeasurementCache:
    """Values by name, each written as one JSON line as soon as it is known.

    The first line names what was measured: network, images, settings and versions. A file of something else is refused;
    a last line that was cut off is dropped.

    Parameters
    ----------
    file : Path or None
        None keeps everything in memory.
    fingerprint : str
        Of what is measured.

    Raises
    ------
    InvalidInput
        The file was not written here, or for something else.

    Examples
    --------
    >>> state = MeasurementCache(None, "demo")
    >>> state.get("answer", lambda: 6 * 7), state.get("answer", lambda: 0)
    (42, 42)
    """

    def __init__(self, file: Path | None, fingerprint: str) -> None:
        self._file = file
        self._known: dict[str, Any] = {}
        if file is None:
            return
        head = json.dumps({"fmapzip-plan-state": 0, "of": fingerprint})
        lines = file.read_text("utf-8").split("\n") if file.exists() else []
        if not lines or len(lines) == 1:  # nothing, or an opening line that was cut off
            file.write_text(head + "\n", "utf-8")
            return
        if lines[0] != head:
            raise InvalidInput(f"{file}: measurements of something else; remove it, or give --state another name")
        whole = lines[:-1]  # what follows the last newline was cut off
        for line in whole[1:]:
            name, value = json.loads(line)
            self._known[name] = value
        file.write_text("\n".join(whole) + "\n", "utf-8")

    def get(self, name: str, measure: Callable[[], Any]) -> Any:
        """Return the value of `name`; if it is not known, measure it, a JSON value, and keep it."""
        if name not in self._known:
            value = measure()
            self._known[name] = value
            if self._file is not None:
                with self._file.open("a", encoding="utf-8") as out:
                    out.write(json.dumps([name, value]) + "\n")
        return self._known[name]

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def __len__(self) -> int:
        return len(self._known)
