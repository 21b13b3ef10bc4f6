"""The scripts of benchmarks/, which stand beside the tests in the repository and not in a distribution."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).parents[1] / "benchmarks"


def script(name: str) -> ModuleType:
    """A script as a module; skips the test, or all of a module's, where there are none."""
    if not BENCH.is_dir():
        pytest.skip("the benchmarks are not beside the tests", allow_module_level=True)
    sys.path.insert(0, str(BENCH))
    try:
        return import_module(name)
    finally:
        sys.path.remove(str(BENCH))
