"""What of a graph is known before the network runs, computed by ONNX Runtime itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

from fmapzip.errors import UnsupportedModel
from fmapzip.onnx.values import Array

_RANDOM = frozenset(
    ["RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli"]
)


def constants(
    model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], initial: Mapping[str, Array]
) -> dict[str, Array]:
    """Return the outputs of all nodes that depend on constants only.

    Parameters
    ----------
    model : onnx.ModelProto
        Gives the operator sets.
    nodes : sequence of onnx.NodeProto
        In order of execution.
    initial : mapping of str to ndarray
        The constants that are there.
    """
    known, foldable = set(initial), []
    for node in nodes:
        reads = [name for name in [*node.input, *outer_names(node)] if name]
        if node.op_type not in _RANDOM and all(name in known for name in reads):
            foldable.append(node)
            known.update(name for name in node.output if name)
    if not foldable:
        return {}
    made = [name for node in foldable for name in node.output if name]
    read = {name for node in foldable for name in [*node.input, *outer_names(node)]}
    graph = onnx.helper.make_graph(
        foldable,
        "constants",
        [],
        [onnx.ValueInfoProto(name=name) for name in made],
        [numpy_helper.from_array(array, name) for name, array in initial.items() if name in read],
    )
    part = onnx.helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    try:
        found = session(part.SerializeToString(), optimised=False).run(made, {})
    except Exception as error:  # ONNX Runtime's own, of many kinds
        raise UnsupportedModel(f"its constants cannot be computed: {' '.join(str(error).split())[:300]}") from error
    return {name: np.asarray(value) for name, value in zip(made, found, strict=True)}


def outer_names(node: onnx.NodeProto) -> set[str]:
    """Return the names that the graphs in a node's attributes read from outside of themselves."""
    found: set[str] = set()
    for attribute in node.attribute:
        for graph in [attribute.g, *attribute.graphs]:
            made = {value.name for value in [*graph.input, *graph.initializer]}
            for inner in graph.node:
                found |= {name for name in [*inner.input, *outer_names(inner)] if name and name not in made}
                made.update(inner.output)
            found |= {value.name for value in graph.output if value.name not in made}
    return found


def session(model: str | bytes, optimised: bool = True, threads: int = 2) -> onnxruntime.InferenceSession:
    """Start ONNX Runtime on the CPU, silent, by default with few threads."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
