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


def hide_folders() -> None:
    """Where PyTorch or onnx is not installed, the folder of tests that has its name would pass for it."""
    for name in ("onnx", "torch"):
        spec = importlib.util.find_spec(name) if name not in sys.modules else None
        if spec is not None and spec.origin is None:
            sys.modules[name] = None  # type: ignore[assignment]  # importing it says that there is no such module


hide_folders()

# The same examples on every run: a failure in CI is a failure at the desk. By night there are more, and others.
settings.register_profile("fmapzip", deadline=None, derandomize=True, max_examples=40)
settings.register_profile("nightly", deadline=None, max_examples=300, print_blob=True)
settings.load_profile("fmapzip")


def pytest_addoption(parser: pytest.Parser) -> None:
    """What `nox -s nightly` gives."""
    parser.addoption("--nightly", action="store_true", help="run long tests and long forms of tests too")


def pytest_configure(config: pytest.Config) -> None:
    """More examples by night."""
    if config.getoption("--nightly"):
        settings.load_profile("nightly")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave long tests to the night."""
    if config.getoption("--nightly"):
        return
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="long: nox -s nightly runs it"))


@pytest.fixture(scope="session")
def nightly(request: pytest.FixtureRequest) -> bool:
    """Whether a test that has a short form runs its long one."""
    return bool(request.config.getoption("--nightly"))


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
