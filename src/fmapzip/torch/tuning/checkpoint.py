"""Checkpoints: files that say of what they are, so that nothing else goes on from them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fmapzip.atomic import replacing
from fmapzip.errors import InvalidInput
from fmapzip.torch.inputs import map_tensors
from fmapzip.torch.network_hash import network_hash
from fmapzip.torch.tuning.tap import TunedTap
from fmapzip.tune_settings import TuneSettings


class Checkpoint:
    """A file that keeps what every epoch reached, if there is to be one.

    Parameters
    ----------
    file : Path, optional
    identity : str
        Of all that the result depends on, as :func:`identity_of` gives it.

    Attributes
    ----------
    file : Path or None
    """

    def __init__(self, file: Path | None, identity: str) -> None:
        self.file, self._identity = file, identity

    def read(self) -> dict[str, Any] | None:
        """Return what was written, if anything was.

        Raises
        ------
        InvalidInput
            It is no checkpoint, or one of something else.
        """
        if self.file is None or not self.file.exists():
            return None
        try:
            found: dict[str, Any] = torch.load(self.file, map_location="cpu", weights_only=True)
            identity = found["identity"]
        except Exception as error:
            raise InvalidInput(f"{self.file}: not a checkpoint of tuning: {error}") from error
        if identity != self._identity:
            raise InvalidInput(f"{self.file}: a checkpoint of another network, of other images or settings")
        return found

    def write(self, content: dict[str, Any]) -> None:
        """Replace the file, whole or not at all; tensors are written from CPU memory."""
        if self.file is not None:
            with replacing(self.file) as file:
                try:
                    torch.save({"identity": self._identity, **map_tensors(Tensor.cpu, content)}, file)
                except RuntimeError as error:  # as PyTorch tells it where a disk is full
                    raise InvalidInput(f"{self.file}: cannot be written: {str(error).splitlines()[0]}") from error


def identity_of(
    network: nn.Module, taps: list[TunedTap], settings: TuneSettings, how: tuple[Any, ...], images: str
) -> str:
    """Return the name of what is tuned, how, and on which images; more epochs and more time have the same."""
    shown = {**asdict(settings), "epochs": 0, "time_limit": None}
    codecs = [[tap.tap.name, tap.meant.config(), tap.quantizer.to_json()] for tap in taps]
    digest = hashlib.sha256(json.dumps([shown, codecs, how, images]).encode())
    digest.update(network_hash(network).encode())
    return digest.hexdigest()
