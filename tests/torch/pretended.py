"""Tensors of a device that is not there, for tests on machines without one."""

from __future__ import annotations

import torch
from torch import Tensor


class Pretended(Tensor):
    """A tensor that says it is in a device's memory; only a dispatch mode of the test can read it.

    Tests name the device: it says what PyTorch allows with such a tensor.
    """

    device_name: str

    @staticmethod
    def __new__(cls, inner: Tensor):
        made = Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride(), dtype=inner.dtype, device=cls.device_name
        )
        made.inner = inner
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise AssertionError(f"{func} on a tensor of the device")
