"""From an ONNX graph to a torch.fx graph, node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import onnx
import onnx.shape_inference
from onnx import numpy_helper
from torch import fx

import fmapzip.onnx.ops  # noqa: F401  (fills the table of operators)
from fmapzip.errors import UnsupportedModel
from fmapzip.onnx.builder import Builder
from fmapzip.onnx.fold import constants
from fmapzip.onnx.fuse import Chains, fuse
from fmapzip.onnx.host import HOST, OnHost
from fmapzip.onnx.inputs import GraphInput, ReadImage
from fmapzip.onnx.node import Node
from fmapzip.onnx.registry import translator
from fmapzip.onnx.values import Array, Value

_ONNX_DOMAINS = ("", "ai.onnx")
TENSORS = "tensors"
"""Key of a module's ``meta``: for each node of its graph, the file's tensor that it makes, or "" for none."""


@dataclass
class _Scope:
    """Where names are looked up, and where the graph grows."""

    model: onnx.ModelProto
    builder: Builder
    values: dict[str, Value]
    made: dict[fx.Node, str] = field(default_factory=dict)

    def put(self, name: str, value: Value) -> None:
        """Give a tensor of the file its value."""
        self.values[name] = replace(value, name=name)
        if value.node is not None and not value.host:
            self.made.setdefault(value.node, name)


def translate(model: onnx.ModelProto, inputs: Sequence[GraphInput]) -> fx.GraphModule:
    """Translate a model whose local functions are inlined; it reads `inputs` and returns a tensor, or a dict of them.

    Raises
    ------
    UnsupportedModel
        The message names the node.
    """
    scope = _Scope(model, Builder(_single(model, inputs)), {})
    for value in inputs:
        scope.values[value.name] = _placeholder(scope.builder, value)
    outputs = _graph(scope, model.graph)
    builder = scope.builder
    made = {value.name: _output(builder, found) for value, found in zip(model.graph.output, outputs, strict=True)}
    builder.graph.output(next(iter(made.values())) if len(made) == 1 else made)
    module = fx.GraphModule(builder.root, builder.graph, "OnnxModel")
    module.graph.eliminate_dead_code()
    module.graph.lint()
    module.recompile()
    module.delete_all_unused_submodules()
    module.meta[TENSORS] = tuple(scope.made.get(node, "") for node in module.graph.nodes)
    return module.eval()


def _single(model: onnx.ModelProto, inputs: Sequence[GraphInput]) -> set[str]:
    """Name the tensors whose first size is 1, where that may be the one image that a file's network takes."""
    if not all(value.sizes[:1] == (1,) for value in inputs):
        return set()
    try:
        graph = onnx.shape_inference.infer_shapes(model).graph
    except ValueError:  # more than protobuf holds
        return set()
    shapes = {value.name: value.type.tensor_type.shape.dim for value in [*graph.input, *graph.value_info]}
    return {name for name, sizes in shapes.items() if sizes and sizes[0].dim_value == 1}


def _placeholder(builder: Builder, value: GraphInput) -> Value:
    made = builder.graph.placeholder(value.argument)
    reading = ReadImage(value)
    if reading.changes:
        node = Node(onnx.NodeProto(name=f"{value.argument}_read", output=[value.name]), [], 0)
        return replace(builder.module(node, reading, Value(value.name, node=made)), integers=value.integers)
    return Value(value.name, node=made)


def _output(builder: Builder, value: Value) -> fx.Node:
    return builder.tensor(value)


def _graph(scope: _Scope, graph: onnx.GraphProto) -> list[Value]:
    """Translate the nodes of a graph and return its outputs."""
    values = scope.values
    initial = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    if graph.sparse_initializer:
        raise UnsupportedModel("sparse initializers are not supported")
    outer = {name: value.constant for name, value in values.items() if value.constant is not None}
    folded = {**initial, **constants(scope.model, graph.node, {**outer, **initial})}
    values.update({name: Value(name, constant=array) for name, array in folded.items()})
    chains = Chains(graph.node, [value.name for value in graph.output])
    fused: set[str] = set()
    for proto in graph.node:
        if fused.intersection(proto.output):
            continue
        if all(name in folded for name in proto.output if name) and not _is_dequantization(proto):
            continue
        if not _fused(scope, proto, chains, fused):
            _node(scope, proto)
    return [_look_up(values, value.name, "the graph's output") for value in graph.output]


