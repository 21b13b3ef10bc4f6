"""A transform as gates: all of it side by side, or folded into a few units by its schedule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.arithmetic import Sum, signed_digits, total
from fmapzip.hardware.dct_graph import Graph, Node
from fmapzip.hardware.dct_schedule import Held, Schedule, fold
from fmapzip.reference.dct import FRACTION

HALF = 1 << FRACTION - 1
DIGITS = 8
"""Digits of a constant to the base 4."""


class Transform(wiring.Component):
    """Groups of numbers through a graph, some lanes of them a cycle.

    In each phase of a group as many numbers come in, in their order. `delay` enabled cycles later as many outputs are
    there, in theirs.

    Parameters
    ----------
    graph : Graph
        Its length is a multiple of `lanes`; every cycle takes a group if it is as large.
    lanes : int
    """

    def __init__(self, graph: Graph, lanes: int) -> None:
        self._graph, self._lanes = graph, lanes
        self.interval = len(graph.inputs) // lanes
        self._folded = fold(graph, lanes) if self.interval > 1 else None
        self.delay = self._folded.output if self._folded else 1
        bits = max(node.bits for node in graph.inputs), max(node.bits for _, node in graph.outputs)
        super().__init__(
            {
                "enable": In(1),
                "phase": In(range(max(self.interval, 2))),
                **{f"input_{i}": In(signed(bits[0])) for i in range(lanes)},
                **{f"output_{i}": Out(signed(bits[1])) for i in range(lanes)},
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m = Module()
        if self._folded is None:
            self._side_by_side(m)
        else:
            _Folded(self, m, self._graph, self._folded)
        return m

    def _side_by_side(self, m: Module) -> None:
        """All sums at once, in two stages: numbers that the second needs of the first are kept between."""
        first = _first_stage(self._graph)
        known: dict[Node, Any] = {n: getattr(self, f"input_{i}") for i, n in enumerate(self._graph.inputs)}
        kept: dict[Node, Any] = {}

        def get(node: Node, late: bool) -> Any:
            if not late or node not in first:
                return known[node]
            if node not in kept:
                kept[node] = Signal(signed(node.bits))
                with m.If(self.enable):
                    m.d.sync += kept[node].eq(known[node])
            return kept[node]

        pairs: dict[frozenset[Node], list[Node]] = {}
        for node in self._graph.nodes:
            if node.scaled and len(node.terms) == 2:
                pairs.setdefault(frozenset(term for _, term in node.terms), []).append(node)
        for node in self._graph.nodes:
            values = {term: get(term, node not in first) for _, term in node.terms}
            if not node.scaled:
                known[node] = total(m, [(sign, values[term]) for sign, term in node.terms], node.bits).as_signed()
            elif len(node.terms) == 1:
                ((constant, term),) = node.terms
                known[node] = total(m, [(constant, values[term])], node.sum_bits, HALF)[FRACTION:].as_signed()
            elif node not in known:
                both = pairs[frozenset(values)]
                known |= dict(zip(both, _rotation(m, both, values), strict=True))
        for i, (sign, node) in enumerate(self._graph.outputs):
            out = getattr(self, f"output_{i}")
            value = get(node, True)
            m.d.comb += out.eq(value if sign > 0 else -value)


def _first_stage(graph: Graph) -> set[Node]:
    """The nodes of the first of two stages of about equal delay: a rotation counts as four sums."""
    depth = dict.fromkeys(graph.inputs, 0)
    for node in graph.nodes:
        depth[node] = max(depth[term] for _, term in node.terms) + (4 if node.scaled else 1)
    half = max(depth.values()) / 2
    return {node for node in depth if depth[node] <= half}


def _rotation(m: Module, pair: Sequence[Node], values: dict[Node, Any]) -> list[Any]:
    """Both outputs of a rotation, c a + s b and c b - s a: a product of a sum or difference of a and b is in both."""
    a, b = values
    bits = max(node.sum_bits for node in pair)
    plans = [_shared(pair, a, b, sign, swapped) for sign in (1, -1) for swapped in (False, True)]
    sign, constant, uses = min(
        plans, key=lambda plan: sum(len(signed_digits(c)) for c in (plan[1], *(u[1] for u in plan[2])))
    )
    both = total(m, [(1, values[a]), (sign, values[b])], max(a.bits, b.bits) + 1).as_signed()
    product = Sum(m, bits)
    product.add_product(constant, both)
    rows = product.rows()
    found = []
    for times, rest, term in uses:
        one = Sum(m, bits)
        one.add_constant(HALF)
        for row in rows:
            one.add(row, sign=times)
        one.add_product(rest, values[term])
        found.append(one.result()[FRACTION:].as_signed())
    return found


def _shared(
    pair: Sequence[Node], a: Node, b: Node, sign: int, swapped: bool
) -> tuple[int, int, list[tuple[int, int, Node]]]:
    """A way to share: the sign of b in the sum, its constant, and for each output the product's sign and what is added.

    The first output takes the product with its constant of a (or of b, if `swapped`), so that only b (or a) is missing.
    """
    of = [{term: constant for constant, term in node.terms} for node in pair]
    constant, uses = 0, []
    for number, factors in enumerate(of):
        by_a = {True: factors[a], False: sign * factors[b]}
        way = not swapped if number == 0 else abs(by_a[True]) == constant
        chosen = by_a[way]
        constant = constant or abs(chosen)
        rest = (factors[b] - sign * factors[a], b) if way else (factors[a] - sign * factors[b], a)
        uses.append((1 if chosen > 0 else -1, *rest))
    return sign, constant, uses


class _Folded:
    """The units and registers of a schedule."""

    def __init__(self, ports: Any, m: Module, graph: Graph, folded: Schedule) -> None:
        self._ports, self._m, self._graph, self._folded = ports, m, graph, folded
        self._registers = [
            Signal(signed(max(held.bits for held in each)), name=f"register_{i}")
            for i, each in enumerate(folded.registers)
        ]
        results: dict[tuple[str, int], Any] = {
            ("input", lane): getattr(ports, f"input_{lane}") for lane in range(folded.lanes)
        }
        for number, unit in enumerate(folded.sums):
            results["sum", number] = self._sum(unit)
        for number, unit in enumerate(folded.rotations):
            results["rotation", number] = self._rotation(unit)
        for register, held in zip(self._registers, folded.registers, strict=True):
            self._fill(register, held, results)
        for lane in range(folded.lanes):
            self._output(lane)

    def _by_phase(self, cases: dict[int, Any], shape: Any) -> Any:
        """What a phase chooses; anything in phases that choose nothing."""
        m, found = self._m, Signal(shape)
        if len(cases) == 1:
            m.d.comb += found.eq(*cases.values())
            return found
        default = next(iter(cases.values()))
        groups: dict[int, tuple[Any, list[int]]] = {}
        for phase, value in cases.items():
            groups.setdefault(value if isinstance(value, int) else id(value), (value, []))[1].append(phase)
        with m.Switch(self._ports.phase):
            for value, phases in groups.values():
                with m.Case(*phases):
                    m.d.comb += found.eq(value)
            with m.Default():
                m.d.comb += found.eq(default)
        return found

    def _terms(self, unit: dict[int, Node], place: int) -> tuple[dict[int, Any], dict[int, int]]:
        """By phase: the register of a unit's first or second term, and its constant."""
        values, constants = {}, {}
        for phase, node in unit.items():
            if place < len(node.terms):
                constant, term = node.terms[place]
                values[phase] = self._registers[self._folded.place(term, self._folded.starts[node])]
                constants[phase] = constant
        return values, constants

    def _sum(self, unit: dict[int, Node]) -> Any:
        """A sum or a difference: the first term is never subtracted."""
        bits = max(node.bits for node in unit.values())
        (a, _), (b, signs) = self._terms(unit, 0), self._terms(unit, 1)
        left, right = self._by_phase(a, signed(bits)), self._by_phase(b, signed(bits))
        minus = self._by_phase({phase: int(sign < 0) for phase, sign in signs.items()}, 1)
        found = Sum(self._m, bits)
        found.add(left.as_unsigned())
        found.add(right.as_unsigned() ^ minus.replicate(bits))
        found.add_bit(minus, 0)
        return found.result().as_signed()

    def _rotation(self, unit: dict[int, Node]) -> Any:
        """Two products whose constants come by phase, as digits to the base 4, and their rounded sum."""
        bits = max(node.sum_bits for node in unit.values())
        found = Sum(self._m, bits)
        found.add_constant(HALF)
        for place in range(2):
            values, constants = self._terms(unit, place)
            if not values:
                continue
            constants = {phase: constants.get(phase, 0) for phase in unit}
            shape = signed(max(len(value) for value in values.values()))
            value = self._by_phase(values, shape)
            for digit in range(DIGITS):
                told = {phase: quarters(constant)[digit] for phase, constant in constants.items()}
                once = self._by_phase({phase: int(abs(d) == 1) for phase, d in told.items()}, 1)
                twice = self._by_phase({phase: int(abs(d) == 2) for phase, d in told.items()}, 1)
                minus = self._by_phase({phase: int(d < 0) for phase, d in told.items()}, 1)
                add_digit(found, self._m, value, once, twice, minus, 2 * digit)
        return found.result()[FRACTION:].as_signed()

    def _fill(self, register: Any, held: list[Held], results: dict[tuple[str, int], Any]) -> None:
        m = self._m
        with m.If(self._ports.enable), m.Switch(self._ports.phase):
            for each in held:
                source = (
                    self._registers[each.source.register] if isinstance(each.source, Held) else results[each.source]
                )
                with m.Case((each.first - 1) % self._folded.interval):
                    m.d.sync += register.eq(source)

    def _output(self, lane: int) -> None:
        folded, cases = self._folded, {}
        for part in range(folded.interval):
            sign, node = self._graph.outputs[part * folded.lanes + lane]
            cycle = folded.output + part
            register = self._registers[folded.place(node, cycle)]
            cases[cycle % folded.interval] = register if sign > 0 else -register
        out = getattr(self._ports, f"output_{lane}")
        self._m.d.comb += out.eq(self._by_phase(cases, out.shape()))


