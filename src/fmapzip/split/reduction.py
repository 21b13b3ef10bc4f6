"""Fewer channels across a cut, or channels with steps of their own: a linear map at the head's end and one in the tail.

Sources: a subset of channels that predicts the others, Choi, Cohen, Bajic, "Back-and-Forth prediction for deep tensor
compression", ICASSP 2020; bits by a channel's sensitivity, "Sensitivity-aware bit allocation for intermediate deep
feature compression", VCIP 2020. Neither is followed to the letter: docs/METHODS.md.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, fx, nn

from fmapzip.errors import InvalidInput
from fmapzip.split.halves import Cut, Tail, halves
from fmapzip.torch.batches import Batches
from fmapzip.torch.outputs import output_tensor

Step = nn.Module | None
"""What a tensor goes through; None: it crosses as it is."""

REDUCTIONS = ("none", "weighted", "3/4", "1/2", "1/4")
"""Of what crosses: none, channels with steps of their own, or a share of the channels."""

_SENT, _RECEIVED = "sent", "received"
_PROBES = 4
_MOST_APART = 8.0


class Fewer(nn.Module):
    """Hands on some channels.

    Parameters
    ----------
    kept : int64 tensor, [k]
    """

    def __init__(self, kept: Tensor) -> None:
        super().__init__()
        self.kept: Tensor
        self.register_buffer("kept", kept)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, ...] to [N, k, ...]."""
        return x.index_select(1, self.kept)


class Completed(nn.Module):
    """Computes the channels that were left out from those that are there.

    Parameters
    ----------
    weight, offset : float32 tensors, [d, k] and [d]
    order : int64 tensor, [C]
        Where each channel is, among those kept and then those computed.
    positive : bool
        Whether the map has no values below 0.
    """

    def __init__(self, weight: Tensor, offset: Tensor, order: Tensor, positive: bool) -> None:
        super().__init__()
        self.weight: Tensor
        self.offset: Tensor
        self.order: Tensor
        self.register_buffer("weight", weight)
        self.register_buffer("offset", offset)
        self.register_buffer("order", order)
        self.positive = positive

    def forward(self, x: Tensor) -> Tensor:
        """[N, k, ...] to [N, C, ...]."""
        found = torch.matmul(self.weight, x.flatten(2)) + self.offset[:, None]
        if self.positive:
            found = found.clamp(min=0)
        found = found.reshape(x.shape[0], -1, *x.shape[2:])
        return torch.cat([x, found], 1).index_select(1, self.order)


class Scaled(nn.Module):
    """Multiplies each channel.

    Parameters
    ----------
    factors : float32 tensor, [C]
    """

    def __init__(self, factors: Tensor) -> None:
        super().__init__()
        self.factors: Tensor
        self.register_buffer("factors", factors)

    def forward(self, x: Tensor) -> Tensor:
        """The shape stays."""
        return x * self.factors.reshape(-1, *[1] * (x.ndim - 2))


def fewer_channels(cut: Cut, calibration: Any, share: float) -> Cut:
    """A cut that sends a share of the channels of each tensor; the tail computes the others from them.

    Channels are chosen one by one, each time the one that, by its covariances with the others, explains the most of
    what is not explained yet; the others are linear in those kept, by least squares. Vectors, and what has its channels
    last, cross as they are.

    Parameters
    ----------
    cut : Cut
    calibration : Tensor, or iterable of batches
    share : float
        Above 0, below 1; at least one channel is sent.

    Raises
    ------
    InvalidInput
        There is no such share.
    """
    if not 0 < share < 1:
        raise InvalidInput(f"a share of the channels is above 0 and below 1, not {share}")
    before: list[Step] = []
    after: list[Step] = []
    shapes = []
    for tap, moments in zip(cut.taps, _moments(cut, calibration), strict=True):
        shapes.append(tap.shape)
        if moments is None or tap.shape[0] == 1:
            before.append(None)
            after.append(None)
            continue
        mean, covariance, positive = moments
        kept = _chosen(covariance, max(1, round(share * len(mean))))
        before.append(Fewer(torch.tensor(kept)))
        after.append(_completed(mean, covariance, kept, positive))
        shapes[-1] = (len(kept), *tap.shape[1:])
    return _around(cut, before, after, shapes)


