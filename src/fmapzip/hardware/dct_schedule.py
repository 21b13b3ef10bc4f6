"""When and where the sums of a transform are computed, if a group of channels takes several cycles.

A new group comes every `interval` cycles, so what happens in a cycle of one group happens in all cycles of the same
**phase**, its number modulo the interval: units and registers that are free in a phase can be given work there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fmapzip.hardware.dct_graph import Graph, Node


@dataclass(eq=False)
class Held:
    """A number in a register, readable from cycle `first` to `last`, written the cycle before from its source.

    The source is a unit, by (kind, number), an input, by its lane, or the register of the `Held` before.
    """

    first: int
    last: int
    bits: int
    source: tuple[str, int] | Held
    register: int = -1


@dataclass
class Schedule:
    """A folded transform.

    Attributes
    ----------
    interval : cycles from a group to the next
    sums, rotations : for each unit, the node of each phase
    starts : cycle in which a node's unit reads its terms
    held : for each node, where it is kept, in order of time
    registers : what each register holds
    output : cycle in which the first outputs are read
    """

    interval: int
    lanes: int
    sums: list[dict[int, Node]] = field(default_factory=list)
    rotations: list[dict[int, Node]] = field(default_factory=list)
    starts: dict[Node, int] = field(default_factory=dict)
    held: dict[Node, list[Held]] = field(default_factory=dict)
    registers: list[list[Held]] = field(default_factory=list)
    output: int = 0

    def place(self, node: Node, cycle: int) -> int:
        """The register that a node is in."""
        return next(held.register for held in self.held[node] if held.first <= cycle <= held.last)


def fold(graph: Graph, lanes: int) -> Schedule:
    """Give each sum a unit and a cycle, and each number registers; `lanes` inputs and outputs a cycle.

    Examples
    --------
    >>> from fmapzip.hardware.dct_graph import inverse_graph
    >>> folded = fold(inverse_graph(8), 1)
    >>> folded.interval, len(folded.sums), len(folded.rotations)
    (8, 3, 1)
    """
    interval = len(graph.inputs) // lanes
    folded = Schedule(interval, lanes)
    for scaled, units in ((False, folded.sums), (True, folded.rotations)):
        count = sum(node.scaled is scaled for node in graph.nodes)
        units += [{} for _ in range(-(-count // interval))]
    ready = {node: i // lanes + 1 for i, node in enumerate(graph.inputs)}
    sources: dict[Node, tuple[str, int]] = {node: ("input", i % lanes) for i, node in enumerate(graph.inputs)}
    waiting = list(graph.nodes)
    urgency = _urgency(graph)
    cycle = 0
    while waiting:
        cycle += 1
        able = [node for node in waiting if all(ready.get(term, cycle + 1) <= cycle for _, term in node.terms)]
        for node in sorted(able, key=lambda each: -urgency[each]):
            kind, units = ("rotation", folded.rotations) if node.scaled else ("sum", folded.sums)
            free = [number for number, unit in enumerate(units) if cycle % interval not in unit]
            if free:
                units[free[0]][cycle % interval] = node
                folded.starts[node], ready[node], sources[node] = cycle, cycle + 1, (kind, free[0])
                waiting.remove(node)
    folded.output = max(ready[node] - j // lanes for j, (_, node) in enumerate(graph.outputs))
    _keep(graph, folded, ready, sources)
    return folded


def _urgency(graph: Graph) -> dict[Node, int]:
    """How many sums follow on each node, at most."""
    found = dict.fromkeys([*graph.inputs, *graph.nodes], 0)
    for node in reversed(graph.nodes):
        for _, term in node.terms:
            found[term] = max(found[term], found[node] + 1)
    return found


def _keep(graph: Graph, folded: Schedule, ready: dict[Node, int], sources: dict[Node, tuple[str, int]]) -> None:
    """Registers from when a number is known to when it is last read; after each interval it moves to another."""
    last = dict(ready)
    for node, cycle in folded.starts.items():
        for _, term in node.terms:
            last[term] = max(last[term], cycle)
    for j, (_, node) in enumerate(graph.outputs):
        last[node] = max(last[node], folded.output + j // folded.lanes)
    busy: list[set[int]] = []
    for node in sorted(ready, key=lambda each: ready[each]):
        source: tuple[str, int] | Held = sources[node]
        folded.held[node] = []
        for first in range(ready[node], last[node] + 1, folded.interval):
            held = Held(first, min(first + folded.interval - 1, last[node]), node.bits, source)
            phases = {cycle % folded.interval for cycle in range(held.first, held.last + 1)}
            free = [number for number, taken in enumerate(busy) if not taken & phases]
            if not free:
                free = [len(busy)]
                busy.append(set())
                folded.registers.append([])
            held.register = min(free, key=lambda number: _strangeness(folded.registers[number], held))
            busy[held.register] |= phases
            folded.registers[held.register].append(held)
            folded.held[node].append(held)
            source = held


def _strangeness(register: list[Held], held: Held) -> tuple[bool, int]:
    """How badly a number suits a register: whether its source is a new one for it, and by how many bits it differs."""
    return (
        held.source not in [each.source for each in register],
        abs(max(e.bits for e in register) - held.bits) if register else 0,
    )
