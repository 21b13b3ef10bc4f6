"""Token tables and zero classes from counts: cells with alike distributions share a table.

All in integers, so that the same counts give the same tables on every machine.
"""

from __future__ import annotations

import numpy as np

from fmapzip.codecs.context_rans_parameters import (
    MAX_LOG_FREQUENCY,
    TOKEN_BITS,
    TOKENS,
    ZERO_BITS,
    ZERO_PROBABILITIES,
    Ints,
)

_ROUNDS = 12
_PRIOR = 4  # tokens' worth of the overall distribution that is added to each table
_PRIOR_SCALE = 1 << 12  # counts are scaled by this, so that a prior can be a fraction of one
_LOG_ONE = 1 << 16
_MANTISSA_BITS = 12
_LOGS = np.rint(_LOG_ONE * np.log2(np.maximum(np.arange(1 << _MANTISSA_BITS), 1))).astype(np.int64)


def log2(n: Ints) -> Ints:
    """Logarithms of positive integers in 1/65536, from their 12 leading bits."""
    shift = np.maximum(np.frexp(n.astype(np.float64))[1] - _MANTISSA_BITS, 0).astype(np.int64)
    logs: Ints = _LOGS[n >> shift] + shift * _LOG_ONE
    return logs


def fit_tables(counts: Ints, most: int) -> tuple[Ints, Ints]:
    """Group the rows of token counts [cells, 32] into at most `most` tables, by code length (k-means with KL).

    Returns the table of each row and the tables' frequencies as logarithms [tables, 32], in ascending order of
    their mean token. Rows without counts get -1.
    """
    result = np.full(len(counts), -1, np.int64)
    seen = np.flatnonzero(counts.sum(1))
    if not len(seen):
        return result, np.zeros((1, TOKENS), np.int64)
    rows = counts[seen]
    prior = _prior(rows)
    assigned = _initial_groups(rows, most)
    for _ in range(_ROUNDS):
        logs = log2(_sums(rows, assigned, most) * _PRIOR_SCALE + prior)
        totals = log2((_sums(rows, assigned, most) * _PRIOR_SCALE + prior).sum(1))
        moved = (rows @ (totals[:, None] - logs).T).argmin(1)
        if (moved == assigned).all():
            break
        assigned = moved
    tables = _sums(rows, assigned, most)
    used = np.flatnonzero(tables.sum(1))
    used = used[np.argsort(_mean_tokens(tables[used]), kind="stable")]
    rank = np.full(most, -1, np.int64)
    rank[used] = np.arange(len(used))
    result[seen] = rank[assigned]
    return result, _logarithms(tables[used] * _PRIOR_SCALE + prior)


def fit_zero_classes(zeros: Ints, others: Ints) -> Ints:
    """The class of zero probability that costs the fewest bits for each cell; -1 for cells without counts."""
    p = np.array(ZERO_PROBABILITIES, np.int64)
    zero_cost, other_cost = ZERO_BITS * _LOG_ONE - log2(p), ZERO_BITS * _LOG_ONE - log2((1 << ZERO_BITS) - p)
    cost = (5 * zeros[:, None] + 1) * zero_cost + (5 * others[:, None] + 1) * other_cost
    return np.where(zeros + others > 0, cost.argmin(1), -1)


def fill_unseen(cells: Ints, columns: int) -> Ints:
    """Give cells that calibration never met the value of the nearest one that it did."""
    grid = cells.reshape(-1, columns)
    known = np.argwhere(grid >= 0)
    if not len(known):
        return np.zeros_like(cells)
    filled = grid.copy()
    for cell in np.argwhere(grid < 0):
        nearest = known[((known - cell) ** 2).sum(1).argmin()]
        filled[tuple(cell)] = grid[tuple(nearest)]
    return filled.reshape(-1)


def even_levels(counts: Ints, levels: int) -> Ints:
    """Split an axis into levels that share the square roots of its counts evenly: the level of each entry.

    Fine where values are, without forgetting the tail.
    """
    roots = np.floor(256 * np.sqrt(counts.astype(np.float64))).astype(np.int64)
    middle = 2 * np.cumsum(roots) - roots
    level: Ints = np.minimum(middle * levels // max(2 * int(roots.sum()), 1), levels - 1)
    return level


def _prior(rows: Ints) -> Ints:
    overall = 2 * rows.sum(0) + 1
    prior: Ints = np.maximum(overall * (_PRIOR * _PRIOR_SCALE) // overall.sum(), 1)
    return prior


def _mean_tokens(rows: Ints) -> Ints:
    means: Ints = (rows @ np.arange(TOKENS)) * 1024 // rows.sum(1)
    return means


def _initial_groups(rows: Ints, most: int) -> Ints:
    """Groups of about equal weight along the mean token."""
    order = np.argsort(_mean_tokens(rows), kind="stable")
    groups = np.empty(len(rows), np.int64)
    groups[order] = even_levels(rows.sum(1)[order], most)
    return groups


def _sums(rows: Ints, assigned: Ints, most: int) -> Ints:
    sums = np.zeros((most, rows.shape[1]), np.int64)
    np.add.at(sums, assigned, rows)
    return sums


def _logarithms(tables: Ints) -> Ints:
    """Frequencies in eighths of an octave, 0 standing for one in 2^10."""
    relative = log2(tables) - log2(tables.sum(1))[:, None] + TOKEN_BITS * _LOG_ONE
    codes: Ints = np.clip((8 * relative + _LOG_ONE // 2) // _LOG_ONE, 0, MAX_LOG_FREQUENCY)
    return codes
