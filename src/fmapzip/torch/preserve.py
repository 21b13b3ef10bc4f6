"""Leaving a user's network as it was, whatever capturing and running it does to it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put every module of `model` into eval mode, and all of it back as it was.

    Networks keep things: a cache of position biases, a running count, what a tracer handed them. Attributes, the
    containers among them, hooks and the values of buffers are put back too.
    """
    kept = [_Kept(module) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module in kept:
            module.put_back()


class _Kept:
    """A module's attributes and buffers as they are."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._attributes = dict(vars(module))
        self._containers: dict[int, tuple[Any, Any]] = {}
        for value in self._attributes.values():
            _find_containers(value, self._containers)
        self._buffers = [(buffer, buffer.clone()) for buffer in module._buffers.values() if buffer is not None]

    def put_back(self) -> None:
        for container, contents in self._containers.values():
            container.clear()
            container.extend(contents) if isinstance(container, list) else container.update(contents)
        attributes = vars(self._module)
        attributes.clear()
        attributes.update(self._attributes)
        with torch.inference_mode():  # which allows writing into inference tensors
            for buffer, values in self._buffers:
                if not torch.equal(buffer, values):
                    buffer.copy_(values)


def _find_containers(value: Any, found: dict[int, tuple[Any, Any]]) -> None:
    """Add `value` and the containers in it, each with a copy of what it holds."""
    if not isinstance(value, dict | list | set) or id(value) in found:
        return
    found[id(value)] = value, list(value) if isinstance(value, list) else copy.copy(value)
    for item in value.values() if isinstance(value, dict) else value:
        _find_containers(item, found)
