"""The worked examples of the format's pages are what the golden frames hold."""

from __future__ import annotations

import pytest

import format_examples


@pytest.mark.parametrize("name", format_examples.PAGES)
def test_a_worked_example_is_its_golden_frame(name: str) -> None:
    written = (format_examples.ROOT / format_examples.PAGES[name]).read_text("utf-8")
    assert written == format_examples.page_with_example(name), "python tests/format_examples.py writes the examples"
