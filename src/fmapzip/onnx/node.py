"""A node of an ONNX graph, as operators read it."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from fmapzip.errors import UnsupportedModel
from fmapzip.onnx.values import Array, Value


class Node:
    """A node with its attributes decoded and its inputs looked up.

    Parameters
    ----------
    proto : onnx.NodeProto
    inputs : sequence of Value or None
        None where an optional input is left out.
    version : int
        Of the operator set that the node's domain has in this file.
    """

    def __init__(self, proto: onnx.NodeProto, inputs: Sequence[Value | None], version: int) -> None:
        self.op = proto.op_type
        self.domain = "" if proto.domain == "ai.onnx" else proto.domain
        self.outputs = list(proto.output)
        self.label = proto.name or next((name for name in proto.output if name), proto.op_type)
        self.inputs = list(inputs)
        self.version = version
        self._attributes = {attribute.name: attribute for attribute in proto.attribute}

    def attr(self, name: str, default: Any = None) -> Any:
        """Return an attribute: numbers, text, lists of numbers, arrays, or graphs."""
        attribute = self._attributes.get(name)
        if attribute is None:
            return default
        value = onnx.helper.get_attribute_value(attribute)
        if isinstance(value, bytes):
            return value.decode()
        if isinstance(value, onnx.TensorProto):
            return numpy_helper.to_array(value)
        return list(value) if attribute.type in (onnx.AttributeProto.INTS, onnx.AttributeProto.FLOATS) else value

    def has(self, index: int) -> bool:
        """Whether the optional input is there."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def input(self, index: int) -> Value:
        """Return an input that must be there."""
        value = self.inputs[index] if index < len(self.inputs) else None
        if value is None:
            raise self.unsupported(f"input {index} is missing")
        return value

    def known(self, index: int, default: Any = None) -> Array:
        """Return an input that must not depend on the network's inputs, or `default` where it is left out."""
        if not self.has(index) and default is not None:
            return np.asarray(default)
        value = self.input(index)
        if value.constant is None:
            raise self.unsupported(f"its input {value.name!r} is not constant")
        return value.constant

    def as_operator(self, op: str, inputs: Sequence[Value | None], version: int) -> Node:
        """Return ONNX's operator `op` with these attributes and outputs, and other inputs."""
        other = copy(self)
        other.op, other.domain, other.inputs, other.version = op, "", list(inputs), version
        return other

    def unsupported(self, why: str) -> UnsupportedModel:
        """Return the error that refuses this node."""
        operator = f"{self.domain}.{self.op}" if self.domain else self.op
        return UnsupportedModel(f"node {self.label!r} ({operator}, opset {self.version}): {why}")
