"""ONNX graphs whose feature maps are stored: each tap of a plan is quantized, encoded and decoded where it is made."""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.inliner
import onnx.shape_inference
import onnx.version_converter
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, fx, nn

from fmapzip.atomic import replacing
from fmapzip.errors import PlanMismatch, UnsupportedModel
from fmapzip.onnx.files import read_model
from fmapzip.onnx.inputs import graph_inputs
from fmapzip.onnx.ops.quantize import Dequantize
from fmapzip.onnx.runtime import BYTES_OUTPUT, DOMAIN, OPERATOR, PLAN_PROPERTY
from fmapzip.onnx.translate import TENSORS, translate
from fmapzip.plan import Plan, TapPlan
from fmapzip.torch.capture import Tap, capture
from fmapzip.torch.capture_fx import trace
from fmapzip.torch.graph import CallSites, find_sites
from fmapzip.torch.inputs import plan_inputs
from fmapzip.torch.interpret import shape_of
from fmapzip.torch.preserve import evaluation_mode

_OPSET = 13  # from here on QuantizeLinear has axes, and Clip takes 8-bit integers
READERS = frozenset(
    [
        "DequantizeLinear",
        "QGemm",
        "QLinearAdd",
        "QLinearConv",
        "QLinearGlobalAveragePool",
        "QLinearMatMul",
        "QLinearMul",
    ]
)


@dataclass(frozen=True)
class _Place:
    """Where a tap is stored: a tensor of the file, of real values, or of the integers that they are read from."""

    tensor: str
    integers: bool
    axis: int


def export_stored(model: str | os.PathLike[str] | nn.Module, plan: Plan, output: str | os.PathLike[str]) -> None:
    """Write an ONNX file that computes what `model` does with the feature maps of `plan` stored.

    Each tap is one operator, ``fmapzip::Store``: 8-bit integers in; the integers that are read back, and how many bytes
    each sample took, out. The second output of all taps is the file's output ``stored_bytes``. The plan is part of the
    file, which `fmapzip.onnx.session` runs.

    Parameters
    ----------
    model : path-like or nn.Module
        An ONNX file, with a plan that was made for it; or a network, which torch.onnx writes down first.
    plan : Plan
        For this network.
    output : path-like
        The file to write.

    Raises
    ------
    PlanMismatch
        The network does not have the plan's taps.
    UnsupportedModel
        A tap has no tensor of its own in the file.
    """
    example = plan_inputs(plan)
    proto = _prepared(_written(model, example) if isinstance(model, nn.Module) else read_model(Path(model)))
    net = translate(proto, graph_inputs(proto.graph))
    with torch.no_grad():
        taps = capture(net, example).taps
    names = _names_in_order(model, example, taps, plan) if isinstance(model, nn.Module) else {}
    places, types = _places(net, example, taps, plan, names), element_types(proto)
    for index, tap in enumerate(plan):
        place = places[tap.name]
        _store(proto, plan, index, place, types.get(place.tensor, TensorProto.FLOAT))
    _add_bytes_output(proto, plan)
    proto.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    proto.metadata_props.append(
        onnx.StringStringEntryProto(key=PLAN_PROPERTY, value=base64.b64encode(plan.to_bytes()).decode())
    )
    with replacing(Path(output)) as temporary:
        onnx.save(proto, temporary)


