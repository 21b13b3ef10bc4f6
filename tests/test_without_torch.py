"""PyTorch is an extra: the package works without it and says which one brings it."""

from __future__ import annotations

import subprocess
import sys

import pytest

WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # as if it were not installed
import fmapzip
assert fmapzip.decode(fmapzip.encode(bytes(8))).size == 8
assert "torch" not in dir(fmapzip)
try:
    import fmapzip.torch
except fmapzip.errors.MissingExtra as error:
    print(error)
"""


def test_without_torch_the_package_works_and_names_the_extra():
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH], capture_output=True, text=True, check=True)
    assert "pip install 'fmapzip[torch]'" in done.stdout


def test_importing_the_package_loads_no_torch():
    code = "import fmapzip, sys; dir(fmapzip); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_torch_is_there_and_listed_without_an_import_of_its_own():
    pytest.importorskip("torch")
    code = "import fmapzip; print('torch' in dir(fmapzip), fmapzip.torch.taps.__name__)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "True taps\n"
    )
