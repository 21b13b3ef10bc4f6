"""What measurements belong to: network, images, settings and versions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib.metadata import version

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from fmapzip.planner.measure.images import Images
from fmapzip.torch.calibrate import Calibration
from fmapzip.torch.network_hash import network_hash


def fingerprint(
    model: nn.Module, images: Sequence[Images], calibration: Calibration, measured_in: str, seed: int
) -> str:
    """Return a hash of all that measured figures depend on; budgets and codecs to choose from are not among it.

    `measured_in` says what distortion is measured in.
    """
    digest = hashlib.sha256()
    quantizers = [quantizer.to_json() for quantizer in calibration.quantizers]
    taps = [[tap.name, tap.shape] for tap in calibration.taps]
    settings = [version("fmapzip"), torch.__version__, measured_in, seed, taps, quantizers]
    digest.update(json.dumps(settings).encode())
    digest.update(network_hash(model).encode())
    for group in images:
        for leaf in pytree.tree_leaves(group.batches):
            if isinstance(leaf, Tensor):
                digest.update(_bytes(leaf))
    return digest.hexdigest()


def _bytes(value: Tensor) -> bytes:
    return value.detach().to("cpu").contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
