"""Tensors between a device and the CPU, whole, through pinned memory."""

from __future__ import annotations

import torch
from torch import Tensor


def to_host(x: Tensor) -> Tensor:
    """Return `x` in CPU memory, ready to be read: `x` itself, or one copy of it, pinned where the device can be."""
    if x.device.type == "cpu":
        return x
    host = torch.empty_like(x, device="cpu", pin_memory=_is_current(x.device))
    host.copy_(x, non_blocking=True)
    if _is_current(x.device):
        torch.accelerator.current_stream(x.device).synchronize()
    return host


def to_device(host: Tensor, device: torch.device) -> Tensor:
    """Return `host` on `device`, in one copy that the CPU does not wait for: `host` itself where it is there.

    The copy is queued behind the work that the device has, and what is queued after it finds the values. PyTorch keeps
    a pinned `host` from being used again before the copy is done.
    """
    if device.type == "cpu":
        return host
    return host.to(device, non_blocking=True)


def _is_current(device: torch.device) -> bool:
    """Whether `device` is of the accelerator of this process, whose copies can be pinned and waited for."""
    current = torch.accelerator.current_accelerator(check_available=True)
    return current is not None and current.type == device.type
