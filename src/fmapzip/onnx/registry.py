"""The table of operators: which function translates which."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fmapzip.onnx.node import Node
from fmapzip.onnx.values import Value

if TYPE_CHECKING:
    from fmapzip.onnx.builder import Builder

Result = Value | Sequence[Value]
Translator = Callable[[Node, "Builder"], Result]

MICROSOFT = "com.microsoft"
_TRANSLATORS: dict[tuple[str, str], Translator] = {}
_TAKES_INTEGERS: set[tuple[str, str]] = set()


def operator(*names: str, domain: str = "", integers: bool = False) -> Callable[[Translator], Translator]:
    """Register the function that translates operators of these names.

    Parameters
    ----------
    names
        Operator types.
    domain
        Their domain; empty for ONNX's own.
    integers
        Whether they take tensors of 8-bit integers, which are whole numbers in float32 at run time.
    """

    def register(function: Translator) -> Translator:
        for name in names:
            _TRANSLATORS[domain, name] = function
            if integers:
                _TAKES_INTEGERS.add((domain, name))
        return function

    return register


def translator(node: Node) -> Translator:
    """Return the function for a node; raises `UnsupportedModel` where there is none, or none for its inputs."""
    key = node.domain, node.op
    if key not in _TRANSLATORS:
        raise node.unsupported("this operator is not supported")
    if key not in _TAKES_INTEGERS and any(value is not None and value.integers for value in node.inputs):
        raise node.unsupported("it is not supported on quantized integers")
    return _TRANSLATORS[key]


def operators() -> list[str]:
    """Return the names of all operators that can be imported, those of other domains with their domain.

    Examples
    --------
    >>> import fmapzip.onnx.ops
    >>> {"Conv", "com.microsoft.FusedConv"} <= set(operators())
    True
    """
    return sorted(f"{domain}.{name}" if domain else name for domain, name in _TRANSLATORS)
