"""The demo's network: a small residual CNN for 1 x 32 x 32 images of ten classes."""

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("weights.safetensors")


class Block(nn.Module):
    """A basic residual block; the shortcut is a 1 x 1 convolution where the shape changes."""

    def __init__(self, inp: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inp, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
        same = stride == 1 and inp == out
        self.shortcut = nn.Identity() if same else nn.Conv2d(inp, out, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, inp, H, W]`` to ``[N, out, H / stride, W / stride]``."""
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class DigitNet(nn.Module):
    """Stem and three residual stages of 16, 32 and 64 channels; 77 thousand parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.stages = nn.Sequential(Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, 1, 32, 32]`` to class scores ``[N, 10]``."""
        scores: Tensor = self.classifier(self.pool(self.stages(self.stem(x))).flatten(1))
        return scores


def network() -> nn.Module:
    """The trained network, in eval mode; its weights lie beside this file.

    Returns
    -------
    torch.nn.Module
        Maps ``float32 [N, 1, 32, 32]`` (see `fmapzip.demo.digits.normalise`) to scores ``[N, 10]``.

    Examples
    --------
    >>> import torch
    >>> network()(torch.zeros(2, 1, 32, 32)).shape
    torch.Size([2, 10])
    """
    from safetensors.torch import load_file

    net = DigitNet()
    net.load_state_dict(load_file(str(WEIGHTS)))
    return net.eval()
