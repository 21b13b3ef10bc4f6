"""Fits what reference maps tell of values: a linear estimate of each value, from integers that a decoder has.

A map that a convolution and a ReLU made of the reference is that estimate, but for what lies below zero, where only
the sign is known: least squares with a limited dependent variable (Tobin, 1958), by
least squares on what was estimated where values were cut, again and again; the problem is convex. How strongly weights
are drawn to zero follows from the noise that is left (MacKay, 1992).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fmapzip.codecs.base import IntegerMap
from fmapzip.codecs.context_rans_reference_parameters import (
    ESTIMATE_ONE,
    HIGHEST,
    LOWEST,
    MAX_SHIFT,
    Reference,
    ReferenceParameters,
)
from fmapzip.codecs.context_rans_samples import Axis, chosen_positions
from fmapzip.zero_point import values_of_bytes

_POSITIONS, _MANY_INPUTS, _FEWER_POSITIONS = 24000, 640, 12000
_ROUNDS, _TRIAL_ROUNDS = 12, 6
_TRIAL_POSITIONS = 3000
_WEIGHT = 0.05  # a usual weight, and
_NOISE = 1 / 12  # the variance of rounding: how strongly weights are drawn to zero at first
_MOST = 127
_SIGN_BIT = 0x80
_PARAMETER_BITS = 6
_LEAST_POSITIONS = 64
_TOGETHER = 2048  # positions whose inputs are in memory as float64
_MOST_INPUTS = 2400  # more take too long to fit, and more maps than calibration has

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Earlier:
    """Maps of a tap that a decoder has before it decodes another: integers [N, C, H, W] and what stands for 0."""

    maps: IntegerMap
    zero_point: int = 0

    def reference(self, *, same_channel: bool, wide: bool, halved: bool) -> Reference:
        """How it is heard."""
        signed = self.maps.dtype == np.int8
        return Reference(self.maps.shape[1], same_channel, wide, halved, signed, self.zero_point & 0xFF)


Heard = tuple[tuple[Reference, Earlier], ...]
"""Reference maps, and how they are heard."""


def candidates(shape: tuple[int, ...], earlier: Sequence[Earlier]) -> Iterator[tuple[tuple[int, Reference], ...]]:
    """Ways to hear one of the earlier maps, the last of which are the nearest, for maps [N, C, H, W]."""
    for i, each in enumerate(earlier):
        halved = each.maps.shape[2:] != shape[2:]
        if tuple(-(-n // (1 + halved)) for n in each.maps.shape[2:]) != shape[2:]:
            continue
        if not halved and each.maps.shape[1] == shape[1]:
            yield ((i, each.reference(same_channel=True, wide=False, halved=False)),)
        for wide in (False, True) if i == len(earlier) - 1 and shape[2:] != (1, 1) else (False,):
            reference = each.reference(same_channel=False, wide=wide, halved=halved)
            if reference.inputs <= _MOST_INPUTS:
                yield ((i, reference),)


def choose(maps: IntegerMap, below: int, earlier: Sequence[Earlier]) -> tuple[tuple[int, Reference], ...]:
    """The references whose estimates leave the least to code, with their weights; none where there is none to take."""
    if maps.size < _LEAST_POSITIONS * maps.shape[1]:
        return ()
    found = {choice: _left(maps, below, earlier, choice) for choice in candidates(maps.shape, earlier)}
    if not found:
        return ()
    best = min(found, key=lambda choice: found[choice])
    both = [(*choice, *best) for choice in found if choice[0][0] != best[0][0]]
    found |= {choice: _left(maps, below, earlier, choice) for choice in both}
    return min(found, key=lambda choice: found[choice])


def _left(maps: IntegerMap, below: int, earlier: Sequence[Earlier], choice: tuple[tuple[int, Reference], ...]) -> float:
    """Bits that values and weights take if nothing else is known than an estimate, about."""
    heard = tuple((reference, earlier[i]) for i, reference in choice)
    inputs = sum(reference.inputs for reference, _ in heard)
    positions = chosen_positions(maps, max(_TRIAL_POSITIONS, 3 * inputs))
    positions = positions[: max(1, len(positions) // 4 * 4)]
    apart = np.arange(len(positions)) % 4 == 0
    values = _values(maps, below, positions)
    linear = _solve(heard, positions[~apart], maps.shape, values[~apart], below, _TRIAL_ROUNDS)
    bits = _bits(linear.estimates(heard, positions[apart], maps.shape), values[apart])
    return float(bits * maps.size + _PARAMETER_BITS * inputs * maps.shape[1])


def _bits(estimates: Floats, values: Floats) -> float:
    """Entropy of a value, of which only a rounded estimate is known."""
    nearest = np.clip(np.floor(estimates * 4), -64, 1023).astype(np.int64)
    zero = values == 0
    bits = _entropy(nearest + 64, zero.astype(np.int64), 2)
    level = np.ceil(np.log2(1 + np.maximum(nearest, 0) // 4)).astype(np.int64)
    difference = np.clip(values - np.rint(np.maximum(estimates, 0)), -255, 255).astype(np.int64) + 255
    return float((bits + _entropy(level[~zero], difference[~zero], 511)) / values.size)


def _entropy(contexts: Ints, symbols: Ints, count: int) -> float:
    """Bits of symbols in contexts, by what occurs."""
    rows = int(contexts.max(initial=0)) + 1
    counts = np.bincount((contexts * count + symbols).reshape(-1), minlength=rows * count).reshape(rows, count)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    return float(-(counts * np.log2(np.where(counts, share, 1))).sum())


def fit_references(maps: IntegerMap, below: int, heard: Heard) -> ReferenceParameters:
    """Weights of what is heard, in integers; the estimates' own weights in the mean are not known yet."""
    inputs = sum(reference.inputs for reference, _ in heard)
    positions = chosen_positions(maps, _POSITIONS if inputs <= _MANY_INPUTS else _FEWER_POSITIONS)
    linear = _solve(heard, positions, maps.shape, _values(maps, below, positions), below, _ROUNDS)
    scaled = ESTIMATE_ONE * np.concatenate(linear.parts(heard), 1).astype(np.float64)
    largest = np.maximum(np.abs(scaled).max(1), 1e-9)
    shifts = np.clip(np.floor(np.log2(_MOST / largest)), 0, MAX_SHIFT).astype(np.int64)
    weights = np.clip(np.rint(scaled * 2.0 ** shifts[:, None]), -_MOST, _MOST).astype(np.int64)
    biases = np.clip(np.rint(ESTIMATE_ONE * linear.bias.astype(np.float64) + 0.5), -32767, 32767).astype(np.int64)
    own = np.zeros(maps.shape[1], np.int64)
    return ReferenceParameters(tuple(reference for reference, _ in heard), weights, shifts, biases, own)


