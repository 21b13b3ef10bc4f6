"""From an image to what a network reads: one declaration, and the one place that carries it out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fmapzip.arrays import read_npy
from fmapzip.errors import InvalidInput
from fmapzip.eval.image_files import MAX_ASPECT, check_size, image_of_bytes, open_image, require_pillow

if TYPE_CHECKING:
    from PIL import Image

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
FILL = 114
"""Grey level of what a letterbox adds."""

Pixels = NDArray[np.float32]
"""One sample as the network reads it: ``float32 [C, H, W]``, or [C, T, H, W] of a clip."""
Channels = Literal["rgb", "bgr", "grey"]
Interpolation = Literal["bilinear", "bicubic", "nearest", "lanczos", "box", "linear"]
INTERPOLATIONS: tuple[str, ...] = get_args(Interpolation)
Size = tuple[int, int]
"""Height, width."""
UNKNOWN_CLASS = 255


@dataclass(frozen=True)
class Frame:
    """From an image's coordinates (across, down) to those of what the network reads: times `scale`, plus `offset`."""

    scale: tuple[float, float]
    offset: tuple[float, float]


@dataclass(frozen=True)
class Preprocessing:
    """What happens to an image before the network reads it, in this order.

    Attributes
    ----------
    name
        Whose protocol it is: ``imagenet``, ``timm:resnet18``, ``file.py:function``, ...
    channels
        ``rgb``, ``bgr`` or ``grey`` (one channel, by the luma of ITU-R 601).
    resize
        The shorter side, or exactly this height and width; None: the image's own size.
    crop
        Height and width of the centre that is kept; None: all of it.
    letterbox
        Height and width that the image is scaled to fit, padded with 114 at the right and the bottom; None: not.
    interpolation
        Pillow's filters, which average where they scale down; ``linear`` is bilinear without that, as OpenCV's.
    range
        What the pixels 0 and 255 become.
    mean, std
        Subtracted, then divided by, after that: one number a channel, in the network's order; None: not.
    function
        Instead of all that, from an image of Pillow's (RGB) to ``[C, H, W]``.
    distortion
        What is done to an image before everything else, to make a copy that is to be found again.
    """

    name: str
    channels: Channels = "rgb"
    resize: int | Size | None = None
    crop: Size | None = None
    letterbox: Size | None = None
    interpolation: Interpolation = "bilinear"
    range: tuple[float, float] = (0.0, 1.0)
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    function: Callable[[Any], Any] | None = None
    distortion: Callable[[Any], Any] | None = None

    def __post_init__(self) -> None:
        planes = 1 if self.channels == "grey" else 3
        for what, values in (("mean", self.mean), ("std", self.std)):
            if values is not None and len(values) not in (1, planes):
                raise InvalidInput(f"{what}: {len(values)} numbers for {planes} channels of {self.channels}")
        if self.std is not None and not all(value > 0 for value in self.std):
            raise InvalidInput("std: deviations must be above 0")
        if self.letterbox is not None and (self.resize is not None or self.crop is not None):
            raise InvalidInput("a letterbox scales images itself: leave resizing and cropping out")

    def read(self, path: Path) -> Pixels:
        """The image or the ``.npy`` array in a file.

        Floats ``[C, H, W]`` are what the network reads, as they are; 8-bit integers are an image.

        Raises
        ------
        InvalidInput
            The file is no image, is damaged or too large, or the user's function failed on it.
        MissingExtra
            Pillow is not installed.
        """
        if path.suffix.lower() == ".npy":
            return self.of_array(read_npy(path), path)
        require_pillow()
        return self.of_image(open_image(path, self._max_aspect), path)

    def of_bytes(self, data: bytes, name: str) -> Pixels:
        """The image whose file's bytes are given; errors as in `read`, with `name`."""
        require_pillow()
        return self.of_image(image_of_bytes(data, name, self._max_aspect), name)

    def of_array(self, values: NDArray[Any], name: object) -> Pixels:
        """A sample from an array: floats as they are, 8-bit integers as an image (H, W, and C last or first).

        Parameters
        ----------
        values
            Of one sample.
        name
            For errors.
        """
        if values.dtype.kind == "f" and values.ndim in (3, 4):
            if self.distortion is not None:
                raise InvalidInput(f"{name}: floats that a network reads are no image to make a copy of")
            return np.ascontiguousarray(values, np.float32)
        if values.dtype != np.uint8 or values.ndim not in (2, 3):
            raise InvalidInput(
                f"{name}: expected floats [C, H, W] or an image of 8 bits, found {values.dtype} {list(values.shape)}"
            )
        if values.ndim == 3 and values.shape[2] not in (1, 3) and values.shape[0] in (1, 3):
            values = values.transpose(1, 2, 0)
        if values.ndim == 3 and values.shape[2] == 1:
            values = values[..., 0]
        if values.ndim == 3 and values.shape[2] != 3:
            raise InvalidInput(f"{name}: an image has 1 or 3 channels, found {list(values.shape)}")
        require_pillow()
        from PIL import Image

        check_size(name, (values.shape[1], values.shape[0]), self._max_aspect)
        return self.of_image(Image.fromarray(np.ascontiguousarray(values)).convert("RGB"), name)

    def of_mask(self, mask: Image.Image, name: object) -> NDArray[np.int64]:
        """Class indexes [H, W] in the frame that the image is brought to; what a letterbox adds is 255.

        Raises
        ------
        InvalidInput
            The preprocessing is a function: nothing is known of its frame.
        """
        if self.function is not None:
            raise InvalidInput(f"{name}: --preprocess {self.name} is a function, which masks cannot go through")
        framed = replace(self, interpolation="nearest")._framed(mask, name, fill=UNKNOWN_CLASS)
        return np.asarray(framed).astype(np.int64)

    def frame(self, size: Size) -> Frame | None:
        """Where an image of that height and width comes to lie; None where a function does it."""
        if self.function is not None:
            return None
        height, width = size
        if self.letterbox is not None:
            inner = _fitted(size, self.letterbox)
            return Frame((inner[1] / width, inner[0] / height), (0.0, 0.0))
        scaled = _shorter(size, self.resize) if isinstance(self.resize, int) else self.resize or size
        crop = self.crop or scaled
        offset = (-((scaled[1] - crop[1]) // 2), -((scaled[0] - crop[0]) // 2))
        return Frame((scaled[1] / width, scaled[0] / height), (float(offset[0]), float(offset[1])))

    def of_image(self, image: Image.Image, name: object) -> Pixels:
        """A sample from an image in RGB; `name` is for errors."""
        if self.distortion is not None:
            image = self.distortion(image)
        if self.function is not None:
            return _called(self.function, image, f"{name}: --preprocess {self.name}")
        image = self._framed(image, name)
        pixels = np.asarray(image.convert("L"))[..., None] if self.channels == "grey" else np.asarray(image)
        if self.channels == "bgr":
            pixels = pixels[..., ::-1]
        return np.ascontiguousarray(self._scaled(pixels).transpose(2, 0, 1))

    @property
    def words(self) -> str:
        """All of it, to read."""
        if self.function is not None:
            return f"{self.name}: its own function"
        parts = ["grey" if self.channels == "grey" else self.channels.upper()]
        if isinstance(self.resize, int):
            parts.append(f"shorter side to {self.resize} ({self.interpolation})")
        elif self.resize is not None:
            parts.append(f"scaled to {_by(self.resize)} ({self.interpolation})")
        if self.crop is not None:
            parts.append(f"centre crop {_by(self.crop)}")
        if self.letterbox is not None:
            fit = f"fitted into {_by(self.letterbox)} ({self.interpolation})"
            parts.append(f"{fit}, padded with {FILL} at the right and bottom")
        parts.append(f"{self.range[0]:g} to {self.range[1]:g}")
        parts += [
            f"{what} {' '.join(f'{value:g}' for value in values)}"
            for what, values in (("mean", self.mean), ("deviation", self.std))
            if values is not None
        ]
        return f"{self.name}: {', '.join(parts)}"

    def to_json(self) -> dict[str, Any]:
        """What reports say of it."""
        own = self.function is None
        return {
            "name": self.name,
            "words": self.words,
            "channels": self.channels if own else None,
            "resize": list(self.resize) if isinstance(self.resize, tuple) else self.resize,
            "crop": _listed(self.crop),
            "letterbox": _listed(self.letterbox),
            "interpolation": self.interpolation if own else None,
            "range": list(self.range) if own else None,
            "mean": _listed(self.mean),
            "std": _listed(self.std),
        }

    @property
    def _max_aspect(self) -> float:
        return MAX_ASPECT if isinstance(self.resize, int) else math.inf

    def _framed(self, image: Image.Image, name: object, fill: int = FILL) -> Image.Image:
        """The image at its final size."""
        if self.letterbox is not None:
            return self._letterboxed(image, self.letterbox, fill)
        if isinstance(self.resize, int):
            image = self._resized(image, _shorter((image.height, image.width), self.resize))
        elif self.resize is not None:
            image = self._resized(image, self.resize)
        if self.crop is None:
            return image
        (width, height), (rows, columns) = image.size, self.crop
        if rows > height or columns > width:
            raise InvalidInput(f"{name}: the crop of {_by(self.crop)} is larger than its {height} x {width} pixels")
        left, top = (width - columns) // 2, (height - rows) // 2
        return image.crop((left, top, left + columns, top + rows))

    def _letterboxed(self, image: Image.Image, box: Size, fill: int) -> Image.Image:
        from PIL import Image

        inner = self._resized(image, _fitted((image.height, image.width), box))
        whole = Image.new(image.mode, (box[1], box[0]), (fill, fill, fill) if image.mode == "RGB" else fill)
        whole.paste(inner, (0, 0))
        return whole

    def _resized(self, image: Image.Image, size: Size) -> Image.Image:
        from PIL import Image

        height, width = size
        if self.interpolation != "linear":
            return image.resize((width, height), Image.Resampling[self.interpolation.upper()])
        across, down = image.width / width, image.height / height
        return image.transform(
            (width, height), Image.Transform.AFFINE, (across, 0, 0, 0, down, 0), Image.Resampling.BILINEAR
        )

    def _scaled(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        values: NDArray[np.float32] = pixels.astype(np.float32)
        low, high = self.range
        if (low, high) != (0, 255):
            values /= np.float32(255)
        if (low, high) not in ((0, 255), (0, 1)):
            values = values * np.float32(high - low) + np.float32(low)
        if self.mean is not None:
            values -= np.array(self.mean, np.float32)
        if self.std is not None:
            values /= np.array(self.std, np.float32)
        return values


PROTOCOLS = {
    "imagenet": Preprocessing("imagenet", resize=256, crop=(224, 224), mean=MEAN, std=STD),
    "cifar": Preprocessing("cifar", mean=MEAN, std=STD),
    "none": Preprocessing("none"),
}
IMAGENET = PROTOCOLS["imagenet"]


def protocol(name: str) -> Preprocessing:
    """The protocol of that name.

    Raises
    ------
    InvalidInput
        There is none of that name; the message lists them.

    Examples
    --------
    >>> print(protocol("cifar").words)
    cifar: RGB, 0 to 1, mean 0.485 0.456 0.406, deviation 0.229 0.224 0.225
    """
    if name not in PROTOCOLS:
        raise InvalidInput(
            f"unknown preprocessing {name!r}; there are: {', '.join(PROTOCOLS)}, path/to/file.py:function"
        )
    return PROTOCOLS[name]


def _called(function: Callable[[Any], Any], image: Image.Image, what: str) -> Pixels:
    try:
        values = np.asarray(function(image))
    except Exception as error:
        raise InvalidInput(f"{what} failed: {type(error).__name__}: {error}") from error
    if values.dtype.kind not in "fiu" or values.ndim not in (3, 4) or 0 in values.shape:
        raise InvalidInput(f"{what} gave {values.dtype} {list(values.shape)}, expected numbers [C, H, W]")
    return np.ascontiguousarray(values, np.float32)


def _shorter(size: Size, side: int) -> Size:
    """The size whose shorter side is `side`."""
    return round(side * size[0] / min(size)), round(side * size[1] / min(size))


def _fitted(size: Size, box: Size) -> Size:
    """The largest size of the same shape that fits into `box`."""
    ratio = min(box[0] / size[0], box[1] / size[1])
    return max(1, int(size[0] * ratio)), max(1, int(size[1] * ratio))


def _by(size: Size) -> str:
    return f"{size[0]} x {size[1]}"


def _listed(values: Sequence[float] | None) -> list[float] | None:
    return None if values is None else list(values)
