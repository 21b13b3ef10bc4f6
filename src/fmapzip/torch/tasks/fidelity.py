"""How near an image is to the one it should be."""

from __future__ import annotations

from math import log10
from typing import Any

import numpy as np
import torch

from fmapzip.errors import InvalidInput
from fmapzip.torch.outputs import output_tensor
from fmapzip.torch.tasks.metric import Mean

MOST = 100.0


class Psnr(Mean):
    """Peak signal-to-noise ratio in dB, mean over images; 100 where nothing differs.

    Parameters
    ----------
    peak : float
        The largest value; what an output has beyond 0 and it is cut off.

    Examples
    --------
    >>> round(Psnr().image(torch.full((3, 4, 4), 0.5), np.full((3, 4, 4), 0.6))["PSNR"], 2)
    20.0
    """

    name = "psnr"

    def __init__(self, peak: float = 1.0) -> None:
        if peak <= 0:
            raise InvalidInput(f"metric psnr: a peak of {peak} is not above 0")
        self._peak = peak

    def image(self, output: Any, target: Any) -> dict[str, float]:
        """Return the ratio."""
        found, wanted = output_tensor(output).double(), torch.as_tensor(np.asarray(target)).double()
        if found.shape != wanted.shape:
            raise InvalidInput(
                f"--metric psnr: the output is {list(found.shape)}, the target {list(wanted.shape)}; "
                "data for it has a folder targets/ beside images/"
            )
        error = float((found.clamp(0, self._peak) - wanted).square().mean())
        return {"PSNR": min(MOST, 10 * log10(self._peak**2 / error)) if error else MOST}
