"""Fixtures that several test modules share."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

# The same examples on every run: a failure in CI is a failure at the desk.
settings.register_profile("fmapzip", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("fmapzip")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real networks and photographs."""
    folder = os.environ.get("FMAPZIP_TEST_DATA")
    if not folder:
        pytest.skip("FMAPZIP_TEST_DATA is not set: tests on real networks are skipped")
    return Path(folder).resolve()


@pytest.fixture(scope="session")
def nets(shared_data: Path) -> ModuleType:
    """The module that loads the real networks."""
    spec = importlib.util.spec_from_file_location("fmapzip_test_nets", shared_data / "nets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
