"""The transforms of ``dct-cm`` (docs/format/dct-cm.md, "Transform path") as graphs of sums and rotations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from fmapzip.reference.dct import FRACTION, SQRT2, rotation

WRAP = 1 << 31
MAX_VALUE, MAX_COEFFICIENT = 255, 40960
MAX_ADDED = 128 * MAX_VALUE + 64
LENGTHS = (4, 8, 16, 32)


@dataclass(eq=False)
class Node:
    """A number of the graph: an input, a sum of terms, or a sum that is rounded back to the scale of its inputs.

    Attributes
    ----------
    terms : of (constant, node); empty for an input
    scaled : whether the sum is divided by 2^13
    low, high : the numbers that it can be
    """

    terms: tuple[tuple[int, Node], ...] = ()
    scaled: bool = False
    low: int = 0
    high: int = 0

    @property
    def bits(self) -> int:
        """Bits of it as a signed number."""
        return max((-1 - self.low).bit_length(), self.high.bit_length()) + 1

    @property
    def sum_bits(self) -> int:
        """Bits of the sum before it is divided."""
        return self.bits + FRACTION if self.scaled else self.bits

    def of(self, values: Sequence[int]) -> int:
        """The number, from those of its terms."""
        total = sum(constant * value for (constant, _), value in zip(self.terms, values, strict=True))
        total = (total + (self.scaled << FRACTION - 1) + WRAP) % (2 * WRAP) - WRAP
        return total >> FRACTION if self.scaled else total


Term = tuple[int, Node]
"""A node and its sign."""


@dataclass
class Graph:
    """A transform.

    Attributes
    ----------
    inputs : nodes
    outputs : terms, in the order of the transform
    nodes : all but the inputs, each behind those that it needs
    """

    inputs: list[Node]
    outputs: list[Term] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)

    def run(self, values: Sequence[int]) -> list[int]:
        """The outputs of a transform.

        Examples
        --------
        >>> inverse_graph(4).run([512, 0, 0, 0])
        [512, 512, 512, 512]
        """
        known = dict(zip(self.inputs, values, strict=True))
        for node in self.nodes:
            known[node] = node.of([known[term] for _, term in node.terms])
        return [sign * known[node] for sign, node in self.outputs]

    def _sum(self, terms: Sequence[Term], scaled: bool = False) -> Term:
        ends = [sorted((constant * node.low, constant * node.high)) for constant, node in terms]
        low, high = (sum(end[i] for end in ends) + (scaled << FRACTION - 1) for i in range(2))
        if low < -WRAP or high >= WRAP:
            low, high = -WRAP, WRAP - 1
        shift = FRACTION if scaled else 0
        node = Node(tuple(terms), scaled, low >> shift, high >> shift)
        self.nodes.append(node)
        return 1, node

    def _plus(self, a: Term, b: Term) -> Term:
        if a[0] < 0 and b[0] < 0:
            return _minus(self._sum([_minus(a), _minus(b)]))
        return self._sum([a, b] if a[0] > 0 else [b, a])

    def _rotated(self, c: int, a: Term, s: int, b: Term) -> Term:
        return self._sum([(c * a[0], a[1]), (s * b[0], b[1])], scaled=True)

    def _by_sqrt2(self, a: Term) -> Term:
        sign, node = self._sum([(SQRT2, a[1])], scaled=True)
        return a[0] * sign, node

    def _u(self, x: list[Term]) -> list[Term]:
        if len(x) == 1:
            return x
        n, half = len(x), len(x) // 2
        out = [x[0]] * n
        out[0::2] = self._u([self._plus(x[j], x[n - 1 - j]) for j in range(half)])
        out[1::2] = self._v([self._plus(x[j], _minus(x[n - 1 - j])) for j in range(half)])
        return out

    def _v(self, d: list[Term]) -> list[Term]:
        if len(d) == 1:
            return d
        m, half = len(d), len(d) // 2
        u, w = [], []
        for j in range(half):
            c, s = rotation(m, j)
            u.append(self._rotated(c, d[j], s, d[m - 1 - j]))
            v = self._rotated(-s, d[j], c, d[m - 1 - j])
            w.append(_minus(v) if j % 2 else v)
        if m == 2:
            return [u[0], _minus(w[0])]
        a, b = self._u(u), self._u(w)
        out = [a[0]] * m
        out[0], out[m - 1] = self._by_sqrt2(a[0]), _minus(self._by_sqrt2(b[0]))
        for k in range(1, half):
            out[2 * k] = self._plus(a[k], b[half - k])
            out[2 * k - 1] = self._plus(a[k], _minus(b[half - k]))
        return out

    def _u_transposed(self, y: list[Term]) -> list[Term]:
        if len(y) == 1:
            return y
        s, d = self._u_transposed(y[0::2]), self._v_transposed(y[1::2])
        front = [self._plus(a, b) for a, b in zip(s, d, strict=True)]
        return front + [self._plus(a, _minus(b)) for a, b in zip(s[::-1], d[::-1], strict=True)]

    def _v_transposed(self, y: list[Term]) -> list[Term]:
        if len(y) == 1:
            return y
        m, half = len(y), len(y) // 2
        if m == 2:
            u, w = [y[0]], [_minus(y[1])]
        else:
            a, b = [y[0]] * half, [y[0]] * half
            a[0], b[0] = self._by_sqrt2(y[0]), _minus(self._by_sqrt2(y[m - 1]))
            for k in range(1, half):
                a[k] = self._plus(y[2 * k], y[2 * k - 1])
                b[half - k] = self._plus(y[2 * k], _minus(y[2 * k - 1]))
            u, w = self._u_transposed(a), self._u_transposed(b)
        out = [y[0]] * m
        for j in range(half):
            c, s = rotation(m, j)
            v = _minus(w[j]) if j % 2 else w[j]
            out[j] = self._rotated(c, u[j], -s, v)
            out[m - 1 - j] = self._rotated(s, u[j], c, v)
        return out


def _minus(term: Term) -> Term:
    return -term[0], term[1]


def inverse_graph(length: int) -> Graph:
    """``U_N`` transposed: coefficients to 128 times values.

    The first coefficient is in all of them unchanged, so what is added to it (at most `MAX_ADDED`) is added to all.
    """
    graph = Graph([Node(low=-MAX_COEFFICIENT, high=MAX_COEFFICIENT) for _ in range(length)])
    graph.inputs[0].high += MAX_ADDED
    graph.outputs = graph._u_transposed([(1, node) for node in graph.inputs])
    return graph


def forward_graph(length: int) -> Graph:
    """``U_N``: values of at most 255 times 128 / N to coefficients.

    Examples
    --------
    >>> forward_graph(4).run([32, 32, 32, 32])
    [128, 0, 0, 0]
    """
    most = MAX_VALUE * 128 // length
    graph = Graph([Node(low=-most, high=most) for _ in range(length)])
    graph.outputs = graph._u([(1, node) for node in graph.inputs])
    return graph
