"""Whether a distorted copy is found again among all images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fmapzip.errors import InvalidInput
from fmapzip.torch.outputs import output_tensor
from fmapzip.torch.tasks.metric import Mean


class RecallAt1(Mean):
    """Percent of distorted copies whose nearest image, by the cosine of embeddings, is the one that they are of.

    Every image is in the gallery. Of what counts, an image is one unit: the share of its copies that found it.

    Parameters
    ----------
    copies : str
        Which copies there are: ``easy`` (crop, JPEG, rotation, darker, flip), ``hard``, ``all``, or names.
    gallery : str, optional
        Data whose images stand in the gallery too.
    """

    name = "recall_at_1"

    def __init__(self, copies: str = "easy", gallery: str | None = None) -> None:
        self.copies, self.gallery = copies, gallery

    def image(self, output: Any, target: Any) -> tuple[str, str | None, Any]:
        """Return the embedding, of length 1."""
        if not isinstance(target, Mapping) or "copy" not in target:
            raise InvalidInput("--metric recall_at_1 needs targets that say which image a row is of: image, copy")
        vector = output_tensor(output).double().flatten().numpy()
        return target["image"], target["copy"], vector / (np.linalg.norm(vector) or 1.0)

    def units(self, kept: Sequence[Any]) -> Sequence[Mapping[str, float]]:
        """Return for each image how many of its copies found it."""
        gallery = {image: vector for image, copy, vector in kept if copy is None}
        queries = [(image, vector) for image, copy, vector in kept if copy is not None and image in gallery]
        if not queries:
            return []
        names, table = list(gallery), np.stack(list(gallery.values()))
        hits: dict[str, list[float]] = {}
        for image, vector in queries:
            hits.setdefault(image, []).append(100.0 * (names[int((table @ vector).argmax())] == image))
        return [{"recall@1": float(np.mean(found))} for found in hits.values()]
