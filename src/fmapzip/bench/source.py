"""The maps that a bench runs on: of files, one tap an array or an archive's name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fmapzip.archive import Archive
from fmapzip.arrays import SUFFIXES, read_arrays
from fmapzip.codecs.base import Codec, IntegerMap
from fmapzip.documents.shard import NetworkSums
from fmapzip.errors import InvalidInput, InvalidType
from fmapzip.plan import Plan
from fmapzip.quantize import QuantParams, make_observer

ARCHIVE = ".fmz"
FILES = (ARCHIVE, *SUFFIXES)


@dataclass(frozen=True)
class Tap:
    """One feature map, of all samples.

    Attributes
    ----------
    name
        Unique in its source.
    samples
        How many there are.
    load
        From a sample's position to its integers.
    training
        The calibration maps [N, ...], or None where the source has no calibration.
    quantizer
        How floats became the integers, where that is known.
    """

    name: str
    samples: int
    load: Callable[[int], IntegerMap]
    training: Callable[[], IntegerMap] | None = None
    quantizer: QuantParams | None = None

    @property
    def zero_point(self) -> int:
        """The integer that stands for 0."""
        return 0 if self.quantizer is None else self.quantizer.zero


class Outputs(NamedTuple):
    """What was counted of a network's outputs: whether they are class scores; in 8 bits; with maps by each plan."""

    classes: bool
    int8: NetworkSums
    coded: list[NetworkSums]


class Source(Protocol):
    """Where the maps come from."""

    @property
    def taps(self) -> Sequence[Tap]:
        """In the order of the network, or of the files."""

    @property
    def description(self) -> dict[str, Any]:
        """What a report says of it, in JSON values."""

    def plan(self, codec: Codec) -> Plan | None:
        """The plan by which a codec of ours encodes these taps, or None: each map for itself."""

    def outputs(self, plans: Sequence[Plan]) -> Outputs | None:
        """What storing the maps by each plan does to the network's output; None without a network."""


class FileSource:
    """Maps from archives and array files; floats are quantized, one scale an array.

    Parameters
    ----------
    paths
        ``.fmz``, ``.npy``, ``.npz`` or ``.safetensors``. Arrays [N, C, H, W] are N samples, others one.
    quantizer
        For floats, as in `fmapzip.quantize.make_observer`.

    Raises
    ------
    InvalidInput, InvalidType
        A file of another kind, that cannot be read, or that holds other arrays.
    """

    def __init__(self, paths: Sequence[Path], quantizer: str) -> None:
        self._stack, self._quantizer, self._paths = ExitStack(), quantizer, tuple(paths)
        self.quantized = False
        found: list[Tap] = []
        try:
            for path in paths:
                prefix = f"{path.stem}/" if len(paths) > 1 else ""
                found += self._archive(path, prefix) if path.suffix.lower() == ARCHIVE else self._arrays(path, prefix)
        except BaseException:
            self.close()
            raise
        self.taps: Sequence[Tap] = found

    @property
    def description(self) -> dict[str, Any]:
        """The files' names, and the quantizer where floats were quantized."""
        return {
            "files": [path.name for path in self._paths],
            "model": None,
            "data": None,
            "quantizer": self._quantizer if self.quantized else "as in the files",
            "calibration_images": None,
        }

    def plan(self, codec: Codec) -> Plan | None:
        """None: files have no calibration maps."""
        del codec
        return None

    def outputs(self, plans: Sequence[Plan]) -> Outputs | None:
        """None: files have no network."""
        del plans
        return None

    def close(self) -> None:
        """Close the files."""
        self._stack.close()

    def _archive(self, path: Path, prefix: str) -> Iterator[Tap]:
        archive = self._stack.enter_context(Archive(path))
        for name in archive.names:
            samples = archive.samples(name)
            quantizer = _quantizer(archive, name)
            load = lambda i, n=name, s=samples: archive.read(n, s[i])  # noqa: E731
            yield Tap(prefix + name, len(samples), load, quantizer=quantizer)

    def _arrays(self, path: Path, prefix: str) -> Iterator[Tap]:
        for name, array in read_arrays(path):
            samples = array if array.ndim == 4 else array[None]
            if not 2 <= samples.ndim <= 4 or samples.size == 0:
                raise InvalidInput(f"{path}: {name!r} has shape {list(array.shape)}: expected non-empty maps")
            values = self._integers(name, samples)
            yield Tap(prefix + name, len(values), lambda i, v=values: np.ascontiguousarray(v[i]))  # type: ignore[misc]

    def _integers(self, name: str, samples: NDArray[Any]) -> NDArray[Any]:
        if samples.dtype in (np.uint8, np.int8):
            return samples
        if samples.dtype.kind != "f":
            raise InvalidType(f"{name!r} holds {samples.dtype}: expected uint8, int8 or floats")
        observer = make_observer(self._quantizer, name)
        observer.update(samples)
        self.quantized = True
        return observer.finish().quantize(samples, axis=1, name=name)


def _quantizer(archive: Archive, name: str) -> QuantParams | None:
    """What an archive's plan says of a name."""
    return next((tap.quantizer for tap in archive.plan or () if tap.name == name), None)