def estimates_at(
    parameters: ReferenceParameters, heard: Heard, positions: Ints, shape: tuple[int, ...], axis: Axis
) -> Ints:
    """Estimates in 1/64 of a companded value, [positions, C], as a decoder has them."""
    parts = [positions[first : first + _TOGETHER] for first in range(0, len(positions), _TOGETHER)]
    companded = companded_estimates(axis)
    found = [companded[_integer_estimates(parameters, heard, part, shape) - LOWEST] for part in parts]
    return np.concatenate(found)


def _integer_estimates(parameters: ReferenceParameters, heard: Heard, positions: Ints, shape: tuple[int, ...]) -> Ints:
    sums = np.zeros((len(positions), shape[1]))
    first = 0
    for (reference, earlier), last in zip(heard, np.cumsum([r.inputs for r in parameters.maps]), strict=True):
        weights = parameters.weights[:, first:last].astype(np.float64)
        patches = _patches(reference, earlier, positions, shape)
        if reference.same_channel:
            for k in range(reference.positions):
                sums += patches[:, k] * weights[:, k]
        else:
            sums += patches.reshape(len(positions), -1).astype(np.float64) @ weights.T  # exact: below 2^53
        first = int(last)
    estimates = (sums.astype(np.int64) >> parameters.shifts) + parameters.biases
    clipped: Ints = np.clip(estimates, LOWEST, HIGHEST)
    return clipped


def companded_estimates(axis: Axis) -> Ints:
    """Of each estimate from the lowest on, in 1/64."""
    estimates = np.arange(LOWEST, HIGHEST + 1)
    roots = np.floor(np.sqrt(256.0 * axis.gain * np.abs(estimates))).astype(np.int64)
    companded: Ints = 64 * axis.zero + np.sign(estimates) * roots
    return companded


