"""Running a network again from one of its feature maps on, without repeating what comes before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, fx

from fmapzip.torch import ops
from fmapzip.torch.calibrate import running
from fmapzip.torch.capture import Captured
from fmapzip.torch.graph import SLOTS
from fmapzip.torch.inputs import Inputs, as_call, call
from fmapzip.torch.outputs import output_tensor
from fmapzip.torch.slot import Action

Read = Callable[[Any], Tensor]


@dataclass(frozen=True)
class Stop:
    """A feature map that the network has just made.

    Parameters
    ----------
    name : str
        The tap's.
    value : Tensor
        The map of a batch, before its action; not to be written into.
    finish : callable
        Returns the network's output where the map's readers see another value instead.
    """

    name: str
    value: Tensor
    finish: Callable[[Tensor], Tensor]


def replay(
    captured: Captured, inputs: Inputs, actions: Mapping[str, Action], read: Read = output_tensor
) -> Iterator[Stop]:
    """Run a network once, stopping at each feature map that `actions` names, in the order of the computation.

    At a stop, the rest of the network can be run any number of times with other values for the map. What comes before
    the stops and what is run at them go through the other maps' actions.

    Parameters
    ----------
    captured : Captured
    inputs : Tensor, tuple or dict
        One batch.
    actions : mapping
        What maps go through, by tap name.
    read : callable
        From the network's output to the tensor that is wanted of it.
    """
    module = captured.module
    if isinstance(module, fx.GraphModule) and (captured.method == "fx" or not as_call(inputs)[1]):
        return _replay_graph(module, captured, inputs, actions, read)
    return _replay_whole(captured, inputs, actions, read)


def _replay_graph(
    module: fx.GraphModule, captured: Captured, inputs: Inputs, actions: Mapping[str, Action], read: Read
) -> Iterator[Stop]:
    names = {f"{SLOTS}.{i}": slot.name for i, slot in enumerate(captured.slots)}
    nodes = list(module.graph.nodes)
    last_use = {source: i for i, node in enumerate(nodes) for source in node.all_input_nodes}
    writes = any(ops.writes_into_first_argument(node) for node in nodes)
    prefix = fx.Interpreter(module, garbage_collect_values=False)
    prefix.args_iter = iter(_placed(module, inputs))
    known = prefix.env
    suffix = fx.Interpreter(module)

    def finishing(node: fx.Node) -> Callable[[Tensor], Tensor]:
        def finish(value: Tensor) -> Tensor:
            start = {**known, node: value}
            if writes:  # in place, perhaps into what the next run starts from
                start = {key: held.clone() if isinstance(held, Tensor) else held for key, held in start.items()}
            with running(captured, actions):
                output = suffix.run(initial_env=start, enable_io_processing=False)
            return read(module.graph.process_outputs(output))

        return finish

    for i, node in enumerate(nodes[:-1]):
        name = names.get(str(node.target), "") if node.op == "call_module" else ""
        if name in actions:
            yield Stop(name, known[node.args[0]], finishing(node))
        with running(captured, actions):
            known[node] = prefix.run_node(node)
        for source in node.all_input_nodes:
            if last_use[source] == i:
                known[source] = None  # done with, and not to be computed again


def _placed(module: fx.GraphModule, inputs: Inputs) -> list[Any]:
    """Return the values of the graph's inputs, in their order."""
    args, kwargs = as_call(inputs)
    if not kwargs:
        return list(module.graph.process_inputs(*args))
    targets = [str(node.target) for node in module.graph.nodes if node.op == "placeholder"]
    return [*args, *(kwargs[name] for name in targets[len(args) :])]


def _replay_whole(captured: Captured, inputs: Inputs, actions: Mapping[str, Action], read: Read) -> Iterator[Stop]:
    """The same for networks without a graph, where every run is of the whole network."""
    values: dict[str, Tensor] = {}

    def keeping(name: str) -> Action:
        def keep(x: Tensor) -> Tensor:
            values[name] = x.clone()
            return actions[name](x)

        return keep

    def finishing(name: str) -> Callable[[Tensor], Tensor]:
        def finish(value: Tensor) -> Tensor:
            with running(captured, {**actions, name: lambda _: value.clone()}):
                return read(call(captured.module, inputs))

        return finish

    with running(captured, {name: keeping(name) for name in actions}):
        call(captured.module, inputs)
    for tap in captured.taps:
        if tap.name in values:
            yield Stop(tap.name, values.pop(tap.name), finishing(tap.name))
