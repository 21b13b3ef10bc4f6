"""Plans: for each feature map its quantizer, codec, parameters and trained tables, in one hashed file.

A plan file is one text line that names the format and its version, then JSON, one tap a line, then a zero byte, then
the binary tables that the JSON points into::

    fmapzip-plan 0
    {"metadata": {...},
     "codecs": [{"codec": "zvc"}],
     "tables": {"bytes": 0, "crc32": 0},
     "taps": [
      {"name": "features.3.squeeze", "shape": [64, 55, 55], "codec": 0,
       "quantizer": {"dtype": "uint8", "calibrator": "minmax", "scale": 0.11}}]}

A tap's ``codec`` is a position in ``codecs``; ``parameters`` and, for scales per channel, ``scales`` (float32, little
endian) are ``[offset, length]`` in the tables, left out where empty. The hash is the SHA-256 of the file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
from msgspec import UNSET

from fmapzip import plan_file, registry
from fmapzip.atomic import write_atomically
from fmapzip.bound import BoundCodec, bind_tap
from fmapzip.codecs.base import Codec
from fmapzip.errors import CorruptFrame, InvalidInput, InvalidPlan, InvalidType, PlanMismatch
from fmapzip.geometry import MAX_DIMS
from fmapzip.plan_file import MAX_DIM, PlanFile, QuantizerEntry, TapEntry
from fmapzip.quantize import QuantParams

T = TypeVar("T")


@dataclass(frozen=True)
class TapPlan:
    """What is done to one feature map.

    Parameters
    ----------
    name : str
        The tap's name: the call site of the tensor's first reader.
    shape : tuple of int
        Shape of one sample: (C, D, H, W), (C, H, W), (C, L) or (F,).
    quantizer : QuantParams
    codec : Codec
    parameters : bytes
        The codec's parameters, as ``codec.train`` returned it; empty for codecs that need none.
    references : tuple of int
        Positions of the plan's earlier taps whose maps of the same sample its maps are coded with.
    """

    name: str
    shape: tuple[int, ...]
    quantizer: QuantParams
    codec: Codec
    parameters: bytes = field(default=b"", repr=False)
    references: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise InvalidInput("a tap needs a name")
        if any("\ud800" <= letter <= "\udfff" for letter in self.name):
            raise InvalidInput(f"tap {self.name!r}: a name has no lone surrogates")
        object.__setattr__(self, "shape", tuple(self.shape))
        if not 1 <= len(self.shape) <= MAX_DIMS or not all(type(n) is int and 0 < n <= MAX_DIM for n in self.shape):
            raise InvalidInput(f"tap {self.name!r}: shape {list(self.shape)} must be 1 to {MAX_DIMS} positive integers")
        if len(self.quantizer.scale) not in (1, self.shape[0]):
            raise InvalidInput(f"tap {self.name!r}: {len(self.quantizer.scale)} scales for {self.shape[0]} channels")


@dataclass(frozen=True)
class Plan:
    """An ordered set of taps with what is done to each, immutable.

    Parameters
    ----------
    taps : sequence of TapPlan
        In the order in which the network computes them; names are unique.
    metadata : mapping
        A JSON object that says where the plan comes from. ``skipped`` (names of the network's other taps, which stay
        as they are) and ``inputs`` (shapes of one sample's inputs) are used when a plan is fitted to a network.

    Examples
    --------
    >>> from fmapzip import plan_file, registry
    >>> from fmapzip.quantize import QuantParams
    >>> tap = TapPlan("conv2", (16, 8, 8), QuantParams("uint8", (0.1,)), registry.make("zvc"))
    >>> plan = Plan((tap,))
    >>> Plan.from_bytes(plan.to_bytes()) == plan
    True
    """

    taps: tuple[TapPlan, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "taps", tuple(self.taps))
        for i, tap in enumerate(self.taps):
            if self._positions[tap.name] != i:
                raise InvalidInput(f"the plan has two taps named {tap.name!r}")
            if not all(0 <= index < i for index in tap.references):
                raise InvalidInput(f"tap {tap.name!r} refers to a tap that is not before it")
        if not _is_list_of(str, self.metadata.get("skipped", [])):
            raise InvalidInput("the plan's 'skipped' must be a list of tap names")
        inputs = self.metadata.get("inputs", [])
        if not _is_list_of(list, inputs) or not all(
            _is_list_of(int, shape) and min([1, *shape]) > 0 for shape in inputs
        ):
            raise InvalidInput("the plan's 'inputs' must be a list of shapes of one sample")

    @cached_property
    def refers(self) -> bool:
        """Whether some tap's maps are coded with those of others."""
        return any(tap.references for tap in self.taps)

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {tap.name: i for i, tap in enumerate(self.taps)}

    def __len__(self) -> int:
        return len(self.taps)

    def __iter__(self) -> Iterator[TapPlan]:
        return iter(self.taps)

    def __getitem__(self, tap: str | int) -> TapPlan:
        if isinstance(tap, str):
            return self.taps[self.index(tap)]
        if not 0 <= tap < len(self.taps):
            raise PlanMismatch(f"the plan has {len(self.taps)} taps; there is no tap {tap}")
        return self.taps[tap]

    def index(self, name: str) -> int:
        """Return the position of the tap `name`; `PlanMismatch` where the plan has none of that name."""
        try:
            return self._positions[name]
        except KeyError:
            raise PlanMismatch(f"the plan has no tap {name!r}; it has {_some(list(self._positions))}") from None

    @cached_property
    def hash(self) -> bytes:
        """SHA-256 of :meth:`to_bytes`, 32 bytes."""
        return hashlib.sha256(self.to_bytes()).digest()

    @property
    def hash8(self) -> bytes:
        """First 8 bytes of the hash: what a frame stores."""
        return self.hash[:8]

    def bound(self, tap: str | int) -> BoundCodec:
        """Return what encodes and decodes a tap, by its name or index: made at the first call, then kept.

        Raises
        ------
        PlanMismatch
            The plan has no such tap.
        InvalidInput, CorruptFrame
            The tap's parameters are not what its codec can read.
        """
        index = self.index(tap) if isinstance(tap, str) else tap
        bound = self._bound.get(index)
        if bound is None:
            planned = self[index]
            bound = bind_tap(planned.codec, planned.parameters, planned.quantizer, self.hash8, index, planned.shape)
            if bound.references != len(planned.references):
                raise CorruptFrame(f"tap {index}: parameters and plan refer to another number of maps")
            self._bound[index] = bound
        return bound

    @cached_property
    def _bound(self) -> dict[int, BoundCodec]:
        return {}

    @cached_property
    def _encoded(self) -> bytes:
        tables = bytearray()
        codecs: dict[str, int] = {}
        taps = [_tap_entry(tap, codecs, tables) for tap in self.taps]
        return plan_file.write(self.metadata, [json.loads(config) for config in codecs], taps, bytes(tables))

    def to_bytes(self) -> bytes:
        """Return the plan file: the one that the plan was read from; else the same plan gives the same bytes."""
        return self._encoded

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a plan file.

        Raises
        ------
        InvalidPlan
            The bytes are not a plan; it says what is wrong, and at which field (``$.taps[3].shape``).
        UnsupportedVersion
            A plan of a version that this release does not read.
        UnknownCodec
            A codec that this installation does not have.
        """
        data = bytes(data)
        file = plan_file.read(data)
        codecs = [_at(f"$.codecs[{i}]", registry.from_config, config) for i, config in enumerate(file.codecs)]
        taps = tuple(_tap(entry, codecs, file, f"$.taps[{i}]") for i, entry in enumerate(file.taps))
        plan = _at("$", cls, taps, file.metadata)
        plan.__dict__["_encoded"] = data  # what the hash names: the file as it is, also after an edit by hand
        return plan

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan file: to a temporary file beside `path`, then renamed, so that none is left half written."""
        write_atomically(Path(path), self.to_bytes())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a plan file; errors as in :meth:`from_bytes`, and `OSError` where the file cannot be read."""
        try:
            return cls.from_bytes(Path(path).read_bytes())
        except InvalidPlan as error:
            raise InvalidPlan(f"{os.fspath(path)}: {error}") from error


def _tap_entry(tap: TapPlan, codecs: dict[str, int], tables: bytearray) -> TapEntry:
    """A tap as its file has it; its codec joins `codecs`, its scales and parameters join `tables`."""
    codec = codecs.setdefault(json.dumps(tap.codec.config(), separators=(",", ":")), len(codecs))
    quantizer = QuantizerEntry(tap.quantizer.dtype, tap.quantizer.calibrator)
    if tap.quantizer.per_channel:
        quantizer.scales = _append(tables, np.array(tap.quantizer.scale, "<f4").tobytes())
    else:
        quantizer.scale = tap.quantizer.to_json()["scale"][0]
    if tap.quantizer.zero_point is not None:
        quantizer.zero_point = tap.quantizer.zero_point
    parameters = _append(tables, tap.parameters) if tap.parameters else UNSET
    references = list(tap.references) or UNSET
    return TapEntry(tap.name, list(tap.shape), codec, quantizer, parameters, references)


def _append(tables: bytearray, section: bytes) -> tuple[int, int]:
    place = len(tables), len(section)
    tables += section
    return place


def _tap(entry: TapEntry, codecs: Sequence[Codec], file: PlanFile, path: str) -> TapPlan:
    if entry.codec >= len(codecs):
        raise InvalidPlan(f"codec {entry.codec} of a plan with {len(codecs)} codecs - at `{path}.codec`")
    quantizer = _at(f"{path}.quantizer", _quantizer, entry.quantizer, file, f"{path}.quantizer.scales")
    parameters = b"" if entry.parameters is UNSET else file.at(entry.parameters, f"{path}.parameters")
    references = () if entry.references is UNSET else tuple(entry.references)
    return _at(path, TapPlan, entry.name, tuple(entry.shape), quantizer, codecs[entry.codec], parameters, references)


def _quantizer(entry: QuantizerEntry, file: PlanFile, path: str) -> QuantParams:
    if (entry.scale is UNSET) == (entry.scales is UNSET):
        raise InvalidInput("either 'scale' or 'scales' is needed")
    zero_point = None if entry.zero_point is UNSET else entry.zero_point
    if entry.scale is not UNSET:
        return QuantParams(entry.dtype, (entry.scale,), entry.calibrator, zero_point)
    assert entry.scales is not UNSET
    scales = file.at(entry.scales, path)
    if len(scales) % 4:
        raise InvalidInput(f"its scales are {len(scales)} bytes, not a multiple of 4")
    each = tuple(float(value) for value in np.frombuffer(scales, "<f4"))
    return QuantParams(entry.dtype, each, entry.calibrator, zero_point)


def _at(path: str, make: Callable[..., T], *arguments: Any) -> T:
    """What `make` makes; its refusal becomes the plan's, with the path of the field."""
    try:
        return make(*arguments)
    except (InvalidInput, InvalidType) as error:
        raise InvalidPlan(f"{error} - at `{path}`") from None


def _is_list_of(kind: type, value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is kind for item in value)


def _some(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "") or "none"
