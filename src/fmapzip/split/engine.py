"""A split that is served: images of several clients decoded and computed together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter

import torch
from torch import Tensor

from fmapzip.errors import FrameError, InvalidInput, InvalidType, PlanMismatch
from fmapzip.split.bundle import Split

_BAD_FRAMES = (FrameError, PlanMismatch, InvalidInput, InvalidType)


@dataclass
class Computed:
    """What became of an image: the output's tensors as bytes, or the error."""

    tensors: list[bytes] = field(default_factory=list)
    error: Exception | None = None
    seconds: float = 0.0
    batch: int = 1

    @property
    def is_clients_fault(self) -> bool:
        """Whether the frames are wrong, and not the server."""
        return isinstance(self.error, _BAD_FRAMES)


class Engine:
    """Runs a split's tail.

    Parameters
    ----------
    split
    most
        Most images that are computed together.
    exact
        Whether only batches are made whose results are those of the image alone, bit for bit. PyTorch's kernels
        round differently at some batch sizes; which ones is tried here.

    Attributes
    ----------
    sizes
        Sizes of batches that are made, the largest first; 1 is always one.

    Raises
    ------
    InvalidInput
        The tail does not run on what crosses, or gives other outputs than the manifest says.
    """

    def __init__(self, split: Split, most: int, exact: bool) -> None:
        self.split, self.hash = split, split.manifest.hash
        _try(split)
        sizes = [size for size in _powers(most) if not exact or size == 1 or _is_exact(split, size)]
        self.sizes = sizes[::-1]

    def run(self, messages: Sequence[tuple[Sequence[bytes], int]]) -> list[Computed]:
        """Decode and compute images, each given as its frames and its rung; one that is damaged harms no other."""
        found = [Computed() for _ in messages]
        decoded: list[tuple[Computed, tuple[Tensor, ...]]] = []
        with torch.inference_mode():
            for (frames, rung), result in zip(messages, found, strict=True):
                start = perf_counter()
                try:
                    decoded.append((result, self.split.codec.decode([frames], rung)))
                except Exception as error:
                    result.error = error
                result.seconds = perf_counter() - start
            for part in self._batches(decoded):
                self._compute(part)
        return found

    def _batches(
        self, decoded: list[tuple[Computed, tuple[Tensor, ...]]]
    ) -> list[list[tuple[Computed, tuple[Tensor, ...]]]]:
        batches, first = [], 0
        while first < len(decoded):
            size = next(size for size in self.sizes if size <= len(decoded) - first)
            batches.append(decoded[first : first + size])
            first += size
        return batches

    def _compute(self, part: Sequence[tuple[Computed, tuple[Tensor, ...]]]) -> None:
        start = perf_counter()
        try:
            maps = [
                torch.cat(values) if len(part) > 1 else values[0] for values in zip(*(m for _, m in part), strict=True)
            ]
            outputs = self.split.tail.flat(*maps)
            rows = [[row_bytes(x[i]) for x in outputs] for i in range(len(part))]
        except Exception as error:
            for result, _ in part:
                result.error = error
            return
        seconds = perf_counter() - start
        for (result, _), row in zip(part, rows, strict=True):
            result.tensors, result.batch = row, len(part)
            result.seconds += seconds


def row_bytes(x: Tensor) -> bytes:
    """The bytes of a tensor, little endian, the last axis varying fastest."""
    data: bytes = x.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return data


def _powers(most: int) -> list[int]:
    return [1 << i for i in range(most.bit_length()) if 1 << i <= most]


def _is_exact(split: Split, size: int) -> bool:
    """Whether a batch of `size` gives what its images give alone, on random maps."""
    maps = _random_maps(split, size)
    with torch.inference_mode():
        together = split.tail.flat(*maps)
        alone = [split.tail.flat(*(x[i : i + 1] for x in maps)) for i in range(size)]
    return all(torch.equal(x, torch.cat([one[k] for one in alone])) for k, x in enumerate(together))


def _try(split: Split) -> None:
    try:
        with torch.inference_mode():
            outputs = split.tail.flat(*_random_maps(split, 1))
        found = [(tuple(x.shape[1:]), str(x.dtype).removeprefix("torch.")) for x in outputs]
    except Exception as error:  # of many kinds: it is a program
        text = " ".join(str(error).split())[:300] or type(error).__name__
        raise InvalidInput(f"the tail does not run on what crosses: {text}") from error
    if found != [(each.shape, each.dtype) for each in split.manifest.outputs]:
        raise InvalidInput("the tail gives other outputs than the manifest says")


def _random_maps(split: Split, size: int) -> list[Tensor]:
    """A batch of what crosses, as the codec gives it."""
    generator = torch.Generator().manual_seed(0)
    maps = []
    for i, each in enumerate(split.manifest.maps):
        largest = 255 * max(split.codec.plans[0][i].quantizer.scale)
        shape = [*each.shape[1:]]
        shape.insert(each.axis - 1, each.shape[0])
        values = torch.rand(size, *shape, generator=generator) * largest
        last = each.layout == "channels_last"
        maps.append(values.contiguous(memory_format=torch.channels_last) if last else values)
    return maps
