"""What a split says of itself: ``manifest.json``, which both sides must have alike."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from fmapzip.errors import InvalidInput, UnsupportedVersion
from fmapzip.geometry import MAX_DIMS, frame_bound

NAME = "manifest.json"
VERSION = 1

Positive = Annotated[int, msgspec.Meta(ge=1)]
Hash = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
FileName = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9.-]*\Z")]
Dtype = Literal[
    "float16", "bfloat16", "float32", "float64", "complex64", "complex128",
    "bool", "uint8", "int8", "int16", "int32", "int64",
]  # fmt: skip


class File(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A file of the split, and its SHA-256."""

    name: FileName
    sha256: Hash


class CrossingMap(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A tensor that crosses: one sample's shape with its channels first, where they are in the batch, memory order."""

    name: str
    shape: Annotated[tuple[Positive, ...], msgspec.Meta(min_length=1, max_length=MAX_DIMS)]
    axis: Positive
    layout: Literal["contiguous", "channels_last"]

    @property
    def frame_limit(self) -> int:
        """Most bytes of one of its frames."""
        return frame_bound(self.shape)


class Rung(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A plan of the ladder, and the mean bytes of an image's frames, of the images that trained it."""

    plan: File
    bytes: Annotated[float, msgspec.Meta(ge=0)]


class Output(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A tensor of the network's output, as one sample gave it: only the batch may differ."""

    shape: tuple[Annotated[int, msgspec.Meta(ge=0)], ...]
    dtype: Dtype


# Of given length, and not tuple[Positive, Positive]: msgspec 0.22 crashes on that beside a bounded integer.
Size = Annotated[tuple[Positive, ...], msgspec.Meta(min_length=2, max_length=2)]


class ImageInput(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How an image becomes a sample: `fmapzip.eval.preprocess.Preprocessing`, but for functions of the user's."""

    name: str
    channels: Literal["rgb", "bgr", "grey"]
    resize: Positive | Size | None
    crop: Size | None
    letterbox: Size | None
    interpolation: Literal["bilinear", "bicubic", "nearest", "lanczos", "box", "linear"]
    range: tuple[float, float]
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None


class Manifest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A split.

    Attributes
    ----------
    schema, kind
        What this document is.
    model, at
        The network as it was named, and the taps that it is cut behind.
    input_shape, input_dtype
        Of one sample.
    preprocess
        How an image becomes a sample; None where that is the caller's affair.
    maps
        What crosses, in the tail's order.
    outputs, structure
        What the tail gives, and how that makes the network's output (a PyTorch tree specification).
    head, tail
        The programs: of torch.export, or ONNX files.
    ladder
        Plans, the best one first, each smaller than the one before.
    """

    schema: Literal[1]
    kind: Literal["split"]
    model: str
    at: tuple[str, ...]
    input_shape: tuple[Positive, ...]
    input_dtype: Dtype
    preprocess: ImageInput | None
    maps: Annotated[tuple[CrossingMap, ...], msgspec.Meta(min_length=1)]
    outputs: Annotated[tuple[Output, ...], msgspec.Meta(min_length=1)]
    structure: str
    head: File
    tail: File
    ladder: Annotated[tuple[Rung, ...], msgspec.Meta(min_length=1, max_length=64)]

    @property
    def message_limit(self) -> int:
        """Most bytes of the frames of one image."""
        return sum(each.frame_limit for each in self.maps)

    def to_bytes(self) -> bytes:
        """The file; the same manifest gives the same bytes."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"

    @property
    def hash(self) -> str:
        """SHA-256 of the file: head, tail and plans included, as it holds theirs."""
        return hashlib.sha256(self.to_bytes()).hexdigest()


def read(file: Path) -> Manifest:
    """The manifest in a file.

    Raises
    ------
    InvalidInput
        It is missing or no manifest; the message says at which field.
    UnsupportedVersion
        It is of a version that this release does not read.
    """
    try:
        data = file.read_bytes()
        if msgspec.json.decode(data, type=_Head).schema > VERSION:
            raise UnsupportedVersion(f"{file}: a split of a later version; this release reads version {VERSION}")
        return msgspec.json.decode(data, type=Manifest)
    except OSError as error:
        raise InvalidInput(f"{file}: {error.strerror}: not a split") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"{file}: not the manifest of a split: {error}") from error


class _Head(msgspec.Struct):
    schema: int
