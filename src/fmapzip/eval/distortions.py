"""Copies of an image as people make them, to be found again among the originals."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from fmapzip.errors import InvalidInput

if TYPE_CHECKING:
    from PIL import Image

GREY = (128, 128, 128)


def crop(image: Image.Image, share: float) -> Image.Image:
    """The centre, `share` of each side."""
    width, height = (max(1, round(share * side)) for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    """Through JPEG and back."""
    from PIL import Image

    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    with Image.open(file) as opened:
        return opened.convert("RGB")


def rotate(image: Image.Image, degrees: float) -> Image.Image:
    """Turned at the same size, the corners grey."""
    from PIL import Image

    return image.rotate(degrees, Image.Resampling.BILINEAR, fillcolor=GREY)


def darker(image: Image.Image, share: float) -> Image.Image:
    """Every value times `share`."""
    return image.point(lambda value: value * share)


def flip(image: Image.Image) -> Image.Image:
    """Left and right exchanged."""
    from PIL import Image

    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def blur(image: Image.Image, share: float) -> Image.Image:
    """Blurred by a Gaussian of that share of the shorter side."""
    from PIL import ImageFilter

    return image.filter(ImageFilter.GaussianBlur(share * min(image.size)))


def noisy(image: Image.Image, deviation: float) -> Image.Image:
    """With Gaussian noise, the same one each time."""
    from PIL import Image

    pixels = np.asarray(image).astype(np.float64)
    pixels += np.random.default_rng(0).normal(0, deviation, pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8))


def inset(image: Image.Image, share: float) -> Image.Image:
    """Scaled by `share`, in the middle of grey."""
    from PIL import Image

    width, height = (max(1, round(share * side)) for side in image.size)
    whole = Image.new("RGB", image.size, GREY)
    whole.paste(
        image.resize((width, height), Image.Resampling.BILINEAR),
        ((image.width - width) // 2, (image.height - height) // 2),
    )
    return whole


Distortion = Callable[["Image.Image"], "Image.Image"]

EASY: dict[str, Distortion] = {
    "crop": lambda image: crop(image, 0.7),
    "jpeg": lambda image: jpeg(image, 20),
    "rotate": lambda image: rotate(image, 15),
    "dark": lambda image: darker(image, 0.5),
    "flip": flip,
}
HARD: dict[str, Distortion] = {
    "crop-small": lambda image: crop(image, 0.35),
    "jpeg-5": lambda image: jpeg(image, 5),
    "rotate-60": lambda image: rotate(image, 60),
    "dark-15": lambda image: darker(image, 0.15),
    "blur": lambda image: blur(image, 0.03),
    "noise": lambda image: noisy(image, 60),
    "inset": lambda image: inset(image, 0.35),
}
HARDER: dict[str, Distortion] = {
    "crop-quarter": lambda image: crop(image, 0.25),
    "crop-jpeg": lambda image: jpeg(crop(image, 0.5), 5),
    "rotate-inset": lambda image: inset(rotate(image, 60), 0.5),
    "dark-blur": lambda image: blur(darker(image, 0.15), 0.04),
    "noise-inset": lambda image: noisy(inset(image, 0.5), 60),
}
SETS = {"easy": EASY, "hard": HARD, "harder": HARDER, "all": EASY | HARD}


def distortions(which: str) -> dict[str, Distortion]:
    """The distortions of a set (``easy``, ``hard``, ``all``, ``harder``), or of names with ``+`` between them.

    Raises
    ------
    InvalidInput
        There is none of such a name; the message lists them.

    Examples
    --------
    >>> list(distortions("easy")), list(distortions("blur+flip"))
    (['crop', 'jpeg', 'rotate', 'dark', 'flip'], ['blur', 'flip'])
    """
    if which in SETS:
        return SETS[which]
    known = SETS["all"] | HARDER
    for name in which.split("+"):
        if name not in known:
            raise InvalidInput(f"there is no distortion {name!r}; there are {', '.join([*SETS, *known])}")
    return {name: known[name] for name in which.split("+")}
