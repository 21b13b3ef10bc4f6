"""The peak of a call's memory, as the operating system sees it."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_PEAK = "5"


def peak_of(run: Callable[[], Any]) -> int | None:
    """Bytes of resident memory that a call took at its peak beyond those before it; None where that cannot be seen.

    Linux only. What the process had freed and kept before the call does not count: small figures are lower bounds.
    """
    gc.collect()
    try:
        _CLEAR.write_text(_RESET_PEAK)
        before = _status("VmRSS")
        run()
        return max(0, _status("VmHWM") - before)
    except OSError:
        run()
        return None


def _status(field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    if found is None:
        raise OSError(f"no {field} in {_STATUS}")
    return int(found[1]) * 1024
