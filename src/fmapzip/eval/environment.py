"""The machine and versions that a figure comes from."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
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
