"""Fits the parameters of `context-rans` to calibration maps. The counting is the core's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import isqrt

import numpy as np

from fmapzip import _core
from fmapzip.codecs.base import IntegerMap
from fmapzip.codecs.context_rans_factors import fit_factors
from fmapzip.codecs.context_rans_parameters import (
    CONTEXT_STEPS,
    OFFSET_UNIT,
    WEIGHT_ONE,
    ContextParameters,
    Ints,
)
from fmapzip.codecs.context_rans_tables import even_levels, fill_unseen, fit_tables, fit_zero_classes, flat_table
from fmapzip.zero_point import SIGNED, UNSIGNED

_INPUTS = 6  # W, N, NW, NE, 1, value
_SYMBOLS = 256
_MEAN, _SPREAD, _CELL = 0, 1, 2
_SPREAD_GAIN = 3  # spreads are smaller than means: more of the byte's range for them
_MANY_BELOW = 32  # from so many negative values on, bytes are laid out as those of int8
_UNSIGNED_ORIGIN = 48  # where a mean of zero lies: below it, zeros are told from surer zeros
_FACTOR_POSITIONS = 1 << 14
_MOMENT_VALUES = 1 << 23  # regressions look at no more values than about this


MAX_STEP_TERM = 65535


@dataclass(frozen=True)
class ModelSize:
    """How much a model may tell apart."""

    levels: int
    spread_levels: int
    tables: int


@dataclass(frozen=True)
class Requantizer:
    """How values become indices: how many of them are negative, the step, and reconstruction points."""

    below: int
    step: Fraction
    points: tuple[int, ...] = ()


# Tables of channels without a plan: from so many values on.
_TABLES = ((1 << 17, 24), (1 << 15, 16), (1 << 14, 10), (1 << 12, 5), (1 << 10, 2), (0, 1))


def tables_for(values: int) -> int:
    """How many tables pay for themselves in the frame of one map of so many values."""
    return next(tables for least, tables in _TABLES if values >= least)


def train_channels(maps: IntegerMap, requantizer: Requantizer, tables: int) -> ContextParameters:
    """A table and a zero class for each channel, without neighbours."""
    draft = _draft(maps, requantizer, neighbours=False)
    counts = _integers(_core.ContextStatistics(draft.to_bytes()).count_channels(maps), _SYMBOLS)
    assigned, token_tables = fit_tables(counts[:, 1:], tables, signed=draft.below >= _MANY_BELOW)
    zero_classes = fit_zero_classes(counts[:, 0], counts[:, 1:].sum(1))
    return replace(
        draft,
        table_of=np.maximum(assigned, 0),
        zero_class_of=np.maximum(zero_classes, 0),
        raw_bits=token_tables.raw_bits,
        log_frequencies=token_tables.log_frequencies,
    )


def train_neighbours(maps: IntegerMap, requantizer: Requantizer, size: ModelSize) -> ContextParameters:
    """Contexts from a trained mean and a trained spread of the neighbours."""
    some = maps[:: max(1, maps.size // _MOMENT_VALUES)]
    draft = _fit_mean(some, _draft(maps, requantizer, neighbours=True))
    draft = _fit_spread(some, draft)
    return fit_cells(maps, draft, size)


def train_factors(maps: IntegerMap, requantizer: Requantizer, size: ModelSize, rank: int) -> ContextParameters:
    """Contexts of neighbours whose mean also knows the channels decoded before at the same position."""
    channels = maps.shape[1]
    width = span_width(channels)
    if channels < 2 * width:
        return train_neighbours(maps, requantizer, size)
    some = maps[:: max(1, maps.size // _MOMENT_VALUES)]
    draft = _fit_mean(some, _draft(maps, requantizer, neighbours=True))
    origin = _origin(draft)
    positions = maps.size // channels
    residuals = _core.ContextStatistics(draft.to_bytes()).residuals(maps, origin, -(-positions // _FACTOR_POSITIONS))
    factors = fit_factors(np.frombuffer(residuals, np.int8).reshape(-1, channels), rank, width, origin)
    return fit_cells(maps, _fit_spread(some, replace(draft, factors=factors)), size)


def span_width(channels: int) -> int:
    """Channels that are coded together when others predict them: few enough to gain, enough to keep lanes busy."""
    return 64 if channels >= 128 else 32 if channels >= 64 else 16


def fit_cells(maps: IntegerMap, draft: ContextParameters, size: ModelSize) -> ContextParameters:
    """Levels, tables and zero classes for a draft whose mean and spread are final."""
    statistics = _core.ContextStatistics(draft.to_bytes())
    means = _integers(statistics.count(maps, _MEAN), _SYMBOLS).sum(1)
    spreads = _integers(statistics.count(maps, _SPREAD), _SYMBOLS).sum(1)
    draft = replace(
        draft,
        thresholds=_thresholds(means, size.levels),
        spread_thresholds=_thresholds(spreads, size.spread_levels),
        table_of=np.zeros(size.levels * size.spread_levels, np.int64),
        zero_class_of=np.zeros(size.levels * size.spread_levels, np.int64),
    )
    cells = size.levels * size.spread_levels
    counts = _integers(_core.ContextStatistics(draft.to_bytes()).count(maps, _CELL), _SYMBOLS)[:cells]
    assigned, token_tables = fit_tables(counts[:, 1:], size.tables, signed=draft.below >= _MANY_BELOW)
    zero_classes = fit_zero_classes(counts[:, 0], counts[:, 1:].sum(1))
    return replace(
        draft,
        table_of=fill_unseen(assigned, size.spread_levels),
        zero_class_of=fill_unseen(zero_classes, size.spread_levels),
        raw_bits=token_tables.raw_bits,
        log_frequencies=token_tables.log_frequencies,
    )


def _draft(maps: IntegerMap, requantizer: Requantizer, *, neighbours: bool) -> ContextParameters:
    """Parameters that say how values become indices, and nothing else yet."""
    contexts = 1 if neighbours else maps.shape[1]
    flat = flat_table()
    return ContextParameters(
        below=requantizer.below,
        table_of=np.zeros(contexts, np.int64),
        zero_class_of=np.zeros(contexts, np.int64),
        raw_bits=flat.raw_bits,
        log_frequencies=flat.log_frequencies,
        step=requantizer.step,
        points=requantizer.points,
        weights=(0, 0, 0, 0) if neighbours else None,
    )


def _fit_mean(maps: IntegerMap, draft: ContextParameters) -> ContextParameters:
    """Least squares of the companded value on its neighbours and its channel's mean."""
    sums_bytes, products_bytes = _core.ContextStatistics(draft.to_bytes()).moments(maps)
    sums, products = _integers(sums_bytes, _INPUTS), _integers(products_bytes, _INPUTS)
    means = sums[:, 5] // np.maximum(sums[:, 4], 1)
    # The channel's mean joins as one more input.
    crossed = means @ sums
    products = np.block([[products, crossed[:, None]], [crossed[None], means**2 @ sums[:, 4:5]]])
    columns = [*range(5), 6]
    solution = _solve(products[np.ix_(columns, columns)], products[columns, 5])
    offset = round(WEIGHT_ONE * (solution[4] + _origin(draft)))
    gain = round(solution[5] * 256)
    offsets = (means * gain * WEIGHT_ONE // OFFSET_UNIT + 128) >> 8
    return replace(
        draft,
        weights=_integer_weights(solution[:4]),
        offset=min(max(offset, -(1 << 15)), (1 << 15) - 1),
        channel_offsets=offsets,
    )


def _origin(draft: ContextParameters) -> int:
    """Where a mean of zero lies."""
    return max(_UNSIGNED_ORIGIN - companded_zero(draft.below), 0)


def companded_zero(below: int) -> int:
    """What a value of zero is companded to (docs/format/context-rans.md, "Contexts")."""
    if below in (UNSIGNED, SIGNED):
        return below
    product = below * (255 - below)
    gain = 65025 // (255 + 2 * (isqrt(product - 1) + 1 if product else 0))
    return isqrt(gain * below)


def _fit_spread(maps: IntegerMap, draft: ContextParameters) -> ContextParameters:
    """Least squares of the residual's magnitude on the neighbours' distances."""
    products = _integers(_core.ContextStatistics(draft.to_bytes()).spread_moments(maps, _origin(draft)), _INPUTS)
    solution = _solve(products[:5, :5], products[:5, 5])
    return replace(draft, spread_weights=_integer_weights([_SPREAD_GAIN * x for x in solution[:4]]))


def _solve(gram: Ints, target: Ints) -> list[Fraction]:
    """Least squares from its normal equations, exactly; a little ridge settles inputs that never vary."""
    size = len(gram)
    ridge = sum(int(gram[i, i]) for i in range(size)) // (1 << 20) + 1
    rows = [[Fraction(int(x)) for x in (*gram[i], target[i])] for i in range(size)]
    for i in range(size):
        rows[i][i] += ridge
    for i in range(size):
        rows[i] = [x / rows[i][i] for x in rows[i]]
        for j in range(size):
            if j != i:
                rows[j] = [x - rows[j][i] * y for x, y in zip(rows[j], rows[i], strict=True)]
    return [row[-1] for row in rows]


def _integer_weights(weights: Sequence[Fraction]) -> tuple[int, ...]:
    """In 1/64, and small enough that a pair's products with bytes sum to 16 bits."""
    largest = max(abs(weights[0]) + abs(weights[1]), abs(weights[2]) + abs(weights[3])) * WEIGHT_ONE
    scale = WEIGHT_ONE * min(Fraction(1), 126 / max(largest, Fraction(1)))
    return tuple(round(w * scale) for w in weights)


def _thresholds(counts: Ints, levels: int) -> tuple[int, ...]:
    level = even_levels(counts[:CONTEXT_STEPS], levels)
    return tuple(int(t) for t in np.minimum(np.searchsorted(level, np.arange(1, levels)), CONTEXT_STEPS - 1))


def _integers(data: bytes, columns: int) -> Ints:
    return np.frombuffer(data, np.int64).reshape(-1, columns)
