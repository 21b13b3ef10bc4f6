"""The code lengths of ``context-rans``: bits of each index in each of its contexts, from its parameters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fmapzip.codecs.context_rans_parameters import TOKEN_BITS, ZERO_BITS, ZERO_PROBABILITIES, ContextParameters
from fmapzip.zero_point import SIGNED

_MANTISSAS = np.array([64, 70, 76, 83, 91, 99, 108, 117], np.int64)
_BYTES = 256


def code_lengths(parameters: ContextParameters) -> NDArray[np.float32]:
    """Return the bits of each index, a row for each cell (or channel, without neighbours).

    Columns are the bytes of the indices in the order of their values: 0 to 255, or -128 to 127 where maps are signed.
    """
    tables = np.stack(
        [_token_bits(*each) for each in zip(parameters.raw_bits, parameters.log_frequencies, strict=True)]
    )
    p = np.array(ZERO_PROBABILITIES, np.float64)[parameters.zero_class_of]
    bits = tables[parameters.table_of]
    bits += ZERO_BITS - np.log2((1 << ZERO_BITS) - p)[:, None]
    bits[:, 0] = ZERO_BITS - np.log2(p)
    ordered = np.roll(bits, _BYTES // 2, axis=1) if parameters.below == SIGNED else bits
    return ordered.astype(np.float32)


def _token_bits(raw_bits: NDArray[np.int64], log_frequencies: NDArray[np.int64]) -> NDArray[np.float64]:
    """Bits of the bytes 1 to 255 by one table; that of 0 is not used."""
    weights = _MANTISSAS[log_frequencies % 8] << (log_frequencies // 8)
    frequencies = np.maximum(1, (weights << TOKEN_BITS) // weights.sum())
    frequencies[frequencies.argmax()] += (1 << TOKEN_BITS) - frequencies.sum()
    each = TOKEN_BITS - np.log2(frequencies) + raw_bits
    runs = np.repeat(each, 1 << raw_bits)[: _BYTES - 1]
    return np.concatenate([[0.0], runs])