def _prepared(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model without functions, of an operator set that knows what is added."""
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    versions = {entry.domain: entry.version for entry in model.opset_import}
    if versions.get("", versions.get("ai.onnx", _OPSET)) < _OPSET:
        try:
            model = onnx.version_converter.convert_version(model, _OPSET)
        except Exception as error:  # onnx's own, of many kinds
            raise UnsupportedModel(f"it cannot be brought to operator set {_OPSET}: {error}") from error
    return model


def _written(net: nn.Module, example: tuple[Tensor, ...]) -> onnx.ModelProto:
    """Return what torch.onnx makes of a network, for any batch where it can."""
    batch = torch.export.Dim("batch")
    with tempfile.TemporaryDirectory() as folder, evaluation_mode(net):
        path = Path(folder) / "net.onnx"
        for shapes in (tuple({0: batch} for _ in example), None):
            try:
                two = tuple(torch.cat([x, x]) for x in example)
                given = example if shapes is None else two
                torch.onnx.export(net, given, path, dynamo=True, dynamic_shapes=shapes, verbose=False)
            except Exception as error:  # torch.onnx's own, of many kinds
                failed = error
                continue
            return onnx.load(path)
    raise UnsupportedModel(f"torch.onnx cannot write the network: {' '.join(str(failed).split())[:300]}") from failed


def _names_in_order(net: nn.Module, example: tuple[Tensor, ...], theirs: Sequence[Tap], plan: Plan) -> dict[str, str]:
    """For each tap of the plan, its name in the file that torch.onnx made: both networks' are in order of execution."""
    with evaluation_mode(net):
        ours = capture(net, example).taps
    if [tap.shape for tap in ours] != [tap.shape for tap in theirs]:
        raise UnsupportedModel(
            f"torch.onnx writes {len(theirs)} feature maps, the network has {len(ours)}, or they differ in shape"
        )
    known = {tap.name: there.name for tap, there in zip(ours, theirs, strict=True)}
    for tap in plan:
        if tap.name not in known:
            raise PlanMismatch(f"the network has no tap {tap.name!r}; it has {', '.join(list(known)[:8])}")
    return {tap.name: known[tap.name] for tap in plan}


def _places(
    net: fx.GraphModule, example: tuple[Tensor, ...], taps: Sequence[Tap], plan: Plan, names: dict[str, str]
) -> dict[str, _Place]:
    """For each tap of the plan, by its name, where it is in the file; `names` has those that differ there."""
    with torch.no_grad():
        traced, _ = trace(net, example)
    captured = {tap.name: tap for tap in taps}
    sites, _ = find_sites(traced.graph, CallSites(net))
    tensors = file_tensors(net, traced)
    found = {site.name: site.node for site in sites}
    places = {}
    for tap in plan:
        name = names.get(tap.name, tap.name)
        if name not in found or name not in captured:
            raise PlanMismatch(f"the network has no tap {name!r}; it has {', '.join(list(found)[:8])}")
        _check(tap, captured[name], found[name])
        places[tap.name] = _place(tap, traced, found[name], captured[name], tensors)
    return places


def file_tensors(net: fx.GraphModule, traced: fx.GraphModule) -> dict[fx.Node, str]:
    """The file's tensor that each operation of a traced import makes: it has the operations of the import in order."""
    made, again = list(net.graph.nodes), list(traced.graph.nodes)
    if [(node.op, str(node.target)) for node in made] != [(node.op, str(node.target)) for node in again]:
        raise UnsupportedModel("the imported network is not traced operation by operation")
    return {node: name for node, name in zip(again, net.meta[TENSORS], strict=True) if name}


def _check(planned: TapPlan, tap: Tap, node: fx.Node) -> None:
    if tap.shape != planned.shape:
        raise PlanMismatch(f"tap {planned.name!r} is {list(tap.shape)}, in the plan {list(planned.shape)}")
    if tap.problem or len(shape_of(node) or ()) != 1 + len(tap.shape):
        raise UnsupportedModel(f"tap {planned.name!r} cannot be stored in the file: {tap.problem or 'it is reshaped'}")


def _place(planned: TapPlan, traced: fx.GraphModule, node: fx.Node, tap: Tap, tensors: dict[fx.Node, str]) -> _Place:
    """Where a tap is: its integers, where it is stored as the network's own."""
    layer = traced.get_submodule(str(node.target)) if node.op == "call_module" else None
    own = isinstance(layer, Dequantize) and layer.quantizer == planned.quantizer
    made = node.args[0] if own else node
    if not isinstance(made, fx.Node) or made not in tensors:
        raise UnsupportedModel(f"tap {planned.name!r} has no tensor of its own in the file")
    return _Place(tensors[made], own, tap.axis)


def _store(model: onnx.ModelProto, plan: Plan, index: int, place: _Place, kind: int) -> None:
    """Put a tap's operator, and what it needs, behind what makes its tensor."""
    graph, tap = model.graph, plan[index]
    position = next((i for i, node in enumerate(graph.node) if place.tensor in node.output), None)
    if position is None:
        raise UnsupportedModel(f"tap {tap.name!r}: nothing in the main graph makes {place.tensor!r}")
    added = _on_integers(graph, tap, place) if place.integers else _on_floats(graph, tap, place, position, kind)
    read, written, before, after = added
    store = helper.make_node(OPERATOR, [read], [written, _bytes_of(index)], f"fmapzip/{tap.name}", domain=DOMAIN)
    for name, value in (("plan", plan.hash8.hex()), ("tap", index), ("axis", place.axis)):
        store.attribute.append(helper.make_attribute(name, value))
    for node in reversed([*before, store, *after]):
        graph.node.insert(position + 1, node)


_Added = tuple[str, str, list[onnx.NodeProto], list[onnx.NodeProto]]


def _on_integers(graph: onnx.GraphProto, tap: TapPlan, place: _Place) -> _Added:
    """Have what reads integers as real values read those that come back."""
    stored, grids = f"{place.tensor}/stored", _constants(graph)
    for node in graph.node:
        for i, name in enumerate(node.input):
            if name == place.tensor and node.op_type in READERS:
                _check_grid(tap, node, i, grids)
                node.input[i] = stored
    return place.tensor, stored, [], []


def _check_grid(tap: TapPlan, node: onnx.NodeProto, index: int, constants: dict[str, onnx.TensorProto]) -> None:
    scale, zero = (constants.get(name) for name in [*node.input[index + 1 : index + 3], ""][:2])
    scales = None if scale is None else numpy_helper.to_array(scale).reshape(-1)
    zeros = np.zeros(1) if zero is None else numpy_helper.to_array(zero).reshape(-1).astype(int)
    low = -128 if zero is not None and zero.data_type == TensorProto.INT8 else 0
    moved = tap.quantizer.zero_point is None
    if (
        scales is None
        or scales.tolist() != list(tap.quantizer.scale)
        or zeros[0] != (low if moved else tap.quantizer.zero)
    ):
        raise UnsupportedModel(f"tap {tap.name!r}: node {node.name!r} reads its integers on another grid")


def _on_floats(graph: onnx.GraphProto, tap: TapPlan, place: _Place, position: int, kind: int) -> _Added:
    """Quantize what a tensor's producer makes, and give the tensor's name to what comes back."""
    quantizer, name = tap.quantizer, place.tensor
    outputs = graph.node[position].output
    outputs[list(outputs).index(name)] = f"{name}/made"
    scale, zero = f"{name}/scale", f"{name}/zero_point"
    scales = np.array(quantizer.scale, np.float32)
    zeros = np.full(scales.shape, quantizer.zero, quantizer.dtype)
    if not quantizer.per_channel:
        scales, zeros = scales.reshape(()), zeros.reshape(())
    graph.initializer.extend([numpy_helper.from_array(scales, scale), numpy_helper.from_array(zeros, zero)])
    axis: dict[str, Any] = {"axis": place.axis} if quantizer.per_channel else {}
    before, after, read, restored = [], [], f"{name}/made", name
    if kind != TensorProto.FLOAT:
        before.append(helper.make_node("Cast", [read], [f"{name}/float"], to=TensorProto.FLOAT))
        after.append(helper.make_node("Cast", [f"{name}/restored"], [name], to=kind))
        read, restored = f"{name}/float", f"{name}/restored"
    before.append(helper.make_node("QuantizeLinear", [read, scale, zero], [f"{name}/integers"], **axis))
    integers = f"{name}/integers"
    if quantizer.limits[0] != np.iinfo(quantizer.dtype).min:
        lowest = numpy_helper.from_array(np.array(quantizer.limits[0], quantizer.dtype), f"{name}/lowest")
        graph.initializer.append(lowest)
        before.append(helper.make_node("Clip", [integers, f"{name}/lowest"], [f"{name}/clipped"]))
        integers = f"{name}/clipped"
    after.insert(0, helper.make_node("DequantizeLinear", [f"{name}/stored", scale, zero], [restored], **axis))
    return integers, f"{name}/stored", before, after


def element_types(model: onnx.ModelProto) -> dict[str, int]:
    """The types of tensors' values, as far as they are known."""
    try:
        graph = onnx.shape_inference.infer_shapes(model).graph
    except ValueError:  # more than protobuf holds
        return {}
    kinds = {value.name: value.type.tensor_type.elem_type for value in [*graph.value_info, *graph.output]}
    return {name: int(kind) for name, kind in kinds.items() if kind}


def _constants(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            found[node.output[0]] = node.attribute[0].t
    return found


def _bytes_of(index: int) -> str:
    return f"fmapzip/bytes/{index}"


def _add_bytes_output(model: onnx.ModelProto, plan: Plan) -> None:
    graph = model.graph
    if any(value.name == BYTES_OUTPUT for value in graph.output):
        raise UnsupportedModel(f"it has an output {BYTES_OUTPUT!r} already")
    sizes = [_bytes_of(index) for index in range(len(plan))]
    graph.node.append(helper.make_node("Concat", sizes, [BYTES_OUTPUT], "fmapzip/bytes", axis=1))
    graph.output.append(helper.make_tensor_value_info(BYTES_OUTPUT, TensorProto.INT64, [None, len(plan)]))