def weighted_channels(cut: Cut, calibration: Any) -> Cut:
    """A cut whose channels have steps of their own: the more the output depends on a channel, the finer.

    With noise of a step's square in each channel, and bits that fall by its logarithm, the least noise of the output
    at given bits has steps in inverse proportion to the root mean square of the output's gradient. Gradients are those
    of random sums of the outputs, for class scores of their logarithms. Steps are at most 8 times apart.

    Parameters
    ----------
    cut : Cut
    calibration : Tensor, or iterable of batches
    """
    squares = [torch.zeros(tap.shape[0], dtype=torch.float64) for tap in cut.taps]
    generator = torch.Generator().manual_seed(0)
    for inputs, _ in Batches(calibration, "calibration"):
        if not isinstance(inputs, Tensor):
            raise InvalidInput("a split's network takes one tensor")
        for x in torch.split(inputs, 1):
            with torch.no_grad():
                maps = [value.clone().requires_grad_() for value in cut.head(x)]
            output = output_tensor(cut.tail(*maps))
            if output.ndim == 2:
                output = torch.log_softmax(output, 1) * torch.softmax(output, 1).detach().sqrt()
            for probe in range(_PROBES):
                signs = torch.randint(0, 2, output.shape, generator=generator) * 2.0 - 1
                keep = probe + 1 < _PROBES
                found = torch.autograd.grad((output * signs).sum(), maps, retain_graph=keep, allow_unused=True)
                for i, (tap, gradient) in enumerate(zip(cut.taps, found, strict=True)):
                    if gradient is not None:
                        squares[i] += gradient.double().square().transpose(0, tap.axis).flatten(1).mean(1)
    before: list[Step] = []
    after: list[Step] = []
    for tap, each in zip(cut.taps, squares, strict=True):
        if tap.axis != 1 or not bool((each > 0).any()):
            before.append(None)
            after.append(None)
            continue
        factors = (each / each.max()).sqrt().clamp(min=1 / _MOST_APART).float()
        before.append(Scaled(factors))
        after.append(Scaled(1 / factors))
    return _around(cut, before, after, [tap.shape for tap in cut.taps])


def with_reduction(cut: Cut, reduction: str, calibration: Any) -> Cut:
    """The cut with a reduction of `REDUCTIONS`.

    Raises
    ------
    InvalidInput
        There is no such reduction.
    """
    if reduction == "none":
        return cut
    if reduction == "weighted":
        return weighted_channels(cut, calibration)
    if reduction not in REDUCTIONS:
        raise InvalidInput(f"the reductions are {', '.join(REDUCTIONS)}; there is no {reduction!r}")
    return fewer_channels(cut, calibration, float(Fraction(reduction)))


def steps_of(module: nn.Module) -> dict[int, nn.Module]:
    """What the tensors that cross go through at the end of a head or the beginning of a tail's graph, by position."""
    found = {name.rpartition("_"): step for name, step in module.named_children()}
    return {int(place): step for (kind, _, place), step in found.items() if kind in (_SENT, _RECEIVED)}


def _around(cut: Cut, before: Sequence[Step], after: Sequence[Step], shapes: Sequence[tuple[int, ...]]) -> Cut:
    taps = tuple(replace(tap, shape=shape) for tap, shape in zip(cut.taps, shapes, strict=True))
    flat = cut.tail.flat
    assert isinstance(flat, fx.GraphModule)
    tail = Tail(_changed_inputs(flat, after), cut.tail.structure)
    reduced = halves(cut.whole, cut.at, taps, _changed_outputs(cut.head, before), tail, cut.layouts, cut.others)
    return replace(reduced, onnx=cut.onnx)


