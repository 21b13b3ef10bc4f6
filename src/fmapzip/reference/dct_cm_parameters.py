"""The parameters of ``dct-cm``, from docs/format/dct-cm.md."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fmapzip.errors import CorruptFrame

MAX_STEP, MIN_STEP = 4096, 4


@dataclass(frozen=True)
class Parameters:
    """The parameter bytes of ``dct-cm``, taken apart."""

    transform: bool
    below: int | None = None
    zero_mask: bool = False
    order: NDArray[np.int64] | None = None
    steps: tuple[int, ...] = ()
    tail_steps: tuple[int, ...] = ()
    points: NDArray[np.bool_] | None = None
    rans: bool = False
    model: bytes = b""
    mask_model: bytes = b""

    def steps_of(self, length: int) -> tuple[int, ...]:
        """Steps of a group of this length."""
        return self.steps if length == len(self.steps) else self.tail_steps


def parse(parameters: bytes) -> Parameters:
    """Take parameter bytes apart; raise `CorruptFrame` where they are not valid."""
    if not parameters or parameters[0] >> 6:
        raise CorruptFrame("the parameters are empty or set reserved bits")
    if not parameters[0] & 32:
        return _paths(parameters)
    if len(parameters) < 2 or parameters[1] in (0, 128):
        raise CorruptFrame("the range of values is cut or that of a type")
    return replace(_paths(parameters[:1] + parameters[2:]), below=parameters[1])


def _paths(parameters: bytes) -> Parameters:
    """The flags and what follows them, without the range of values."""
    transform, zero_mask, has_order, has_points, rans = (bool(parameters[0] >> i & 1) for i in range(5))
    if not transform:
        if zero_mask or has_order or len(parameters) < 1 + 32 * has_points:
            raise CorruptFrame("the parameters of the mask path are cut or have a wrong flag")
        rest = parameters[1 + 32 * has_points :]
        listed = np.frombuffer(parameters[1 : 1 + 32 * has_points], np.uint8)
        points = np.unpackbits(listed, bitorder="little").astype(bool) if has_points else None
        if points is not None and not points[0]:
            raise CorruptFrame("zero is not among the reconstruction points")
        model, rest = _model(rest) if rans else (b"", rest)
        if rest:
            raise CorruptFrame("bytes follow the parameters")
        return Parameters(False, points=points, rans=rans, model=model)
    if has_points or len(parameters) < 2 or parameters[1] >> 5:
        raise CorruptFrame("the parameters of the transform path are cut or set reserved bits")
    length = 4 << (parameters[1] & 3)
    tail = 2 << (parameters[1] >> 2) if parameters[1] >> 2 else 0
    end = 2 + 2 * (length + tail)
    if tail >= length or len(parameters) < end:
        raise CorruptFrame("the steps are cut or too many")
    steps = np.frombuffer(parameters[2:end], "<u2")
    if ((steps != 0) & ((steps < MIN_STEP) | (steps > MAX_STEP))).any():
        raise CorruptFrame("a step is out of range")
    if not steps[:length].any() or (tail and not steps[length:].any()):
        raise CorruptFrame("no frequency is kept")
    model, rest = _model(parameters[end:]) if rans else (b"", parameters[end:])
    mask_model, rest = _model(rest) if rans and zero_mask else (b"", rest)
    if len(rest) % 2 or bool(rest) != has_order:
        raise CorruptFrame("the channel order is cut or not announced")
    order = np.frombuffer(rest, "<u2").astype(np.int64)
    if not np.array_equal(np.sort(order), np.arange(len(order))):
        raise CorruptFrame("the channel order is not a permutation")
    both = tuple(steps.tolist())
    kept_order = order if has_order else None
    return Parameters(True, None, zero_mask, kept_order, both[:length], both[length:], None, rans, model, mask_model)


def _model(data: bytes) -> tuple[bytes, bytes]:
    """A model behind its length, and what follows it."""
    length, at = 0, 0
    while True:
        if at >= len(data) or at == 5:
            raise CorruptFrame("a model's length is cut or too long")
        byte = data[at]
        length |= (byte & 127) << 7 * at
        at += 1
        if byte < 128:
            break
    if (byte == 0 and at > 1) or length >= 1 << 32 or at + length > len(data):
        raise CorruptFrame("a model is cut or its length is not in its shortest form")
    return data[at : at + length], data[at + length :]


def group_lengths(channels: int, longest: int) -> list[int]:
    """Transform length of each group of channels: ``longest``, the last one the shortest that holds the rest."""
    full, rest = divmod(channels, longest)
    return [longest] * full + [min(n for n in (4, 8, 16, 32) if n >= rest)] * (rest > 0)


def check(p: Parameters, channels: int, below: int) -> None:
    """Raise `CorruptFrame` where the parameters do not fit maps of so many channels and negative values."""
    if below not in ((0, 128) if p.below is None else (p.below,)):
        raise CorruptFrame("the parameters are for another zero point")
    if not p.transform:
        return
    if group_lengths(channels, len(p.steps))[-1] != (len(p.tail_steps) or len(p.steps)):
        raise CorruptFrame("the parameters are for another number of channels")
    if p.order is not None and len(p.order) != channels:
        raise CorruptFrame("the parameters order another number of channels")
