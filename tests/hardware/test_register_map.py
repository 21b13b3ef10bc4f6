"""The register map of docs/HARDWARE.md against the words that blocks take."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("amaranth")

from fmapzip.hardware import dct_cm_forward, dct_cm_gather, dct_cm_inverse, dct_cm_rows, rans_tile
from fmapzip.hardware.dct_cm_classes import TILE
from fmapzip.hardware.streams import SIZE_BITS, STATUS

PAGE = (Path(__file__).parents[2] / "docs" / "HARDWARE.md").read_text("utf-8")


def row(first: str) -> str:
    """The line of a table that begins with a cell."""
    (found,) = (line for line in PAGE.splitlines() if line.startswith(f"| {first} |"))
    return found


def test_descriptors_have_the_bits_that_the_page_says() -> None:
    told = row("0x00, 0x04, 0x08")
    assert f"{TILE.size} bits for `dct-cm`, {dct_cm_rows.BODY.size} for `dct-cm-transform`" in told
    assert f"{rans_tile.TILE.size} for `context-rans`" in told
    assert f"{dct_cm_inverse.RUN.size} or {dct_cm_gather.RUN.size} for `run`" in told
    assert max(TILE.size, dct_cm_rows.BODY.size, rans_tile.TILE.size) <= 3 * 32


def test_tables_sizes_and_status_have_the_bits_that_the_page_says() -> None:
    steps = f"{dct_cm_inverse.STEP_BITS} or {dct_cm_forward.STEP.size} for steps"
    assert f"8 bits for points, {steps}, {rans_tile.LOAD.size} for `context-rans`" in row("0x10, 0x14")
    assert f"{SIZE_BITS} bits" in row("0x18")
    assert f"{STATUS.size} bits: error in bits 0-1, place from bit 2 on" in row("0x20, 0x24")
