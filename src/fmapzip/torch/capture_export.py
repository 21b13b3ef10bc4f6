"""Capture by torch.export, with a dynamic batch."""

from __future__ import annotations

import inspect
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

import torch
from torch import fx, nn
from torch.fx._pytree import tree_flatten_spec

from fmapzip.torch.inputs import Inputs, as_call, doubled, map_tensors
from fmapzip.torch.interpret import StaleRead, replay


def export(model: nn.Module, example: Inputs) -> tuple[fx.GraphModule, Any]:
    """Export `model` and run it on `example`; return the graph, its nodes carrying shapes, and the output.

    A graph that reads memory by an old name after it was written into is made functional, so that each write makes a
    tensor of its own. Any exception means that the model cannot be exported for every batch size.
    """
    args, kwargs = as_call(doubled(example))  # of at least 2: torch.export takes a size of 1 for a constant
    given = inspect.signature(model.forward).bind(*args, **kwargs).arguments
    batch = torch.export.Dim("batch", min=1)
    with redirect_stderr(StringIO()):  # where torch.export prints the graph that it failed in
        program = torch.export.export(
            model, args, kwargs or None, dynamic_shapes=map_tensors(lambda tensor: {0: batch}, dict(given))
        )
    try:
        return _replayed(program, example)
    except StaleRead:
        return _replayed(program.run_decompositions({}), example)


def _replayed(program: torch.export.ExportedProgram, example: Inputs) -> tuple[fx.GraphModule, Any]:
    module = program.module()
    assert isinstance(module, fx.GraphModule)
    return module, replay(module, tree_flatten_spec(as_call(example), module._in_spec))
