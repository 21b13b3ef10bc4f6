"""What tells one network from another."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn


def network_hash(model: nn.Module) -> str:
    """SHA-256 over the names, types, shapes and values of a network's parameters and buffers."""
    found = hashlib.sha256()
    for name, value in model.state_dict().items():
        if isinstance(value, Tensor):
            flat = value.detach().to("cpu").contiguous().reshape(-1)
            found.update(f"{name} {value.dtype} {list(value.shape)}\n".encode())
            found.update(flat.view(torch.uint8).numpy().data)
        else:
            found.update(f"{name} {value!r}\n".encode())
    return found.hexdigest()
