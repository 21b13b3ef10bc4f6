"""Fits the parameters of `context-rans` to calibration maps. The counting is the core's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from fmapzip import _core
from fmapzip.codecs.base import IntegerMap
from fmapzip.codecs.context_rans_channels import (
    fit_zero_biases,
    in_offset_units,
    integer_weights,
    regress,
    spread_biases,
)
from fmapzip.codecs.context_rans_head import HeadShape, fit_head
from fmapzip.codecs.context_rans_parameters import (
    CONTEXT_STEPS,
    GROUP,
    MAX_SPANS,
    MAX_WIDTH,
    OFFSET_UNIT,
    WEIGHT_ONE,
    ZERO_NUMBERS,
    ChannelParameters,
    ContextParameters,
    Ints,
)
from fmapzip.codecs.context_rans_prediction import fit_prediction
from fmapzip.codecs.context_rans_reference import Heard
from fmapzip.codecs.context_rans_requantizer import value_tables
from fmapzip.codecs.context_rans_samples import Axis, sample
from fmapzip.codecs.context_rans_tables import (
    even_levels,
    fill_unseen,
    fit_tables,
    fit_zero_classes,
    fit_zero_corrections,
    flat_table,
)

_INPUTS = 6  # W, N, NW, NE, 1, value
_SYMBOLS = 256
_MEAN, _SPREAD, _CELL = 0, 1, 2
_SPREAD_GAIN = 3  # spreads are smaller than means: more of the byte's range for them
_MANY_BELOW = 32  # from so many negative values on, bytes are laid out as those of int8
_UNSIGNED_ORIGIN = 48  # where a mean of zero lies: below it, zeros are told from surer zeros
_PREDICTION_POSITIONS = ((768, 6000), (384, 12000), (48, 24000), (0, 6000))  # few channels gain nothing by more
_PREDICTION_EPOCHS = 16
_HEAD_POSITIONS = 6000
_PREDICTION_WIDTHS = ((768, 64), (256, 32), (128, 16), (48, 8), (0, 4))
_PREDICTION_RANKS = ((128, 64), (48, 32), (0, 16))
_PREDICTION_POSITION_RANKS = ((6000, 64), (1500, 32), (300, 16), (0, 0))
_MOMENT_VALUES = 1 << 23  # regressions look at no more values than about this
_TRIAL_VALUES = 1 << 22  # and trials encode no more
_NUMBER = 4
_SOME_PLAN = b"\0" * 8  # parameters stand elsewhere


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


def train_default(maps: IntegerMap, requantizer: Requantizer, size: ModelSize) -> ContextParameters:
    """Contexts of neighbours, with weights of the channels' own where these maps get smaller by more than they take."""
    shared, own = (train(maps, requantizer, size) for train in (train_neighbours, train_channel_weights))
    some = maps[:: max(1, maps.size // _TRIAL_VALUES)]
    saved = _payload(some, shared) - _payload(some, own)
    taken = len(own.to_bytes()) - len(shared.to_bytes())
    return own if saved * len(maps) > taken * len(some) else shared


def _payload(maps: IntegerMap, parameters: ContextParameters) -> int:
    """Bytes of the frames of maps without parameters."""
    codec = _core.Codec(_NUMBER, parameters.to_bytes())
    integers = maps.view(np.uint8) + np.uint8(parameters.below)
    return sum(len(_core.encode(q, codec, b"", False, parameters.below, _SOME_PLAN, 0, 1)) for q in integers)


def train_channel_weights(maps: IntegerMap, requantizer: Requantizer, size: ModelSize) -> ContextParameters:
    """Contexts of neighbours, where each channel has weights of its own for the mean, and biases."""
    some = maps[:: max(1, maps.size // _MOMENT_VALUES)]
    draft = _fit_channel_means(some, _draft(maps, requantizer, neighbours=True))
    draft = _fit_channel_spreads(some, draft)
    draft = fit_cells(maps, draft, size)
    counts = _integers(_core.ContextStatistics(draft.to_bytes()).count_zeros(maps), 2)
    cells = counts.reshape(maps.shape[1], -1, 2)[:, : len(draft.table_of)]
    classes, biases = fit_zero_biases(cells, size.spread_levels)
    assert draft.of_channels is not None
    return replace(draft, zero_class_of=classes, of_channels=replace(draft.of_channels, zero_biases=biases))


def train_prediction(maps: IntegerMap, requantizer: Requantizer, size: ModelSize) -> ContextParameters:
    """Contexts of sums of their own for mean, spread and zero, which also hear the channels decoded before."""
    channels = maps.shape[1]
    if channels > MAX_WIDTH * MAX_SPANS:
        return train_neighbours(maps, requantizer, size)
    index_of, value_of = value_tables(requantizer.below, requantizer.step, requantizer.points)
    axis = Axis.of(requantizer.below)
    positions = next(count for least, count in _PREDICTION_POSITIONS if channels >= least)
    samples = sample(maps, index_of, axis.companded(value_of), positions)
    width, rank = prediction_width(channels), prediction_rank(channels, maps.size // channels)
    prediction = fit_prediction(samples, axis, axis.edges(value_of), width, rank, _PREDICTION_EPOCHS)
    draft = replace(_draft(maps, requantizer, neighbours=True), weights=None, prediction=prediction)
    return fit_predicted_cells(maps, draft, size)


def train_head(maps: IntegerMap, requantizer: Requantizer, heard: Heard = ()) -> ContextParameters:
    """Contexts from a network that hears neighbours, their errors, channels of the positions around, and references."""
    channels = maps.shape[1]
    if channels > MAX_WIDTH * MAX_SPANS:
        return train_neighbours(maps, requantizer, ModelSize(levels=21, spread_levels=6, tables=64))
    positions = next(count for least, count in _PREDICTION_POSITIONS if channels >= least)
    shape = HeadShape(
        prediction_width(channels),
        prediction_rank(channels, maps.size // channels),
        max(positions, _HEAD_POSITIONS),
        _PREDICTION_EPOCHS,
    )
    tables = value_tables(requantizer.below, requantizer.step, requantizer.points)
    draft = replace(_draft(maps, requantizer, neighbours=True), weights=None)
    return fit_head(maps, draft, Axis.of(requantizer.below), tables, shape, heard)


def prediction_width(channels: int) -> int:
    """Channels of a span: few, so that most channels hear most others, but vectors of them where there are many."""
    few = next(width for least, width in _PREDICTION_WIDTHS if channels >= least)
    return max(few, -(-channels // (MAX_SPANS * GROUP)) * GROUP)


def prediction_rank(channels: int, positions: int) -> int:
    """Factors that pay for the bytes of their loadings, if more positions are stored than are trained on."""
    most = next(rank for least, rank in _PREDICTION_RANKS if channels >= least)
    return min(most, next(rank for least, rank in _PREDICTION_POSITION_RANKS if positions >= least))


def fit_predicted_cells(maps: IntegerMap, draft: ContextParameters, size: ModelSize) -> ContextParameters:
    """Levels, tables and corrections of the zero class for a draft whose prediction is final."""
    symbols_bytes, zeros_bytes = _core.ContextStatistics(draft.to_bytes()).count_predicted(maps)
    symbols = _integers(symbols_bytes, _SYMBOLS).reshape(CONTEXT_STEPS, CONTEXT_STEPS, _SYMBOLS)
    present = symbols[:, :, 1:].sum(2)
    level = even_levels(present.sum(1), size.levels)
    spread_level = even_levels(present.sum(0), size.spread_levels)
    cells = size.levels * size.spread_levels
    cell_of = (level[:, None] * size.spread_levels + spread_level).reshape(-1)
    counts = _grouped(symbols.reshape(-1, _SYMBOLS), cell_of, cells)
    zeros = _grouped(_integers(zeros_bytes, 2 * ZERO_NUMBERS), cell_of, cells).reshape(cells, ZERO_NUMBERS, 2)
    assigned, token_tables = fit_tables(counts[:, 1:], size.tables, signed=draft.below >= _MANY_BELOW)
    return replace(
        draft,
        thresholds=_level_thresholds(level, size.levels),
        spread_thresholds=_level_thresholds(spread_level, size.spread_levels),
        table_of=fill_unseen(assigned, size.spread_levels),
        zero_class_of=fit_zero_corrections(zeros),
        raw_bits=token_tables.raw_bits,
        log_frequencies=token_tables.log_frequencies,
    )


def _grouped(rows: Ints, group: Ints, groups: int) -> Ints:
    sums = np.zeros((groups, rows.shape[1]), np.int64)
    np.add.at(sums, group, rows)
    return sums


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


def _fit_channel_means(maps: IntegerMap, draft: ContextParameters) -> ContextParameters:
    """Least squares of the companded value on its neighbours, channel by channel."""
    channels = maps.shape[1]
    products = _integers(_core.ContextStatistics(draft.to_bytes()).channel_moments(maps), _INPUTS)
    found = regress(products.reshape(channels, _INPUTS, _INPUTS))
    weights = integer_weights(found.weights)
    offsets = in_offset_units(WEIGHT_ONE * (found.intercepts(weights / WEIGHT_ONE) + _origin(draft)))
    nothing = np.zeros(channels, np.int64)
    return replace(
        draft,
        weights=tuple(integer_weights(found.shared).tolist()),
        channel_offsets=offsets,
        of_channels=ChannelParameters(weights, nothing, nothing),
    )


def _fit_channel_spreads(maps: IntegerMap, draft: ContextParameters) -> ContextParameters:
    """Least squares of the residual's magnitude on the neighbours' distances, and a bias of each channel."""
    statistics = _core.ContextStatistics(draft.to_bytes())
    products = _integers(statistics.channel_spread_moments(maps, _origin(draft)), _INPUTS)
    found = regress(products.reshape(-1, _INPUTS, _INPUTS))
    weights = integer_weights(_SPREAD_GAIN * found.shared)
    gain = _SPREAD_GAIN * WEIGHT_ONE
    biases = spread_biases(gain * found.intercepts(weights / gain))
    assert draft.of_channels is not None
    return replace(
        draft,
        spread_weights=tuple(weights.tolist()),
        of_channels=replace(draft.of_channels, spread_biases=biases),
    )


def _origin(draft: ContextParameters) -> int:
    """Where a mean of zero lies."""
    return max(_UNSIGNED_ORIGIN - Axis.of(draft.below).zero, 0)


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
    return _level_thresholds(even_levels(counts[:CONTEXT_STEPS], levels), levels)


def _level_thresholds(level: Ints, levels: int) -> tuple[int, ...]:
    return tuple(int(t) for t in np.minimum(np.searchsorted(level, np.arange(1, levels)), CONTEXT_STEPS - 1))


def _integers(data: bytes, columns: int) -> Ints:
    return np.frombuffer(data, np.int64).reshape(-1, columns)