def _changed_outputs(head: fx.GraphModule, steps: Sequence[Step]) -> fx.GraphModule:
    graph = copy.deepcopy(head.graph)
    module = fx.GraphModule(head, graph)
    output = next(node for node in graph.nodes if node.op == "output")
    values = list(output.args[0])
    with graph.inserting_before(output):
        for i, step in enumerate(steps):
            if step is not None:
                module.add_submodule(f"{_SENT}_{i}", step)
                values[i] = graph.call_module(f"{_SENT}_{i}", (values[i],))
    output.args = (tuple(values),)
    module.recompile()
    return module


def _changed_inputs(flat: fx.GraphModule, steps: Sequence[Step]) -> fx.GraphModule:
    graph = copy.deepcopy(flat.graph)
    module = fx.GraphModule(flat, graph)
    given = [node for node in graph.nodes if node.op == "placeholder"]
    with graph.inserting_after(given[-1]):
        for i, step in reversed(list(enumerate(steps))):
            if step is not None:
                module.add_submodule(f"{_RECEIVED}_{i}", step)
                found = graph.call_module(f"{_RECEIVED}_{i}", (given[i],))
                given[i].replace_all_uses_with(found, delete_user_cb=lambda user, found=found: user is not found)
    module.recompile()
    return module


def _moments(cut: Cut, calibration: Any) -> list[tuple[Tensor, Tensor, bool] | None]:
    """Mean and covariance of each tensor's channels over positions and images, and whether none is below 0."""
    sums: list[Any] = [None if tap.axis != 1 or len(tap.shape) < 2 else [0, 0.0, 0.0, True] for tap in cut.taps]
    with torch.inference_mode():
        for inputs, _ in Batches(calibration, "calibration"):
            for total, value in zip(sums, cut.head(inputs), strict=True):
                if total is None:
                    continue
                rows = value.double().transpose(0, 1).flatten(1)
                total[0] += rows.shape[1]
                total[1] = total[1] + rows.sum(1)
                total[2] = total[2] + rows @ rows.T
                total[3] = total[3] and bool((rows >= 0).all())
    return [None if total is None else _normalised(*total) for total in sums]


def _normalised(count: int, total: Tensor, products: Tensor, positive: bool) -> tuple[Tensor, Tensor, bool]:
    mean = total / count
    return mean.clone(), products / count - mean[:, None] * mean, positive


def _chosen(covariance: Tensor, count: int) -> list[int]:
    """Channels, each the one that explains the most of what those before it leave."""
    left = covariance.clone()
    kept: list[int] = []
    for _ in range(count):
        spread = left.diagonal().clamp(min=0)
        usable = spread > 1e-9 * covariance.diagonal().max()
        explained = torch.where(usable, left.square().sum(0) / spread.clamp(min=1e-300), -torch.ones(()).double())
        explained[kept] = -2.0
        best = int(explained.argmax())
        kept.append(best)
        if usable[best]:
            left = left - left[:, best, None] * left[None, best] / left[best, best]
    return sorted(kept)


def _completed(mean: Tensor, covariance: Tensor, kept: list[int], positive: bool) -> Completed:
    missing = [channel for channel in range(len(mean)) if channel not in kept]
    among = covariance[kept][:, kept]
    ridge = 1e-6 * float(among.diagonal().mean()) + 1e-30
    weight = torch.linalg.solve(among + ridge * torch.eye(len(kept), dtype=among.dtype), covariance[kept][:, missing]).T
    offset = mean[missing] - weight @ mean[kept]
    place = {channel: i for i, channel in enumerate([*kept, *missing])}
    order = torch.tensor([place[channel] for channel in range(len(mean))])
    return Completed(weight.float().contiguous(), offset.float(), order, positive)