@dataclass
class _Linear:
    """Weights of all channels, [inputs, C], of the same channel, [positions, C], and a bias, [C]."""

    full: Floats
    same: Floats
    bias: Floats

    def estimates(self, heard: Heard, positions: Ints, shape: tuple[int, ...]) -> Floats:
        """Of the values at some positions, [positions, C]."""
        full, same = _inputs(heard, positions, shape)
        found: Floats = full @ self.full + self.bias + (same * self.same).sum(1)
        return found

    def parts(self, heard: Heard) -> list[Floats]:
        """Of each reference its weights, [C, inputs]."""
        full, same, parts = 0, 0, []
        for reference, _ in heard:
            if reference.same_channel:
                parts.append(self.same[same : same + reference.positions].T)
                same += reference.positions
            else:
                parts.append(self.full[full : full + reference.inputs].T)
                full += reference.inputs
        return parts


def _solve(heard: Heard, positions: Ints, shape: tuple[int, ...], values: Floats, below: int, rounds: int) -> _Linear:
    full, same = _inputs(heard, positions, shape)
    middle, same_middle = full.mean(0), same.mean(0)
    full -= middle
    same = same - same_middle
    gram = (full.T @ full).astype(np.float64)
    ridge = _NOISE / _WEIGHT**2
    inverse = _inverse(gram, ridge)
    same_gram = np.einsum("nkc,njc->ckj", same, same).astype(np.float64) + ridge * np.eye(same.shape[1])
    cut = (values == 0) if below == 0 else np.zeros(values.shape, bool)
    weights, of_same = np.zeros((full.shape[1], shape[1]), np.float32), np.zeros(same.shape[1:], np.float32)
    target, estimates = values, values
    for i in range(rounds):
        bias = target.mean(0)
        rest = target - bias
        weights = inverse @ (full.T @ (rest - (same * of_same).sum(1)))
        estimates = full @ weights
        if same.shape[1]:
            products = np.einsum("nkc,nc->ck", same, rest - estimates).astype(np.float64)
            of_same = np.linalg.solve(same_gram, products[..., None])[..., 0].T.astype(np.float32)
            estimates = estimates + (same * of_same).sum(1)
        estimates += bias
        target = np.where(cut, np.minimum(estimates, 0), values)
        if i == rounds // 2 and weights.size:
            noise = float(np.mean((target - estimates) ** 2)) * len(values) / max(len(values) - len(weights), 1)
            ridge = noise / max(float(np.mean(weights**2)), 1e-6)
            inverse = _inverse(gram, ridge)
    bias = estimates.mean(0) - middle @ weights - (same_middle * of_same).sum(0)
    return _Linear(weights, of_same, np.asarray(bias, np.float32))


def _inverse(gram: NDArray[np.float64], ridge: float) -> Floats:
    return np.linalg.inv(gram + ridge * np.eye(len(gram))).astype(np.float32)


def _values(maps: IntegerMap, below: int, positions: Ints) -> Floats:
    """Values of some positions, [positions, C]."""
    n, row, column = _places(positions, maps.shape)
    found: Floats = values_of_bytes(below)[maps[n, :, row, column].view(np.uint8)].astype(np.float32)
    return found


def _inputs(heard: Heard, positions: Ints, shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    """What all channels say of some positions, [positions, inputs], and the same one, [positions, k, C]."""
    full, same = [], [np.zeros((len(positions), 0, shape[1]), np.float32)]
    for reference, earlier in heard:
        patches = _patches(reference, earlier, positions, shape).astype(np.float32)
        if reference.same_channel:
            same.append(patches)
        else:
            full.append(patches.reshape(len(positions), -1))
    none = np.zeros((len(positions), 0), np.float32)
    return np.concatenate([none, *full], 1), np.concatenate(same, 1)


def _patches(reference: Reference, earlier: Earlier, positions: Ints, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Bytes around some positions, ascending as integers do, [positions, places, channels]."""
    sign = _SIGN_BIT if reference.signed else 0
    n, row, column = _places(positions, shape)
    stride = 1 + reference.halved
    bytes_of = earlier.maps.view(np.uint8)
    height, width = bytes_of.shape[2:]
    reach = int(reference.wide)
    found = []
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            y, x = stride * row + dy, stride * column + dx
            inside = (y >= 0) & (x >= 0) & (y < height) & (x < width)
            here = bytes_of[n, :, np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
            found.append(np.where(inside[:, None], here, np.uint8(reference.outside)) ^ np.uint8(sign))
    return np.stack(found, 1)


def _places(positions: Ints, shape: tuple[int, ...]) -> tuple[Ints, Ints, Ints]:
    n, rest = np.divmod(positions, shape[2] * shape[3])
    row, column = np.divmod(rest, shape[3])
    return n, row, column
