"""JSON documents are what their declarations say, and so are their pages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from fmapzip.cli.app import run
from fmapzip.documents.bench import BENCH, Method
from fmapzip.documents.document import Document
from fmapzip.documents.evaluation import EVALUATION, Image
from fmapzip.documents.pages import pages
from fmapzip.errors import InvalidInput

ROOT = Path(__file__).parent.parent.parent


def same(document: Document, report: dict[str, Any]) -> bool:
    """Whether the report has all declared keys, and no other."""
    return bool(document.checked(report) == report)


@pytest.mark.parametrize("name", pages())
def test_pages_are_made_from_the_declarations(name: str) -> None:
    assert (ROOT / "docs" / name).read_text("utf-8") == pages()[name], "run: python docs/json_pages.py"


def test_eval_writes_what_is_declared(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    file, lines = tmp_path / "r.json", tmp_path / "lines.jsonl"
    words = ["--limit", "10", "--codec", "zvc", "--json", str(file), "--per-image", str(lines)]
    assert run(["eval", "demo", "demo", *words]) == 0
    assert same(EVALUATION, EVALUATION.read(file))
    assert EVALUATION.read(file)["codecs"][0]["taps"]
    for line in lines.read_text("utf-8").splitlines():
        assert msgspec.to_builtins(msgspec.json.decode(line, type=Image)) == json.loads(line)


def test_bench_writes_what_is_declared(tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    np.save(tmp_path / "maps.npy", np.zeros((4, 8, 8), np.uint8))
    assert run(["bench", str(tmp_path / "maps.npy"), "--codec", "zvc", "--repeat", "1", "--json", str(file)]) == 0
    assert same(BENCH, BENCH.read(file))


def test_a_method_without_its_package_has_no_figures() -> None:
    report = {"label": "brotli", "status": "missing: the module 'brotli'"}
    assert msgspec.to_builtins(msgspec.convert(report, Method)) == report
    with pytest.raises(msgspec.ValidationError, match="lacks layout, codec"):
        msgspec.convert({**report, "status": "ok"}, Method)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"schema": 2}', "schema"),
        (b'{"schema": 1}', "missing required field"),
        (b"[]", "Expected `object`"),
        (b"\xff", "not a report of fmapzip eval"),
        (b"[" * 100_000, "not a report of fmapzip eval"),
    ],
)
def test_what_is_no_report_is_refused_with_the_reason(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "r.json"
    file.write_bytes(content)
    with pytest.raises(InvalidInput, match=message):
        EVALUATION.read(file)


def test_infinite_figures_are_null() -> None:
    method = {"label": "x", "status": "missing: it", "sqnr_db": float("inf")}
    assert Document("", "", Method).checked(method)["sqnr_db"] is None


def test_importing_the_package_loads_no_declarations() -> None:
    program = "import sys, fmapzip; sys.exit(any(name in sys.modules for name in ('msgspec', 'fmapzip.documents')))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
