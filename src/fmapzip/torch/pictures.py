"""Pictures of feature maps for reports: a few channels of a few maps along the depth, of one image."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from fmapzip.torch.capture import Tap
from fmapzip.torch.inputs import Inputs

MAPS = 5  # along the depth
_CHANNELS = 4  # of each map, in two rows
_SIDE = 64  # pixels of a channel at most
_INPUT_SIDE = 160
_GAP = 2

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class MapPicture:
    """One feature map of one image, as the 8-bit network and as each codec handed it on.

    Parameters
    ----------
    tap : int
        Its place among the taps.
    channels : tuple of int
        Which channels are shown: of the largest energy, and at three quarters, half and a quarter of the order.
    reference : str
        The 8-bit network's map, as a ``data:`` address of a PNG.
    decoded : tuple of str
        The map as each codec decoded it, in the codecs' order.
    difference : tuple of (str or None)
        Decoded less reference, blue below and red above zero; None where they are equal.
    largest : tuple of float
        The largest difference that is shown, as a share of the largest value of the reference's channels.
    """

    tap: int
    channels: tuple[int, ...]
    reference: str
    decoded: tuple[str, ...]
    difference: tuple[str | None, ...]
    largest: tuple[float, ...]


@dataclass(frozen=True)
class Pictures:
    """What the first image looks like: the network's input where it has 1 or 3 channels, and some of its maps."""

    input: str | None
    maps: tuple[MapPicture, ...]


class Watch:
    """Does what an action does, and keeps the first sample that it handed on."""

    def __init__(self, action: Callable[[Tensor], Tensor], tap: Tap) -> None:
        self._action, self._tap = action, tap
        self.seen: Floats | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """Return what the action returns."""
        found = self._action(x)
        if self.seen is None and found.shape[0]:
            self.seen = found[0].detach().movedim(self._tap.axis - 1, 0).float().cpu().numpy().copy()
        return found


def watched(taps: Sequence[Tap]) -> list[int]:
    """Places of the maps that are shown: those with two dimensions beside the channels, evenly along the depth."""
    seen = [place for place, tap in enumerate(taps) if len(tap.shape) == 3 and min(tap.shape[1:]) > 1]
    if len(seen) <= MAPS:
        return seen
    return [seen[round(step * (len(seen) - 1) / (MAPS - 1))] for step in range(MAPS)]


def picture(place: int, reference: Floats, decoded: Sequence[Floats]) -> MapPicture:
    """Draw one map: `reference` and `decoded` are [C, H, W]."""
    channels = _channels(reference)
    shown = reference[channels]
    peak = float(np.abs(shown).max()) or 1.0
    errors = [found[channels] - shown for found in decoded]
    largest = [float(np.abs(error).max()) for error in errors]
    return MapPicture(
        tap=place,
        channels=tuple(channels),
        reference=_png(_grey(shown, peak)),
        decoded=tuple(_png(_grey(found[channels], peak)) for found in decoded),
        difference=tuple(_png(_signed(e, m)) if m else None for e, m in zip(errors, largest, strict=True)),
        largest=tuple(m / peak for m in largest),
    )


def input_picture(inputs: Inputs) -> str | None:
    """The first sample of a batch [N, C, H, W], its values spread over the range; None unless C is 1 or 3."""
    if not isinstance(inputs, Tensor) or inputs.dim() != 4 or inputs.shape[1] not in (1, 3):
        return None
    values = inputs[0].detach().float().cpu().numpy()
    low, high = float(values.min()), float(values.max())
    pixels = np.moveaxis((values - low) * (255 / ((high - low) or 1.0)), 0, -1).astype(np.uint8)
    drawn = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    drawn.thumbnail((_INPUT_SIDE, _INPUT_SIDE))
    return _address(drawn)


def _channels(values: Floats) -> list[int]:
    """Channels from the most to a less energetic one; all where there are few."""
    order = np.argsort(-np.square(values).sum(axis=(1, 2)), kind="stable")
    step = max(1.0, len(order) / _CHANNELS)
    return [int(order[int(i * step)]) for i in range(min(_CHANNELS, len(order)))]


def _grey(values: Floats, peak: float) -> NDArray[np.uint8]:
    """[C, H, W] as RGB pixels: the root of a share of the peak, since most values are small. Grey is zero if signed."""
    share = np.sign(values) * np.sqrt(np.minimum(np.abs(values) / peak, 1))
    grey = 255 * share if values.min() >= 0 else 127.5 + 127.5 * share
    return np.repeat(grey[..., None], 3, axis=-1).astype(np.uint8)


def _signed(values: Floats, peak: float) -> NDArray[np.uint8]:
    """[C, H, W] as RGB pixels: white is zero, blue below and red above."""
    share = np.clip(values / peak, -1, 1)
    fade = 255 * (1 - np.sqrt(np.abs(share)))
    full = np.full_like(fade, 255)
    red = np.where(share < 0, fade, full)
    blue = np.where(share > 0, fade, full)
    return np.stack([red, fade, blue], axis=-1).astype(np.uint8)


def _png(pixels: NDArray[np.uint8]) -> str:
    """Channels [C, H, W, 3] in two rows as one PNG, with transparent gaps."""
    tiles = [_scaled(Image.fromarray(tile)) for tile in pixels]
    wide, tall = tiles[0].size
    columns = (len(tiles) + 1) // 2
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGBA", (columns * (wide + _GAP) - _GAP, rows * (tall + _GAP) - _GAP))
    for i, tile in enumerate(tiles):
        sheet.paste(tile, ((i % columns) * (wide + _GAP), (i // columns) * (tall + _GAP)))
    return _address(sheet)


def _scaled(tile: Image.Image) -> Image.Image:
    """Large maps are averaged down; small ones keep their values as whole squares of pixels."""
    longest = max(tile.size)
    if longest > _SIDE:
        size = (max(1, tile.width * _SIDE // longest), max(1, tile.height * _SIDE // longest))
        return tile.resize(size, Image.Resampling.BOX)
    times = _SIDE // longest
    return tile.resize((tile.width * times, tile.height * times), Image.Resampling.NEAREST)


def _address(drawn: Image.Image) -> str:
    file = io.BytesIO()
    drawn.save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