def step_memory(
    m: Module, bits: int, lanes: int, parts: int, stream: Any, taken: Any, number: Any, part: Any
) -> list[Any]:
    """What `stream` tells of each frequency, of which `number` is taken; gives that of all lanes in a part."""
    shift = lanes.bit_length() - 1
    m.submodules.steps = memory = Memory(shape=bits * lanes, depth=parts, init=[])
    write, read = memory.write_port(granularity=bits), memory.read_port(domain="comb")
    m.d.comb += [
        write.addr.eq(number >> shift),
        write.data.eq(Value.cast(stream.payload).replicate(lanes)),
        read.addr.eq(part if parts > 1 else 0),
        write.en.eq(taken << number[:shift] if shift else taken),
    ]
    return [read.data.word_select(i, bits) for i in range(lanes)]


def quarters(constant: int) -> list[int]:
    """The digits of a number to the base 4, from -2 to 2, lowest first.

    Examples
    --------
    >>> quarters(7)[:3]
    [-1, 2, 0]
    """
    digits = [0] * DIGITS
    for sign, place in signed_digits(constant):
        digits[place // 2] += sign << place % 2
    return digits


def add_digit(found: Sum, m: Module, value: Any, once: Any, twice: Any, minus: Any, place: int) -> None:
    """Add a signed number times a digit from -2 to 2, times 2^place."""
    bits = len(value) + 1
    double = Cat(Const(0, 1), value)
    single = Cat(value, value[-1])
    row = Signal(signed(bits))
    m.d.comb += row.eq((single & once.replicate(bits) | double & twice.replicate(bits)) ^ minus.replicate(bits))
    found.add(row, place)
    found.add_bit(minus, place)
