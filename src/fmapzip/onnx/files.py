"""Reading ONNX files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx
from onnx.external_data_helper import uses_external_data

from fmapzip.errors import InvalidInput


def read_model(file: Path, external: bool = True) -> onnx.ModelProto:
    """The model in a file.

    Parameters
    ----------
    file
        What it refers to (external data) lies beside it.
    external
        Whether to read that too.

    Raises
    ------
    InvalidInput
        There is no such file, or it is no ONNX file.
    """
    if not file.is_file():
        raise InvalidInput(f"no such file: {file}")
    try:
        return onnx.load(file, load_external_data=external)
    except Exception as error:  # of protobuf, of onnx, of the file system
        raise InvalidInput(
            f"{file}: not an ONNX file that can be read: {' '.join(str(error).split())[:200]}"
        ) from error


def alone(data: bytes) -> onnx.ModelProto:
    """The model in the bytes of a file that refers to no other one.

    Raises
    ------
    InvalidInput
        They are no ONNX file, or values of a tensor lie in another file, which a stranger's file would choose.
    """
    try:
        model = onnx.load_from_string(data)
    except Exception as error:
        raise InvalidInput(f"not an ONNX file: {' '.join(str(error).split())[:200]}") from error
    nodes = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    for tensor in [*model.graph.initializer, *_tensors(nodes)]:
        if uses_external_data(tensor):
            raise InvalidInput(f"the values of {tensor.name!r} lie in another file")
    return model


def _tensors(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    """Those in the attributes of nodes, and in graphs there."""
    for attribute in (attribute for node in nodes for attribute in node.attribute):
        yield from [attribute.t, *attribute.tensors]
        for graph in [attribute.g, *attribute.graphs]:
            yield from graph.initializer
            yield from _tensors(graph.node)
