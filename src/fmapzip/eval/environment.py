"""The machine and versions that a figure comes from."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("fmapzip", "numpy", "torch", "torchvision", "timm", "pillow")


def environment(threads: int, packages: Sequence[str] = PACKAGES) -> dict[str, Any]:
    """What a report says about where its figures come from; everything fits JSON.

    Parameters
    ----------
    threads
        The codec threads used.
    packages
        Whose versions to name.

    Returns
    -------
    dict
        ``cpu``, ``cores``, ``os``, ``python``, ``packages`` (name to version, those installed), ``simd`` (the
        instruction set that the core uses), ``codec_threads`` and ``torch_threads`` (None where PyTorch is not loaded).

    Examples
    --------
    >>> environment(1)["codec_threads"]
    1
    """
    from fmapzip import _core

    torch = sys.modules.get("torch")

    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "os": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: found for name in packages if (found := _version(name))},
        "simd": _core.simd(),
        "codec_threads": threads,
        "torch_threads": None if torch is None else torch.get_num_threads(),
    }


BUSY = 0.1
"""Share of all cores from which on other programs disturb times."""


class OtherPrograms:
    """How much of the machine other programs use from now on (Linux; elsewhere nothing is known)."""

    def __init__(self) -> None:
        self._machine, self._own, self._start = _busy_seconds(), _own_seconds(), time.monotonic()

    def share(self) -> float | None:
        """Share of all cores' time that they had, 0 to 1."""
        now, cores = _busy_seconds(), os.cpu_count()
        elapsed = time.monotonic() - self._start
        if now is None or self._machine is None or not cores or not elapsed:
            return None
        others = now - self._machine - (_own_seconds() - self._own)
        return min(max(others / (elapsed * cores), 0.0), 1.0)


def busy_note(report: Mapping[str, Any]) -> str | None:
    """A warning for a report whose times were taken while other programs ran; None if they hardly did.

    Examples
    --------
    >>> busy_note({"environment": {"others_cpu": 0.62}})
    'other programs used 62 % of the machine meanwhile: times may be too long'
    """
    share = report["environment"].get("others_cpu")
    if share is None or share < BUSY:
        return None
    return f"other programs used {share:.0%} of the machine meanwhile: times may be too long".replace("%", " %")


def _busy_seconds() -> float | None:
    """Seconds that all cores together have worked, taken by a host's other guests included."""
    try:
        fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    except OSError:
        return None
    user, nice, system, _idle, _waiting, *interrupts = map(int, fields)
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    return sum(os.times()[:4])


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu() -> str:
    """The processor's name: from Linux's own listing, elsewhere what Python knows."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
