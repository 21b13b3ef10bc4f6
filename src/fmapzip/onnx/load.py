"""Loading an ONNX file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import onnx
import onnx.inliner
from torch import fx

from fmapzip.errors import UnsupportedModel
from fmapzip.onnx.files import read_model
from fmapzip.onnx.inputs import graph_inputs
from fmapzip.onnx.translate import translate
from fmapzip.onnx.verify import takes_batches, verify

OLDEST_OPSET = 9


def load_onnx(path: str | os.PathLike[str], sizes: Mapping[str, int] | None = None) -> fx.GraphModule:
    """Import the network of an ONNX file, and hold its outputs against ONNX Runtime's on a random input.

    Images go in as [N, C, H, W] in floating point, whatever the file's network reads: channels last and 8-bit integers
    are made of them by the first operation. Half precision is computed in float32. Several outputs are a dict.

    Parameters
    ----------
    path : path-like
        The file; what it refers to (external data) lies beside it.
    sizes : mapping of str to int, optional
        Sizes of named open dimensions for the comparison; by default 1 for the batch, 224 for an image's height and
        width, 16 for others.

    Returns
    -------
    fx.GraphModule
        In eval mode; its layers have the names of the file's nodes. ``meta["onnx"]`` holds the `Agreement` of each
        output, ``meta["inputs"]`` the `GraphInput` of each input, ``meta["batch"]`` 1 where the network takes one
        image at a time only, else None, ``meta["file"]`` the file's path as long as the
        weights are its own.

    Raises
    ------
    InvalidInput
        There is no such file, or it is no ONNX file.
    UnsupportedModel
        It cannot be imported; the message names the node, or the output that differs and by how much.
    """
    file = Path(path)
    model = read_model(file)
    try:
        return _imported(model, file, sizes or {})
    except UnsupportedModel as error:
        raise UnsupportedModel(f"{file}: {error}") from error.__cause__


def _imported(model: onnx.ModelProto, file: Path, sizes: Mapping[str, int]) -> fx.GraphModule:
    if not model.graph.output:
        raise UnsupportedModel("it has no output")
    versions = {entry.domain: entry.version for entry in model.opset_import}
    version = versions.get("", versions.get("ai.onnx", OLDEST_OPSET))
    if version < OLDEST_OPSET:
        raise UnsupportedModel(f"operator set {version} is older than {OLDEST_OPSET}")
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    inputs = graph_inputs(model.graph)
    module = translate(model, inputs)
    module.meta["onnx"] = verify(module, str(file), model, inputs, sizes)
    module.meta["file"] = str(file.absolute())
    module.meta["inputs"] = tuple(inputs)
    module.meta["batch"] = None if takes_batches(module, model, inputs, sizes) else 1
    return module
