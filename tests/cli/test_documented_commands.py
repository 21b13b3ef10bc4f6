"""Command lines of the pages: all are ones that the program takes, and those on what comes with it run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import typer

from fmapzip.cli.app import app, run

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def lines(page: Path) -> list[str]:
    """Lines of indented and fenced blocks, with those that go on joined."""
    text = page.read_text("utf-8")
    fenced = re.findall(r"^```(?:sh|yaml)\n(.*?)^```", text, re.S | re.M)
    indented = re.findall(
        r"(?:^|\n)\n((?:    \S.*\n(?:     .*\n)*)+)", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    )
    return "".join([*fenced, *indented]).replace("\\\n", " ").splitlines()


def commands(page: Path) -> list[list[str]]:
    """The words behind ``fmapzip`` on these lines, whatever runs it."""
    found = []
    for line in lines(page):
        for text in re.findall(r"(?<![\w./-])fmapzip ((?:'[^']*'|[^&;|'\"])*)", line):
            words = shlex.split(re.sub(r"\$\(\(.*?\)\)|\$\w+|\{\}", "1", text), comments=True)
            if words and not words[0].startswith("-"):
                found.append(words)
    return found


WRITTEN = {page.relative_to(ROOT).as_posix(): commands(page) for page in PAGES}


@pytest.mark.parametrize("page", [name for name, found in WRITTEN.items() if found])
def test_the_commands_of_a_page_are_ones_that_the_program_takes(page: str) -> None:
    group = typer.main.get_group(app)
    for name, *words in WRITTEN[page]:
        command = group.get_command(group.context_class(group), name)
        assert command is not None, f"{page}: fmapzip {name}"
        command.make_context(name, list(words))  # another option, or a word too many, is an error that says so


def test_pages_have_the_commands_that_are_looked_for() -> None:
    assert len(WRITTEN["docs/CLI.md"]) > 25
    assert ["codecs", "dct-cm"] in WRITTEN["docs/CLI.md"]
    assert ["eval", "detector.onnx", "photos/", "--codec", "context-rans"] in WRITTEN["docs/ONNX.md"]
    assert ["vectors", "zvc", "maps.fmz", "--values", "8", "-o", "vectors/"] in WRITTEN["docs/HARDWARE.md"]


def needs_nothing(name: str, words: list[str]) -> bool:
    """Whether a command runs on the demo, on arrays in maps.npz, or on the archive that an earlier one made."""
    return "demo" in words or "maps.npz" in words or "maps.fmz" in words or name in ("codecs", "rtl")


@pytest.mark.parametrize("page", ["docs/CLI.md", "docs/HARDWARE.md"])
def test_the_commands_that_need_nothing_else_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("torch", "sklearn", "amaranth"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "maps.npz", early=np.zeros((4, 8, 8), np.uint8))
    found = [[name, *words] for name, *words in WRITTEN[page] if name != "bench" and needs_nothing(name, words)]
    assert len(found) == {"docs/CLI.md": 5, "docs/HARDWARE.md": 4}[page], found
    for command in found:
        fewer = ["--limit", "10"] if "demo" in command and "--limit" not in command else []
        assert run([*command, *fewer]) == 0, command
