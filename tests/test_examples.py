"""The scripts of examples/ run, on few images."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from fmapzip import registry

EXAMPLES = Path(__file__).parent.parent / "examples"
SAYS = {
    "measure_network": "times fewer bytes",
    "accelerator_traffic": "one image moves",
    "split_inference": "of 12 digits are read rightly",
    "cache_features": "12 maps in",
    "own_codec": "example-delta-deflate",
}


def test_every_example_is_listed() -> None:
    assert sorted(path.stem for path in EXAMPLES.glob("*.py")) == sorted(SAYS)


@pytest.mark.parametrize("name", SAYS)
def test_an_example_runs(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.setattr(registry, "_registered", {})
    importlib.import_module(name).main(12)
    assert SAYS[name] in capsys.readouterr().out
