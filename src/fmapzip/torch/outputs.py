"""What of a network's output is compared: every float tensor with a row an image, each for itself, by name.

The total of a network with several outputs is that of ``logits`` or ``out`` where the output is a mapping that has
one; else every output counts the same, however large: the noise over the signal is the mean of the outputs' own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from fmapzip.errors import InvalidInput

MAIN = ("logits", "out")
ONLY = "output"
"""Name of the output of a network that has one."""


def output_tensor(output: Any) -> Tensor:
    """Return what class scores are looked for in: ``logits`` or ``out`` of a mapping, else the first float tensor.

    Raises
    ------
    InvalidInput
        There is none.
    """
    name = main_name(output)
    if name is not None:
        return output[name]  # type: ignore[no-any-return]
    for leaf in pytree.tree_leaves(output):
        if isinstance(leaf, Tensor) and leaf.is_floating_point():
            return leaf
    raise InvalidInput("the network's output holds no float tensor")


def main_name(output: Any) -> str | None:
    """Return the name of the output that a mapping says is the one, if any."""
    if isinstance(output, Mapping):
        for name in MAIN:
            if isinstance(output.get(name), Tensor):
                return name
    return None


def named_outputs(output: Any, images: int) -> dict[str, Tensor]:
    """Return the float tensors with a row for each of `images`, by name, in order.

    A list of what was found in each image (boxes, of which there may be more or fewer) has none.

    Examples
    --------
    >>> found = named_outputs({"scales": [torch.zeros(2, 8), torch.zeros(2, 4)], "count": 3}, 2)
    >>> {name: tuple(tensor.shape) for name, tensor in found.items()}
    {'scales.0': (2, 8), 'scales.1': (2, 4)}
    """
    if isinstance(output, list) and len(output) == images and all(isinstance(each, Mapping) for each in output):
        return {}
    leaves, _ = pytree.tree_flatten_with_path(output)
    return {
        ".".join(map(_key, path)) or ONLY: leaf
        for path, leaf in leaves
        if isinstance(leaf, Tensor) and leaf.is_floating_point() and leaf.ndim and leaf.shape[0] == images
    }


def judged_outputs(output: Any, images: int) -> dict[str, Tensor]:
    """Return those of the named outputs that the total is over."""
    found, main = named_outputs(output, images), main_name(output)
    return {main: found[main]} if main in found else found


def of_image(output: Any, place: int, images: int) -> Any:
    """Return one image's part of a batch's output, without the batch's dimension.

    Examples
    --------
    >>> of_image({"a": torch.arange(4).reshape(2, 2)}, 1, 2)
    {'a': tensor([2, 3])}
    """
    if isinstance(output, list) and len(output) == images and all(isinstance(each, Mapping) for each in output):
        return output[place]
    return pytree.tree_map(
        lambda leaf: leaf[place] if isinstance(leaf, Tensor) and leaf.ndim and leaf.shape[0] == images else leaf, output
    )


def joined(outputs: Sequence[Tensor]) -> Tensor:
    """Return outputs as one: as it is, or all their values one after another, [N, K]."""
    return outputs[0] if len(outputs) == 1 else torch.cat([output.flatten(1) for output in outputs], 1)


def _key(key: Any) -> str:
    """A step on the way to a leaf: a name, a place."""
    for attribute in ("key", "idx", "name"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)
