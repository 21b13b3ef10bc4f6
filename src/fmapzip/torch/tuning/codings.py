"""What codecs do to a map, differentiably: from integers that are not rounded yet to what is read back."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fmapzip.codecs.dct_cm_parameters import first_length, group_length, scaled_step
from fmapzip.torch.tuning.rounding import replaced, rounded, rounded_away

_COEFFICIENT_ONE = 128  # a step of 1 of an orthonormal coefficient, times the square root of the length
StepsOf = Callable[[int], Sequence[float | None]]


class Coding(Protocol):
    """What a codec does to maps [N, C, H, W] of integers before rounding; gradients pass straight through rounding."""

    def read_back(self, u: Tensor) -> Tensor:
        """Return what is read back."""

    def symbols(self, u: Tensor) -> Tensor:
        """Return the numbers that are coded, before rounding, [N, planes, H, W]."""

    def to(self, device: torch.device) -> Coding:
        """Move what it knows to a device."""


class ValueByValue:
    """Each integer is read back as one that depends on it alone.

    Parameters
    ----------
    step : float
        How many integers make a step of the numbers that are coded.
    values : int array, optional
        What each integer is read back as, in rising order; by default itself.
    lowest : int
        The first of them.
    """

    def __init__(self, step: float = 1.0, values: NDArray[np.int64] | None = None, lowest: int = 0) -> None:
        self._step, self._lowest = step, lowest
        self._values = None if values is None else torch.from_numpy(values.astype(np.float32))

    def read_back(self, u: Tensor) -> Tensor:
        """Return what `u`, rounded, is read back as."""
        return replaced(u, self._of(u.detach().round()))

    def symbols(self, u: Tensor) -> Tensor:
        """Return `u` in steps."""
        return u if self._step == 1 else u / self._step

    def store(self, x: Tensor, log_scale: Tensor, limits: tuple[int, int]) -> Tensor:
        """Return what is read back of floats [N, C, H, W]: `read_back` with quantization around it, in one pass."""
        stored: Tensor = _Stored.apply(x, log_scale, self._of, limits)  # type: ignore[no-untyped-call]
        return stored

    def to(self, device: torch.device) -> ValueByValue:
        """Move the values to a device."""
        self._values = None if self._values is None else self._values.to(device)
        return self

    def _of(self, q: Tensor) -> Tensor:
        return q if self._values is None else self._values[(q - self._lowest).long()]


class RoundTrip:
    """What a lossy codec that is known by its contract alone makes of maps: they are encoded and decoded.

    Parameters
    ----------
    coder : callable
        From integer maps [N, C, H, W] to what is read back of them.
    dtype : torch.dtype
        Of the integers.
    """

    def __init__(self, coder: Callable[[NDArray[Any]], NDArray[Any]], dtype: torch.dtype) -> None:
        self._coder, self._dtype = coder, dtype

    def read_back(self, u: Tensor) -> Tensor:
        """Return what the frames of `u`, rounded, hold."""
        integers = u.detach().round().to("cpu", self._dtype).numpy()
        return replaced(u, torch.from_numpy(self._coder(integers)).to(u))

    def symbols(self, u: Tensor) -> Tensor:
        """Return `u`."""
        return u

    def to(self, device: torch.device) -> RoundTrip:
        """Stay where it is: codecs run on the CPU."""
        del device
        return self


class _Stored(torch.autograd.Function):
    """Quantization, a function of the integers, and the way back; the gradient of the scale is LSQ's."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, log_scale: Tensor, read_back: Callable[[Tensor], Tensor], limits: tuple[int, int]
    ) -> Tensor:
        scale = log_scale.exp().view(1, -1, 1, 1)
        u = x / scale
        q = u.clamp(*limits)
        inside = q == u
        out = read_back(q.round_()) * scale
        ctx.save_for_backward(x, out, inside)
        ctx.channels = log_scale.numel() > 1
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        x, out, inside = ctx.saved_tensors
        passed = gradients[0] * inside
        by_scale = (gradients[0] * out).sum((0, 2, 3)) - (passed * x).sum((0, 2, 3))
        return passed, by_scale if ctx.channels else by_scale.sum().view(1), None, None


