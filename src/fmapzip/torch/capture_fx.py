"""Capture by symbolic tracing (torch.fx)."""

from __future__ import annotations

import inspect
from typing import Any

from torch import fx, nn

from fmapzip.torch.graph import is_leaf
from fmapzip.torch.inputs import Inputs, as_call
from fmapzip.torch.interpret import replay


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return is_leaf(m)


def trace(model: nn.Module, example: Inputs) -> tuple[fx.GraphModule, Any]:
    """Trace `model` and run the graph on `example`; return it, its nodes carrying shapes, and the output.

    Arguments of ``forward`` that `example` leaves out keep their defaults. Any exception means that the model cannot
    be traced.
    """
    args, kwargs = as_call(example)
    signature = inspect.signature(model.forward)
    given = signature.bind(*args, **kwargs).arguments
    defaults = {
        name: parameter.default
        for name, parameter in signature.parameters.items()
        if name not in given and parameter.default is not inspect.Parameter.empty
    }
    graph = _Tracer().trace(model, concrete_args=defaults or None)
    _refuse_hidden_layers(graph)
    module = fx.GraphModule(model, graph, type(model).__name__)
    _drop_unused_inputs(module, set(given))
    values = [given[str(node.target)] for node in module.graph.nodes if node.op == "placeholder"]
    return module, replay(module, values)


def _refuse_hidden_layers(graph: fx.Graph) -> None:
    """Refuse functions that get a layer's parameters and that torch.fx does not look into: wrapped ones, attention."""
    for node in graph.nodes:
        if node.target is nn.functional.multi_head_attention_forward:
            raise ValueError(f"{node.name} is taken as one operation and has linear layers inside")
        home = str(getattr(node.target, "__module__", None) or "torch")
        if node.op != "call_function" or home.partition(".")[0] in ("torch", "_operator", "builtins", "math"):
            continue
        if any(source.op == "get_attr" for source in node.all_input_nodes):
            raise ValueError(f"{home}.{node.name} is taken as one operation and may hide layers")


def _drop_unused_inputs(module: fx.GraphModule, given: set[str]) -> None:
    for node in list(module.graph.nodes):
        if node.op == "placeholder" and node.target not in given:
            _erase(module.graph, node)
    module.recompile()


def _erase(graph: fx.Graph, node: fx.Node) -> None:
    """Erase `node` with the checks that hang on it."""
    for user in list(node.users):
        _erase(graph, user)
    graph.erase_node(node)
