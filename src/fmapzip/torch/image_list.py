"""Detectors that take a list of images, as networks that take a batch."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class TakesImageList(nn.Module):
    """Hands the images of a batch to a network that wants them as a list.

    Parameters
    ----------
    detector : nn.Module
        Its ``forward`` takes a list of images ``[C, H, W]``, as torchvision's detectors do.

    Examples
    --------
    >>> import torch
    >>> class Detector(nn.Module):
    ...     def forward(self, images):
    ...         return [{"scores": image.mean((1, 2))} for image in images]
    >>> [found["scores"].shape for found in TakesImageList(Detector())(torch.zeros(2, 3, 8, 8))]
    [torch.Size([3]), torch.Size([3])]
    """

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor) -> Any:
        """Return what the detector gives."""
        return self.detector(list(images))