def _is_dequantization(proto: onnx.NodeProto) -> bool:
    return proto.op_type == "DequantizeLinear"


def _fused(scope: _Scope, proto: onnx.NodeProto, chains: Chains, done: set[str]) -> bool:
    """Translate a layer together with its quantization, where they are one; note in `done` what follows is done."""
    chain = chains.after(proto.output[0]) if proto.output else []
    if not chain:
        return False
    node = _with_inputs(scope, proto)
    made = fuse(node, [_with_inputs(scope, after, in_chain=True) for after in chain], scope.builder)
    if made is None:
        return False
    output = chain[-1].output[0]
    scope.put(output, made)
    done.update(name for after in chain for name in after.output)
    return True


def _with_inputs(scope: _Scope, proto: onnx.NodeProto, in_chain: bool = False) -> Node:
    """Return a node with its inputs; in a chain the first is not made yet."""
    label = proto.name or (proto.output[0] if proto.output else proto.op_type)
    inputs = [
        _look_up(scope.values, name, f"node {label!r}") if name and not (in_chain and i == 0) else None
        for i, name in enumerate(proto.input)
    ]
    return Node(proto, inputs, _version(scope.model, proto))


def _node(scope: _Scope, proto: onnx.NodeProto) -> None:
    node = _with_inputs(scope, proto)
    if node.domain == "" and node.op == "If":
        results = _branch(scope, node)
    elif _on_host(node):
        results = [_host(scope.builder, node)]
    else:
        made = translator(node)(node, scope.builder)
        results = [made] if isinstance(made, Value) else list(made)
    for name, value in zip(node.outputs, results, strict=False):
        if name:
            scope.put(name, value)
    for name in node.outputs[len(results) :]:
        if name:
            raise node.unsupported(f"its output {name!r} is not supported")


def _branch(scope: _Scope, node: Node) -> list[Value]:
    """Translate the branch of an If that its constant condition takes."""
    condition = node.known(0)
    graph = node.attr("then_branch" if bool(condition.reshape(-1)[0]) else "else_branch")
    inner = _Scope(scope.model, scope.builder, dict(scope.values), scope.made)
    return _graph(inner, graph)


def _on_host(node: Node) -> bool:
    """Whether a node computes with shapes."""
    given = [value for value in node.inputs if value is not None]
    known = all(value.host or value.constant is not None for value in given)
    return node.domain == "" and node.op in HOST and known and any(value.host for value in given)


def _host(builder: Builder, node: Node) -> Value:
    places = [i for i, value in enumerate(node.inputs) if value is not None and value.host]
    arguments: list[Array | None] = [None if value is None else value.constant for value in node.inputs]
    layer = OnHost(HOST[node.op](node), arguments, places)
    made = builder.host(node, layer, *(node.input(i) for i in places))
    return replace(made, host=True)


def _look_up(values: Mapping[str, Value], name: str, reader: str) -> Value:
    if name not in values:
        raise UnsupportedModel(f"{reader} reads {name!r}, which nothing before it makes")
    return values[name]


def _version(model: onnx.ModelProto, proto: onnx.NodeProto) -> int:
    domain = "" if proto.domain in _ONNX_DOMAINS else proto.domain
    for entry in model.opset_import:
        if ("" if entry.domain in _ONNX_DOMAINS else entry.domain) == domain:
            return int(entry.version)
    raise UnsupportedModel(
        f"node {proto.name or proto.op_type!r} is of domain {domain!r}, which has no version in the file"
    )
