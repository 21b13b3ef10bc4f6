"""What measurements belong to: network, images, settings and versions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from fmapzip.planner.measure.images import Images
from fmapzip.torch.calibrate import Calibration
from fmapzip.torch.network_hash import network_hash


def fingerprint(
    model: nn.Module, images: Sequence[Images], calibration: Calibration, measured_in: str, seed: int
) -> dict[str, Any]:
    """Return all that measured figures depend on, by name; budgets and codecs to choose from are not among it.

    `measured_in` says what distortion is measured in.
    """
    digest = hashlib.sha256()
    for group in images:
        for leaf in pytree.tree_leaves(group.batches):
            if isinstance(leaf, Tensor):
                digest.update(_bytes(leaf))
    taps = [[tap.name, tap.shape] for tap in calibration.taps]
    quantizers = [quantizer.to_json() for quantizer in calibration.quantizers]
    return {
        "versions": {name: version(name) for name in ("fmapzip", "torch", "numpy")},
        "network": network_hash(model),
        "images": digest.hexdigest(),
        "calibration": hashlib.sha256(json.dumps([taps, quantizers]).encode()).hexdigest(),
        "distortion": measured_in,
        "seed": seed,
    }


def _bytes(value: Tensor) -> bytes:
    return value.detach().to("cpu").contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
