"""The peak of a stretch of work's memory, as the operating system sees it."""

from __future__ import annotations

import re
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_PEAK = "5"


class PeakMemory:
    """Resident memory beyond what there was when it was made; Linux only.

    What the process had freed and kept before does not count: small figures are lower bounds.
    """

    def __init__(self) -> None:
        self._before: int | None = None
        try:
            _CLEAR.write_text(_RESET_PEAK)
            self._before = _status("VmRSS")
        except OSError:
            pass

    def read(self) -> int | None:
        """Bytes at the peak since then; None where that cannot be seen."""
        return None if self._before is None else max(0, _status("VmHWM") - self._before)


def _status(field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    if found is None:
        raise OSError(f"no {field} in {_STATUS}")
    return int(found[1]) * 1024
