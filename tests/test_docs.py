"""The examples in the documentation run as they stand."""

from __future__ import annotations

import doctest
import pkgutil
import re
import runpy
from importlib import import_module
from pathlib import Path

import pytest

import fmapzip

ROOT = Path(__file__).parent.parent
SCRIPTS = {"fmapzip.__main__"}
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def module_names() -> list[str]:
    found = pkgutil.walk_packages(fmapzip.__path__, "fmapzip.")
    return ["fmapzip", *(m.name for m in found if m.name not in SCRIPTS and "._core" not in m.name)]


@pytest.mark.parametrize("name", module_names())
def test_examples_in_docstrings_run(name: str) -> None:
    assert doctest.testmod(import_module(name), optionflags=OPTIONS).failed == 0


@pytest.mark.parametrize(
    "page", ["README.md", *(str(p.relative_to(ROOT)) for p in sorted((ROOT / "docs").glob("**/*.md")))]
)
def test_examples_in_pages_run(page: str) -> None:
    assert doctest.testfile(str(ROOT / page), module_relative=False, optionflags=OPTIONS).failed == 0


def test_diagrams_are_drawn_by_their_script() -> None:
    diagrams = runpy.run_path(str(ROOT / "docs" / "diagrams.py"))
    made = {name: diagrams["drawn"](diagram) for name, diagram in diagrams["DIAGRAMS"].items()}
    made["handshake"] = diagrams["handshake"]()
    for name, text in made.items():
        assert (diagrams["FOLDER"] / f"{name}.svg").read_text("utf-8") == text, "run: python docs/diagrams.py"


def test_the_site_lists_every_page() -> None:
    listed = set(re.findall(r"[\w./-]+\.md", (ROOT / "mkdocs.yml").read_text("utf-8")))
    by_folder = {"decisions"}  # docs/site/hooks.py lists these, and *_JSON.md
    pages = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").glob("**/*.md")]
    missing = [str(page) for page in pages if page.parts[0] not in by_folder and not page.stem.endswith("_JSON")]
    assert sorted(set(missing) - listed) == []


@pytest.mark.parametrize("page", sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/**/*.md")))
def test_indices_in_a_page_are_code_and_not_references(page: str) -> None:
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text("utf-8"), flags=re.S | re.M)
    text = re.sub(r"`[^`]+`|^    .*$", "", text, flags=re.M)
    assert re.findall(r".*\w\[\w+\]\[\w+\].*", text) == []  # the site's builder looks for what a[c][i] refers to


def test_each_guide_has_its_example_on_the_site() -> None:
    included = r"^```python\n--8<--\n(examples/\w+\.py)\n--8<--\n```$"  # on one line ruff would take it for Python
    pages = [path.read_text("utf-8") for path in (ROOT / "docs" / "guides").glob("*.md")]
    found = [name for page in pages for name in re.findall(included, page, re.M)]
    assert sorted(found) == sorted(f"examples/{path.name}" for path in (ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize(
    "page", sorted(str(p.relative_to(ROOT)) for p in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
)
def test_links_between_pages_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    targets = re.findall(r"\]\((?!https?:)([^)#\s]+)", text)
    assert [x for x in targets if not ((ROOT / page).parent / x).exists()] == []
