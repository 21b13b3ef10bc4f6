"""A factor model of the residuals that neighbours leave: channels of one position share causes.

Bartholomew, "Latent Variable Models and Factor Analysis", 1987; fitted by EM after Rubin and Thayer, 1982.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_ROUNDS = 40
_LEAST_NOISE = 0.02  # share of a channel's variance that stays its own

Floats = NDArray[np.float64]


def factor_model(covariance: Floats, rank: int) -> tuple[Floats, Floats]:
    """Loadings [C, rank] and the channels' own variances."""
    variance = np.diag(covariance) + 1e-6
    deviation = np.sqrt(variance)
    values, vectors = np.linalg.eigh(covariance / np.outer(deviation, deviation))
    values, vectors = values[::-1][:rank], vectors[:, ::-1][:, :rank]
    loadings = deviation[:, None] * vectors * np.sqrt(np.maximum(values - 0.5, 0.05))
    noise = np.maximum(variance - (loadings**2).sum(1), _LEAST_NOISE * variance)
    for _ in range(_ROUNDS):
        weighted = loadings / noise[:, None]
        posterior = np.linalg.inv(np.eye(rank) + loadings.T @ weighted)
        crossed = covariance @ weighted @ posterior
        second = posterior + posterior @ weighted.T @ crossed
        loadings = crossed @ np.linalg.inv(second)
        noise = np.maximum(variance - (loadings * crossed).sum(1), _LEAST_NOISE * variance)
    return loadings, noise
