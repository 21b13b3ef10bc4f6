"""The commands of the guides run as they stand, on few images."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from fmapzip.cli.app import run

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "docs" / "index.md", *sorted((ROOT / "docs" / "guides").glob("*.md"))]
WITHOUT_IMAGES = {"rtl", "vectors", "verify"}


def commands(page: Path) -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text("utf-8"), re.S)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("fmapzip ")]


READMES = commands(ROOT / "README.md")
"""These run in test_readme.py."""
OWN = {page.stem: [command for command in commands(page) if command not in READMES] for page in PAGES}


@pytest.mark.parametrize("page", [page for page, own in OWN.items() if own])
def test_the_commands_of_a_page_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("torch", "sklearn", "amaranth"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    for command in OWN[page]:
        fewer = [] if command[0] in WITHOUT_IMAGES else ["--limit", "10"]
        assert run([*command, *fewer]) == 0, command
