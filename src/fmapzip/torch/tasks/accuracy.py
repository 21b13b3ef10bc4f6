"""How often the class is among the best."""

from __future__ import annotations

from typing import Any

from fmapzip.errors import InvalidInput
from fmapzip.torch.outputs import output_tensor
from fmapzip.torch.tasks.metric import Mean


class Accuracy(Mean):
    """Percent of images whose class is among the `best` largest scores.

    Parameters
    ----------
    best : int

    Examples
    --------
    >>> import torch
    >>> top1 = Accuracy(1)
    >>> top1.figures([top1.image(torch.tensor([0.1, 0.9]), target) for target in (1, 1, 0, 1)])
    {'top1': 75.0}
    """

    def __init__(self, best: int) -> None:
        self.name, self._best = f"top{best}", best

    def image(self, output: Any, target: Any) -> dict[str, float]:
        """Return 100 for a hit."""
        scores = output_tensor(output).flatten()
        if not isinstance(target, int) or not 0 <= target < len(scores):
            raise InvalidInput(
                f"--metric {self.name} needs one of {len(scores)} class indexes an image, not {target!r}"
            )
        best = scores.topk(min(self._best, len(scores))).indices.tolist()
        return {self.name: 100.0 * (target in best)}
