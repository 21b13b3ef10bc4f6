"""Token tables and zero classes from counts: cells with alike distributions share a table.

All in integers, so that the same counts give the same tables on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fmapzip.codecs.context_rans_parameters import (
    MAX_LOG_FREQUENCY,
    TOKEN_BITS,
    TOKENS,
    ZERO_BITS,
    ZERO_PROBABILITIES,
    Ints,
)
from fmapzip.codecs.context_rans_runs import fit_runs, log2

_ROUNDS = 12
_PRIOR = 4  # values' worth of the overall distribution that is added to each table
_PRIOR_SCALE = 1 << 12  # counts are scaled by this, so that a prior can be a fraction of one
_LOG_ONE = 1 << 16
_CLASSES = 32


@dataclass(frozen=True)
class TokenTables:
    """Runs and frequencies of tables, [tables, 16] each."""

    raw_bits: Ints
    log_frequencies: Ints


def flat_table() -> TokenTables:
    """One table of runs of 16 values, all as frequent."""
    return TokenTables(np.full((1, TOKENS), 4), np.full((1, TOKENS), MAX_LOG_FREQUENCY // 2))


def fit_tables(counts: Ints, most: int, *, signed: bool) -> tuple[Ints, TokenTables]:
    """Group the rows of counts [cells, 255] of the bytes 1 to 255 into at most `most` tables.

    By code length (k-means with KL), for which values of about the same magnitude count as one. Returns the table of
    each row, -1 where it has no counts, and the tables in ascending order of their mean value.
    """
    result = np.full(len(counts), -1, np.int64)
    seen = np.flatnonzero(counts.sum(1))
    if not len(seen):
        return result, flat_table()
    assigned = _groups(_in_classes(counts[seen], signed), most)
    result[seen] = assigned
    tables = _sums(counts[seen], assigned, int(assigned.max()) + 1)
    raw_bits, weights = fit_runs(tables * _PRIOR_SCALE + _prior(counts))
    return result, TokenTables(raw_bits, _logarithms(weights))


def fit_zero_classes(zeros: Ints, others: Ints) -> Ints:
    """The class of zero probability that costs the fewest bits for each cell; -1 for cells without counts."""
    p = np.array(ZERO_PROBABILITIES, np.int64)
    zero_cost, other_cost = ZERO_BITS * _LOG_ONE - log2(p), ZERO_BITS * _LOG_ONE - log2((1 << ZERO_BITS) - p)
    cost = (5 * zeros[:, None] + 1) * zero_cost + (5 * others[:, None] + 1) * other_cost
    return np.where(zeros + others > 0, cost.argmin(1), -1)


def fit_zero_corrections(counts: Ints) -> Ints:
    """What is added to predicted zero numbers in each cell, 32 for nothing, from counts [cells, numbers, 2]."""
    p = np.array(ZERO_PROBABILITIES, np.int64)
    costs = ZERO_BITS * _LOG_ONE - log2(np.stack([p, (1 << ZERO_BITS) - p], 1))
    classes = len(p)
    totals = []
    for correction in range(classes):
        class_of = np.clip(np.arange(counts.shape[1]) + correction - classes, 0, classes - 1)
        totals.append((counts * costs[class_of]).sum((1, 2)))
    cost = np.stack(totals, 1)
    unseen = counts.sum((1, 2)) == 0
    found: Ints = np.where(unseen, classes // 2, cost.argmin(1))
    return found


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


def _in_classes(counts: Ints, signed: bool) -> Ints:
    """Counts of 32 classes of values, finer for small magnitudes, in the order of the values."""
    repeats = np.array([12, 4, 4, 4, 4, 4]) // (2 if signed else 1)
    ends = np.cumsum(np.repeat([1, 2, 4, 8, 16, 32], repeats))
    byte = np.arange(1, 256)
    magnitude = np.where(byte < 128, byte, 256 - byte) if signed else byte
    class_of = np.searchsorted(ends, magnitude)
    if signed:
        class_of = np.where(byte < 128, len(ends) + class_of, len(ends) - 1 - class_of)
    return _sums(counts.T, class_of, _CLASSES).T


def _groups(rows: Ints, most: int) -> Ints:
    """The group of each row of class counts, numbered in ascending order of their mean class."""
    prior = _prior(rows)
    assigned = _initial_groups(rows, most)
    for _ in range(_ROUNDS):
        sums = _sums(rows, assigned, most) * _PRIOR_SCALE + prior
        moved = (rows @ (log2(sums.sum(1))[:, None] - log2(sums)).T).argmin(1)
        if (moved == assigned).all():
            break
        assigned = moved
    groups = _sums(rows, assigned, most)
    used = np.flatnonzero(groups.sum(1))
    used = used[np.argsort(_mean_classes(groups[used]), kind="stable")]
    rank = np.zeros(most, np.int64)
    rank[used] = np.arange(len(used))
    return rank[assigned]


def _mean_classes(rows: Ints) -> Ints:
    means: Ints = (rows @ np.arange(_CLASSES)) * 1024 // rows.sum(1)
    return means


def _initial_groups(rows: Ints, most: int) -> Ints:
    """Groups of about equal weight along the mean class."""
    order = np.argsort(_mean_classes(rows), kind="stable")
    groups = np.empty(len(rows), np.int64)
    groups[order] = even_levels(rows.sum(1)[order], most)
    return groups


def _sums(rows: Ints, assigned: Ints, most: int) -> Ints:
    sums = np.zeros((most, rows.shape[1]), np.int64)
    np.add.at(sums, assigned, rows)
    return sums


def _logarithms(tables: Ints) -> Ints:
    """Frequencies in eighths of an octave, 0 standing for one in 2^8."""
    relative = log2(tables) - log2(tables.sum(1))[:, None] + TOKEN_BITS * _LOG_ONE
    codes: Ints = np.clip((8 * relative + _LOG_ONE // 2) // _LOG_ONE, 0, MAX_LOG_FREQUENCY)
    return codes
