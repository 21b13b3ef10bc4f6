"""The forward transform of `dct-cm`: graphs and codes, against the reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("amaranth")

from fmapzip.codecs.dct_cm import DctCm
from fmapzip.hardware import block
from fmapzip.hardware.dct_cm_forward import STEP
from fmapzip.hardware.dct_cm_groups import quantizer_word
from fmapzip.hardware.dct_graph import LENGTHS, forward_graph
from fmapzip.hardware.tiles import Tile
from fmapzip.reference import dct
from simulate import run


@pytest.mark.parametrize("length", LENGTHS)
def test_graphs_are_the_references_transforms(length: int) -> None:
    x = np.random.default_rng(length).integers(-255, 255, (length, 30), endpoint=True).astype(np.int32)
    x[:, :8] = np.sign(x[:, :8]) * 255
    graph = forward_graph(length)
    found = np.array([graph.run([int(v) * 128 // length for v in column]) for column in x.T]).T
    assert (found == dct.forward(x)).all()


@settings(max_examples=300)
@given(st.integers(4, 4096), st.integers(0, 32640))
def test_reciprocals_divide_exactly(step: int, magnitude: int) -> None:
    fields = STEP.from_bits(quantizer_word(step))
    product = (magnitude + fields.half) * (fields.reciprocal + 65536)
    assert product >> 16 + fields.shift == (magnitude + step // 2) // step


@pytest.mark.parametrize(
    ("length", "values", "channels", "signed"),
    [(4, 1, 7, True), (8, 2, 11, False)],
)
def test_values_become_the_softwares_codes(length: int, values: int, channels: int, signed: bool) -> None:
    rng = np.random.default_rng(channels)
    waves = 90 * np.sin(np.add.outer(np.arange(channels) / 3, np.arange(6) / 5)).reshape(channels, 2, 3)
    noisy = (waves + rng.normal(0, 6, waves.shape)) * (rng.random(waves.shape) < 0.7)
    q = np.clip(noisy, -127 if signed else 0, 127).astype(np.int8 if signed else np.uint8)
    codec = DctCm(path="transform", coding="bitmap", group=length, keep=length - 1, step=12, zero_mask=not signed)
    tile = Tile("dct-cm", q.view(np.uint8), 128 if signed else 0, b"", codec.parameters(q))
    made = block(f"dct-cm-forward-{length}")
    case = made.case(tile, values)
    wanted = {"codes": len(case.outputs["codes"])}
    assert run(made.component(values), case.inputs, wanted, 0.3) == case.outputs
