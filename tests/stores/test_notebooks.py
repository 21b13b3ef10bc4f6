"""The notebooks run, and show what they give."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

for module in ("torch", "sklearn", "zarr", "xarray"):
    pytest.importorskip(module)

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("notebook", sorted(DOCS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_cells_give_what_the_notebook_shows(notebook: Path) -> None:
    spec = importlib.util.spec_from_file_location("notebooks", DOCS / "notebooks.py")
    assert spec is not None
    assert spec.loader is not None
    notebooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(notebooks)
    assert notebooks.executed(notebook) == notebook.read_text("utf-8"), "run: python docs/notebooks.py"