class Transformed:
    """Groups of channels through an orthonormal DCT whose coefficients are quantized.

    Parameters
    ----------
    channels, group : int
        Channels of the map, and of one transform.
    order : sequence of int, optional
        How channels are put into groups.
    steps_of : callable
        From the length of a transform to its steps, None where a frequency is left out.
    zero_mask : bool
        Zeros are filled with the mean of the position's other values before, and restored after.
    limits : tuple of int
        Smallest and largest value that is read back.
    """

    def __init__(
        self,
        channels: int,
        group: int,
        order: Sequence[int] | None,
        steps_of: StepsOf,
        zero_mask: bool,
        limits: tuple[int, int],
    ) -> None:
        taken = np.arange(channels) if order is None else np.asarray(order)
        self._order = torch.from_numpy(taken.astype(np.int64))
        self._back = torch.from_numpy(np.argsort(taken).astype(np.int64))
        self._first = first_length(channels, group)
        self._whole = channels // self._first
        self._rest = channels % self._first
        lengths = [self._first] + ([group_length(self._rest, self._first)] if self._rest else [])
        self._bases = [_basis(length, steps_of(length)) for length in lengths]
        self._zero_mask, self._limits = zero_mask, limits

    def read_back(self, u: Tensor) -> Tensor:
        """Return the values of the quantized coefficients."""
        x = rounded(u)[:, self._order]
        n, _, height, width = x.shape
        parts = []
        for members, (basis, steps) in zip(self._groups(x), self._bases, strict=True):
            scale = steps.view(1, -1, 1, 1)
            y = rounded_away(self._coefficients(members, basis) / scale) * scale
            parts.append(torch.einsum("kc,nkhw->nchw", basis, y)[:, : members.shape[1]].reshape(n, -1, height, width))
        lowest, highest = self._limits
        values = rounded_away(torch.cat(parts, 1).clamp(1 if self._zero_mask and lowest == 0 else lowest, highest))
        if self._zero_mask:
            values = values * (x.detach() != 0)
        return values[:, self._back]

    def symbols(self, u: Tensor) -> Tensor:
        """Return the coefficients in steps."""
        x = rounded(u)[:, self._order]
        n, _, height, width = x.shape
        parts = [
            (self._coefficients(members, basis) / steps.view(1, -1, 1, 1)).reshape(n, -1, height, width)
            for members, (basis, steps) in zip(self._groups(x), self._bases, strict=True)
        ]
        return torch.cat(parts, 1)

    def to(self, device: torch.device) -> Transformed:
        """Move the bases to a device."""
        self._order, self._back = self._order.to(device), self._back.to(device)
        self._bases = [(basis.to(device), steps.to(device)) for basis, steps in self._bases]
        return self

    def _groups(self, x: Tensor) -> list[Tensor]:
        """The channels of all whole groups of all samples, and those that are left, one group a row."""
        cut = self._whole * self._first
        groups = [x[:, :cut].reshape(len(x) * self._whole, self._first, *x.shape[2:])]
        return [*groups, x[:, cut:]] if self._rest else groups

    def _coefficients(self, x: Tensor, basis: Tensor) -> Tensor:
        if self._zero_mask:
            zero = x.detach() == 0
            count = (~zero).sum(1, keepdim=True).clamp(min=1)
            x = torch.where(zero, rounded(x.sum(1, keepdim=True) / count).expand_as(x), x)
        missing = basis.shape[1] - x.shape[1]
        if missing:
            x = torch.cat([x, x[:, -1:].expand(-1, missing, -1, -1)], 1)
        return torch.einsum("kc,nchw->nkhw", basis, x)


def _basis(length: int, steps: Sequence[float | None]) -> tuple[Tensor, Tensor]:
    """The rows of an orthonormal DCT that are kept, and their steps as the format has them."""
    kept = [k for k in range(length) if steps[k] is not None]
    angles = math.pi * np.outer(kept, 2 * np.arange(length) + 1) / (2 * length)
    rows = np.cos(angles) * np.where(np.array(kept) == 0, math.sqrt(1 / length), math.sqrt(2 / length))[:, None]
    scaled = [scaled_step(length, step) * math.sqrt(length) / _COEFFICIENT_ONE for step in steps if step is not None]
    return torch.from_numpy(rows.astype(np.float32)), torch.tensor(scaled, dtype=torch.float32)
