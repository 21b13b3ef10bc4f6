"""Capture by torch.export, with a dynamic batch."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import fx, nn

from fmapzip.torch.graph import record_shape
from fmapzip.torch.inputs import Inputs, as_call, call, doubled, map_tensors


def export(model: nn.Module, example: Inputs) -> tuple[fx.GraphModule, Any]:
    """Export `model` and run it on `example`; return the graph, its nodes carrying shapes, and the output.

    Any exception means that the model cannot be exported for every batch size.
    """
    args, kwargs = as_call(doubled(example))  # of at least 2: torch.export takes a size of 1 for a constant
    given = inspect.signature(model.forward).bind(*args, **kwargs).arguments
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(
        model, args, kwargs or None, dynamic_shapes=map_tensors(lambda tensor: {0: batch}, dict(given))
    )
    module = program.module()
    assert isinstance(module, fx.GraphModule)
    for node in module.graph.nodes:
        record_shape(node, node.meta.get("val"))
    return module, call(module, example)
