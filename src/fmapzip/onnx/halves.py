"""Both halves of a network that is cut, as ONNX: what its file computes up to some tensors, and from there on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.inliner
import torch
from onnx import helper, numpy_helper
from torch import Tensor, fx, nn

from fmapzip.errors import UnsupportedModel
from fmapzip.onnx.export import READERS, element_types, file_tensors
from fmapzip.onnx.files import alone, read_model
from fmapzip.onnx.fold import outer_names, session
from fmapzip.onnx.inputs import GraphInput, graph_inputs
from fmapzip.onnx.ops.quantize import Dequantize
from fmapzip.onnx.values import Array
from fmapzip.torch.capture_fx import trace
from fmapzip.torch.graph import CallSites, find_sites
from fmapzip.torch.interpret import shape_of


class Half(nn.Module):
    """A half that ONNX Runtime computes, as a module of CPU tensors.

    Parameters
    ----------
    data : bytes
        The ONNX file.
    reads_images : bool
        Whether its input is made of images [N, C, H, W] in floating point, as `load_onnx` has it.

    Raises
    ------
    InvalidInput
        The file refers to other files.
    """

    def __init__(self, data: bytes, reads_images: bool) -> None:
        super().__init__()
        self._inputs = graph_inputs(alone(data).graph)
        self._reads_images = reads_images
        self._session = session(data, threads=torch.get_num_threads())

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """Run it; image by image where the file takes one at a time."""
        pairs = zip(self._inputs, given, strict=True)
        arrays = {
            value.name: value.values(x) if self._reads_images else value.as_file_has(x.numpy()) for value, x in pairs
        }
        single = self._inputs[0].sizes[0] == 1 and len(given[0]) > 1
        if not single:
            return tuple(map(_tensor, self._session.run(None, arrays)))
        images = ({name: x[i : i + 1] for name, x in arrays.items()} for i in range(len(given[0])))
        parts = [self._session.run(None, image) for image in images]
        return tuple(_tensor(np.concatenate(each)) for each in zip(*parts, strict=True))


Nodes = Callable[[str, str], list[onnx.NodeProto]]
"""Given the names of a tensor and of another: nodes that make the second of the first."""


@dataclass(frozen=True)
class Reduction:
    """What a tensor goes through behind the head and before the tail, and the shape [C, ...] between them."""

    before: Nodes
    after: Nodes
    shape: tuple[int, ...]


@dataclass(frozen=True)
class _Crossing:
    """A tensor of the file that crosses: its real values are `name`, with the integers that they stand for, if any."""

    tensor: str
    name: str
    shape: tuple[int, ...]
    grid: tuple[str, ...] = ()  # names of scale and zero point of integers
    axis: int | None = None
    reduction: Reduction | None = None

    @property
    def sent(self) -> str:
        """What the head gives and the tail reads."""
        return self.name if self.reduction is None else f"{self.name}/sent"

    @property
    def sent_shape(self) -> tuple[int, ...]:
        """Its shape [C, ...]."""
        return self.shape[1:] if self.reduction is None else self.reduction.shape


def halves(
    net: fx.GraphModule, example: Tensor, names: Sequence[str], reductions: Mapping[int, Reduction] | None = None
) -> tuple[bytes, bytes]:
    """Cut an ONNX file where the network made of it is cut.

    Parameters
    ----------
    net : fx.GraphModule
        What `load_onnx` made of the file, which is read again.
    example : Tensor
        One input.
    names : sequence of str
        Of the tensors that cross, as `fmapzip.split.cut` has them.
    reductions : mapping, optional
        What some of them go through, by position.

    Returns
    -------
    head, tail : bytes
        ONNX files. Where a quantized network's own integers cross, they do as the real values that they stand for.

    Raises
    ------
    UnsupportedModel
        A tensor that crosses is none of the file's, or a reduced one is not float32, or the tail needs more of the
        head than what crosses.
    """
    model = read_model(Path(net.meta["file"]))
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    crossing = _crossing(net, model, example, names)
    kinds = element_types(model)
    for i, reduction in (reductions or {}).items():
        if _kind(crossing[i], kinds) != onnx.TensorProto.FLOAT:
            raise UnsupportedModel(f"{names[i]!r} crosses reduced and is not float32")
        crossing[i] = replace(crossing[i], reduction=reduction)
    return _head(model, crossing), _tail(net, model, crossing, example)


def agree(
    net: fx.GraphModule,
    example: Tensor,
    found: tuple[nn.Module, nn.Module],
    wanted: tuple[nn.Module, nn.Module],
) -> None:
    """Hold the halves that ONNX Runtime computes against those of the import, alone and in a batch of two.

    Raises
    ------
    UnsupportedModel
        An output differs by more than the import may.
    """
    for x in (example, torch.cat([example, example])):
        try:
            got = found[1](*found[0](x))
        except Exception as error:  # ONNX Runtime's own, of many kinds
            raise UnsupportedModel(f"ONNX Runtime does not run a half: {' '.join(str(error).split())[:300]}") from error
        for agreement, a, b in zip(net.meta["onnx"], got, wanted[1](*wanted[0](x.clone())), strict=True):
            part = agreement.tolerance / max(agreement.magnitude, 1e-30)
            if a.shape != b.shape or not bool((a - b).abs().max() <= part * b.abs().max().clamp(min=1e-30)):
                raise UnsupportedModel(f"cut in two, output {agreement.output!r} differs")


def _crossing(net: fx.GraphModule, model: onnx.ModelProto, example: Tensor, names: Sequence[str]) -> list[_Crossing]:
    with torch.no_grad():
        traced, _ = trace(net, (example,))
    sites, _ = find_sites(traced.graph, CallSites(net))
    tensors = file_tensors(net, traced)
    nodes = {f"out:{node.name}": node for node in traced.graph.nodes} | {site.name: site.node for site in sites}
    made = {name for node in model.graph.node for name in node.output}
    found = []
    for name in names:
        node = nodes.get(name)
        shape = None if node is None else shape_of(node)
        layer = traced.get_submodule(str(node.target)) if node is not None and node.op == "call_module" else None
        source = node.args[0] if node is not None and isinstance(layer, Dequantize) else node
        tensor = tensors.get(source) if isinstance(source, fx.Node) else None
        if shape is None or tensor is None or tensor not in made:
            raise UnsupportedModel(f"{name!r} crosses and is no tensor of the file's main graph")
        if isinstance(layer, Dequantize):
            found.append(_on_grid(model, tensor, shape))
        else:
            found.append(_Crossing(tensor, tensor, shape))
    return found


def _on_grid(model: onnx.ModelProto, tensor: str, shape: tuple[int, ...]) -> _Crossing:
    """Integers that cross, with the grid on which the file reads them."""
    for node in model.graph.node:
        for i, name in enumerate(node.input):
            if name == tensor and node.op_type in READERS:
                grid = tuple(each for each in node.input[i + 1 : i + 3] if each)
                axis = next((a.i for a in node.attribute if a.name == "axis"), None)
                return _Crossing(tensor, f"{tensor}/real", shape, grid, axis)
    raise UnsupportedModel(f"nothing in the file reads the integers {tensor!r}")


def _head(model: onnx.ModelProto, crossing: Sequence[_Crossing]) -> bytes:
    kinds, graph = element_types(model), model.graph
    initial = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in initial]
    grids = [name for each in crossing for name in each.grid]
    nodes = _needed(graph.node, [*(each.tensor for each in crossing), *grids], ())
    nodes += [_conversion("DequantizeLinear", each, each.tensor, each.name) for each in crossing if each.grid]
    for each in crossing:
        nodes += [] if each.reduction is None else each.reduction.before(each.name, each.sent)
    outputs = [helper.make_tensor_value_info(each.sent, _kind(each, kinds), None) for each in crossing]
    return _file(model, nodes, inputs, outputs)


def _tail(net: fx.GraphModule, model: onnx.ModelProto, crossing: Sequence[_Crossing], example: Tensor) -> bytes:
    kinds, graph = element_types(model), model.graph
    if {value.name for value in graph.output} & {each.tensor for each in crossing}:
        raise UnsupportedModel("an output of the network crosses itself")
    (read,) = net.meta["inputs"]
    batch = read.sizes[0] if read.sizes[0] == 1 else "batch"
    inputs = [
        helper.make_tensor_value_info(each.sent, _kind(each, kinds), [batch, *each.sent_shape]) for each in crossing
    ]
    nodes = [node for each in crossing if each.reduction for node in each.reduction.after(each.sent, each.name)]
    nodes += [_conversion("QuantizeLinear", each, each.name, each.tensor) for each in crossing if each.grid]
    there = _available(graph, [each.tensor for each in crossing])
    wanted = [value.name for value in graph.output]
    stop = {each.tensor for each in crossing}

    def asks_the_head(node: onnx.NodeProto) -> bool:
        return _is_shape(node) and node.input[0] not in there

    needed = _needed(graph.node, wanted, stop, stop_at=asks_the_head)
    sized = list(filter(asks_the_head, needed))
    shapes = _shapes(model, read, [node.input[0] for node in sized], example)
    body = []
    for node in needed:
        if node in sized:
            body += _known_shape(node, shapes[node.input[0]], crossing[0].name)
        else:
            body.append(node)
    grids = _needed(graph.node, [name for each in crossing for name in each.grid], stop)
    before = [node for node in grids if node not in body]
    return _file(model, [*before, *nodes, *body], inputs, list(graph.output))


def _conversion(operator: str, each: _Crossing, given: str, made: str) -> onnx.NodeProto:
    axis: dict[str, Any] = {} if each.axis is None else {"axis": each.axis}
    return helper.make_node(operator, [given, *each.grid], [made], f"{each.name}/{operator}", **axis)


def _kind(each: _Crossing, kinds: dict[str, int]) -> int:
    return onnx.TensorProto.FLOAT if each.grid else kinds.get(each.tensor, onnx.TensorProto.FLOAT)


def _needed(
    nodes: Iterable[onnx.NodeProto],
    wanted: Iterable[str],
    given: Collection[str],
    stop_at: Callable[[onnx.NodeProto], bool] = lambda _: False,
) -> list[onnx.NodeProto]:
    """The nodes that make `wanted` of `given`, in order; what nodes read for which `stop_at` holds is not made."""
    left, kept = set(wanted) - set(given), []
    for node in reversed(list(nodes)):
        if left.isdisjoint(node.output):
            continue
        kept.append(node)
        if not stop_at(node):
            left |= {name for name in [*node.input, *outer_names(node)] if name and name not in given}
    return kept[::-1]


def _available(graph: onnx.GraphProto, given: Iterable[str]) -> set[str]:
    """What can be computed of constants and of `given`."""
    found = {*given, *(tensor.name for tensor in graph.initializer)}
    for node in graph.node:
        if all(name in found for name in [*node.input, *outer_names(node)] if name):
            found.update(node.output)
    return found


def _is_shape(node: onnx.NodeProto) -> bool:
    return node.op_type == "Shape" and node.domain in ("", "ai.onnx")


def _shapes(
    model: onnx.ModelProto, read: GraphInput, names: Sequence[str], example: Tensor
) -> dict[str, tuple[int, ...]]:
    """Shapes of tensors of the head, by running it."""
    if not names:
        return {}
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    del probe.graph.output[:]
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys(names))
    given = {read.name: read.values(example)}
    if read.name in names:
        raise UnsupportedModel("the tail reads the size of the network's input")
    found = session(probe.SerializeToString(), optimised=False).run(None, given)
    return {name: tuple(value.shape) for name, value in zip(dict.fromkeys(names), found, strict=True)}


def _known_shape(node: onnx.NodeProto, shape: tuple[int, ...], crossing: str) -> list[onnx.NodeProto]:
    """What gives a tensor's sizes without the tensor: its batch is that of what crosses, the rest does not change."""
    limits = {a.name: a.i for a in node.attribute}
    if limits or not shape or shape[0] != 1:
        raise UnsupportedModel(f"the tail reads sizes of {node.input[0]!r}, which does not cross")
    name = node.output[0]

    def constant(part: str, values: Sequence[int]) -> onnx.NodeProto:
        tensor = numpy_helper.from_array(np.array(values, np.int64))
        return helper.make_node("Constant", [], [f"{name}/{part}"], value=tensor)

    return [
        helper.make_node("Shape", [crossing], [f"{name}/crossing"]),
        constant("first", [0]),
        helper.make_node("Gather", [f"{name}/crossing", f"{name}/first"], [f"{name}/batch"]),
        constant("rest", shape[1:]),
        helper.make_node("Concat", [f"{name}/batch", f"{name}/rest"], [name], axis=0),
    ]


def _file(
    model: onnx.ModelProto,
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
) -> bytes:
    read = {name for node in nodes for name in [*node.input, *outer_names(node)]}
    made = {name for node in nodes for name in node.output} | {value.name for value in inputs}
    initial = [tensor for tensor in model.graph.initializer if tensor.name in read]
    missing = read - made - {tensor.name for tensor in initial} - {""}
    if missing:
        raise UnsupportedModel(f"a half needs {min(missing)!r}, which does not cross")
    graph = helper.make_graph(list(nodes), model.graph.name or "half", list(inputs), list(outputs), initial)
    half = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    try:
        return bytes(half.SerializeToString(deterministic=True))
    except ValueError as error:  # more than protobuf holds
        raise UnsupportedModel(f"a half is too large for one ONNX file: {error}") from error


def _tensor(array: Array) -> Tensor:
    found = torch.from_numpy(np.ascontiguousarray(array))
    return found.float() if found.dtype == torch.float16 else found
