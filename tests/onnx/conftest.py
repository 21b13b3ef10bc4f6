"""Small ONNX files, and the comparison of their imports with ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("onnx", reason="the extra 'onnx' is not installed")
torch = pytest.importorskip("torch", reason="the extra 'torch' is not installed")

import onnx
from onnx import helper, numpy_helper

Array = NDArray[Any]
Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def _repeatable(request: pytest.FixtureRequest) -> None:
    """The same numbers in each test, whichever ran before it."""
    torch.manual_seed(0)
    rng = getattr(request.module, "RNG", None)
    if rng is not None:
        rng.bit_generator.state = np.random.default_rng(0).bit_generator.state


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a graph of some nodes to a file."""

    def write(
        nodes: Sequence[onnx.NodeProto],
        inputs: Mapping[str, tuple[str, Sequence[int | str]]],
        outputs: Sequence[str],
        constants: Mapping[str, Array] | None = None,
        opset: int = 17,
        microsoft: bool = False,
        name: str = "net.onnx",
    ) -> Path:
        graph = helper.make_graph(
            list(nodes),
            "net",
            [
                helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(kind)), shape)
                for name, (kind, shape) in inputs.items()
            ],
            [onnx.ValueInfoProto(name=name) for name in outputs],
            [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()],
        )
        sets = [helper.make_opsetid("", opset)] + ([helper.make_opsetid("com.microsoft", 1)] if microsoft else [])
        model = helper.make_model(graph, opset_imports=sets, ir_version=8 if opset < 21 else 10)
        path = tmp_path / name
        onnx.save(model, path)
        return path

    return write
