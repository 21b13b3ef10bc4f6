"""Distorted copies through the complete ResNet-50 with stored maps: embeddings, and which of them find their image.

Each image of the protocol's reported ones is embedded as it is and by every distortion, through the network as shipped
and with each plan: the same queries, so that differences are paired. Embeddings are kept image by image: a run that was
stopped goes on. Where a codec's decoded values hang on each value alone (`context-rans`), they are looked up; that the
network gives the same then as with real frames is held on the first image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import fmapzip
from fmapzip.eval.dataset import Dataset
from fmapzip.eval.distortions import Distortion, distortions
from fmapzip.eval.preprocess import Preprocessing
from fmapzip.plan import TapPlan
from fmapzip.torch.actions import Store
from fmapzip.torch.calibrate import running
from fmapzip.torch.capture import Captured, Tap, capture
from fmapzip.torch.inputs import call
from fmapzip.torch.outputs import output_tensor
from fmapzip.torch.slot import Action

SETS = ("all", "harder")

Embeddings = NDArray[np.float32]
Values = dict[str, Any]


def ways() -> dict[str, Distortion | None]:
    """What is done to an image, by name; first nothing."""
    found: dict[str, Distortion | None] = {"as it is": None}
    for which in SETS:
        found |= distortions(which)
    return found


@dataclass(frozen=True)
class Copies:
    """The images whose copies are looked for, and where their embeddings are kept."""

    model: torch.nn.Module
    images: Dataset
    preprocessing: Preprocessing
    folder: Path

    def embeddings(self, name: str, plan: fmapzip.Plan | None) -> Embeddings:
        """Return the embeddings by a plan, or as shipped, [images, ways, values], at length 1."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        captured = capture(self.model, self._copy(0, None))
        quick: dict[str, Action] = {}
        if plan is not None:
            quick = {tap.name: looked_up(tap, plan) for tap in captured.taps}
            self._hold(captured, {tap.name: Store(tap, plan, 1) for tap in captured.taps}, quick)
        files = [folder / f"{i}.npy" for i in range(len(self.images))]
        with torch.inference_mode(), running(captured, quick):
            for i, file in enumerate(files):
                if not file.exists():
                    made = [embedded(captured, self._copy(i, way)) for way in ways().values()]
                    np.save(file, np.stack(made))
        return np.stack([np.load(file) for file in files])

    def _hold(self, captured: Captured, exact: Mapping[str, Action], quick: Mapping[str, Action]) -> None:
        """Check that looking values up changes nothing."""
        image = self._copy(0, distortions("dark-blur")["dark-blur"])
        found = []
        for actions in (exact, quick):
            with torch.inference_mode(), running(captured, actions):
                found.append(embedded(captured, image))
        if not np.array_equal(*found):
            raise SystemExit("values that are looked up are not those of the frames")

    def _copy(self, i: int, way: Distortion | None) -> torch.Tensor:
        assert self.images.read_by is not None
        return torch.from_numpy(self.images.read_by(i, replace(self.preprocessing, distortion=way)))[None]


def looked_up(tap: Tap, plan: fmapzip.Plan) -> Action:
    """What stores a map, or the same without bytes where each value's fate hangs on it alone."""
    planned = plan[tap.name]
    if planned.codec.id != "context-rans":
        return Store(tap, plan, 1)
    return _Lookup(tap, planned, _fates(planned, plan))


@dataclass(frozen=True)
class _Lookup:
    tap: Tap
    planned: TapPlan
    fates: NDArray[np.float32]

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        quantizer = self.planned.quantizer
        low, high = quantizer.limits
        shape = [-1 if axis == self.tap.axis else 1 for axis in range(x.ndim)]
        scale = torch.tensor(quantizer.scale, dtype=torch.float32)
        scale = scale.reshape(shape) if len(scale) > 1 else scale
        q = torch.clamp(torch.round(x.detach() / scale) + quantizer.zero, low, high)
        places = q.to(torch.int8 if low < 0 else torch.uint8).numpy().view(np.uint8)
        return torch.from_numpy(self.fates.take(places)).mul_(scale).to(x.dtype)


def _fates(planned: TapPlan, plan: fmapzip.Plan) -> NDArray[np.float32]:
    """What each integer, as a byte, is read back as, counted from the zero point: by one frame of all of them."""
    quantizer = planned.quantizer
    integers = np.arange(quantizer.limits[0], quantizer.limits[1] + 1)
    maps = np.full(int(np.prod(planned.shape)), quantizer.zero, quantizer.dtype)
    maps[: len(integers)] = integers  # among zeros: a frame that saves nothing would be raw, and exact
    maps = maps.reshape(1, *planned.shape)
    frames = fmapzip.encode_batch(maps, plan=plan, tap=planned.name)
    decoded = fmapzip.decode_batch(frames, plan=plan)
    found = np.zeros(256, np.float32)
    found[maps.reshape(-1)[: len(integers)].view(np.uint8)] = decoded.reshape(-1)[: len(integers)]
    return np.asarray(found - np.float32(quantizer.zero), np.float32)


def embedded(captured: Captured, image: torch.Tensor) -> Embeddings:
    """The embedding of one image, at length 1."""
    found = output_tensor(call(captured.module, image))[0].numpy()
    return np.asarray(found / np.linalg.norm(found), np.float32)


def judged(copies: Embeddings, gallery: Embeddings, wanted: Sequence[int], shipped: Embeddings) -> Values:
    """Say which copies found their image, and how near embeddings stay to those as shipped.

    Parameters
    ----------
    copies : float32 array [images, ways, values]
    gallery : float32 array [G, values]
    wanted : sequence of int
        Each image's row in the gallery.
    shipped : float32 array
        As `copies`, of the network as shipped.

    Returns
    -------
    dict
        By the name of the way: the mean cosine to shipped, and for each image 1 where its copy found it, else 0.
    """
    nearest = (copies @ gallery.T).argmax(-1)
    hits = nearest == np.asarray(wanted)[:, None]
    cosines = (copies * shipped).sum(-1)
    rows = list(enumerate(ways()))
    return {
        "images": len(copies),
        "cosine": {name: float(cosines[:, i].mean()) for i, name in rows},
        "hits": {name: "".join("01"[int(hit)] for hit in hits[:, i]) for i, name in rows if i},
    }
