"""Networks of gates that move items: each function adds signals to a module and returns what it computes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal


def ranks(m: Module, bits: Sequence[Any]) -> tuple[list[Any], Any]:
    """How many of `bits` are set before each of them, and in all; as a tree of depth log2."""
    if len(bits) == 1:
        return [Const(0, 1)], bits[0]
    half = (len(bits) + 1) // 2
    low, count_low = ranks(m, bits[:half])
    high, count_high = ranks(m, bits[half:])
    found = low + [count_low + rank for rank in high]
    named = [_signal(m, rank, index.bit_length()) for index, rank in enumerate(found)]
    return named, _signal(m, count_low + count_high, len(bits).bit_length())


def moves(m: Module, present: Sequence[Any]) -> list[list[Any]]:
    """How the items that are present close up: at stage s item i goes 2^s places down where `moves[s][i]`."""
    gaps, _ = ranks(m, [~bit for bit in present])
    width = (len(present) - 1).bit_length()
    left = [_signal(m, Mux(bit, gap, 0), width) for bit, gap in zip(present, gaps, strict=True)]
    stages = []
    for stage in range(width):
        moving = [item[stage] for item in left]
        stages.append(moving)
        left = _step(m, left, moving, 1 << stage)
    return stages


def close_up(m: Module, items: Sequence[Any], stages: Sequence[Sequence[Any]]) -> list[Any]:
    """The items that are present, moved to the front in order; those that are not must be 0."""
    found = list(items)
    for stage, moving in enumerate(stages):
        found = _step(m, found, moving, 1 << stage)
    return found


def spread(m: Module, items: Sequence[Any], present: Sequence[Any], stages: Sequence[Sequence[Any]]) -> list[Any]:
    """The inverse of `close_up`: the first items at the places that are present, 0 at the others."""
    found = list(items)
    for stage in reversed(range(len(stages))):
        step, moving = 1 << stage, stages[stage]
        found = [
            _signal(m, Mux(moving[i], found[i - step], found[i]) if i >= step else found[i], len(found[i]))
            for i in range(len(found))
        ]
    return [_signal(m, Mux(bit, item, 0), len(item)) for bit, item in zip(present, found, strict=True)]


def masked(m: Module, items: Sequence[Any], count: Any) -> Any:
    """The first `count` items, zeros behind them."""
    return Cat(_signal(m, Mux(i < count, item, 0), len(item)) for i, item in enumerate(items))


def _step(m: Module, items: Sequence[Any], moving: Sequence[Any], step: int) -> list[Any]:
    found = []
    for i, item in enumerate(items):
        stays = Mux(moving[i], 0, item)
        comes = Mux(moving[i + step], items[i + step], 0) if i + step < len(items) else 0
        found.append(_signal(m, stays | comes, len(item)))
    return found


def _signal(m: Module, value: Any, width: int) -> Any:
    named = Signal(width)
    m.d.comb += named.eq(value)
    return named
