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
endian) are ``[offset, length]`` in the tables, left out where empty. The hash is the SHA-256 of what
:meth:`Plan.to_bytes` writes: it names the content, whatever spacing or order of keys a file was edited to.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from fmapzip import registry
from fmapzip.atomic import write_atomically
from fmapzip.bound import BoundCodec, bind_tap
from fmapzip.codecs.base import Codec
from fmapzip.errors import InvalidInput, InvalidPlan, PlanMismatch, UnsupportedVersion
from fmapzip.geometry import MAX_DIMS
from fmapzip.quantize import QuantParams

PLAN_VERSION = 0
_MAGIC = b"fmapzip-plan "
_MAX_DIM = 2**31 - 1


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
        The codec's parameter blob, as ``codec.train`` returned it; empty for codecs that need none.
    """

    name: str
    shape: tuple[int, ...]
    quantizer: QuantParams
    codec: Codec
    parameters: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise InvalidInput("a tap needs a name")
        object.__setattr__(self, "shape", tuple(self.shape))
        if not 1 <= len(self.shape) <= MAX_DIMS or not all(type(n) is int and 0 < n <= _MAX_DIM for n in self.shape):
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
    >>> from fmapzip import registry
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
        if not _is_list_of(str, self.metadata.get("skipped", [])):
            raise InvalidInput("the plan's 'skipped' must be a list of tap names")
        inputs = self.metadata.get("inputs", [])
        if not _is_list_of(list, inputs) or not all(
            _is_list_of(int, shape) and min([1, *shape]) > 0 for shape in inputs
        ):
            raise InvalidInput("the plan's 'inputs' must be a list of shapes of one sample")

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
            bound = bind_tap(planned.codec, planned.parameters, planned.quantizer, self.hash8, index)
            self._bound[index] = bound
        return bound

    @cached_property
    def _bound(self) -> dict[int, BoundCodec]:
        return {}

    @cached_property
    def _encoded(self) -> bytes:
        tables = bytearray()
        codecs: list[dict[str, Any]] = []
        lines = [json.dumps(_tap_to_json(tap, codecs, tables), separators=(",", ":")) for tap in self.taps]
        checked = {"bytes": len(tables), "crc32": zlib.crc32(tables)}
        heads = (
            f'"{key}":{json.dumps(value, separators=(",", ":"), allow_nan=False)}'
            for key, value in (("metadata", dict(self.metadata)), ("codecs", codecs), ("tables", checked))
        )
        text = "{" + ",\n ".join(heads) + ',\n "taps":[\n  ' + ",\n  ".join(lines) + "]}\n"
        return _MAGIC + str(PLAN_VERSION).encode() + b"\n" + text.encode() + b"\0" + bytes(tables)

    def to_bytes(self) -> bytes:
        """Return the plan file; the same plan gives the same bytes."""
        return self._encoded

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a plan file.

        Raises
        ------
        InvalidPlan
            The bytes are not a plan; it says what is wrong.
        UnsupportedVersion
            A plan of a version that this release does not read.
        UnknownCodec, InvalidInput, InvalidType
            A codec, setting, quantizer or shape that does not exist.
        """
        head, found, rest = bytes(data).partition(b"\n")
        if not found or not head.startswith(_MAGIC):
            raise InvalidPlan("not a plan: it does not begin with 'fmapzip-plan'")
        if head != _MAGIC + str(PLAN_VERSION).encode():
            version = head[len(_MAGIC) :][:20].decode("ascii", "replace")
            raise UnsupportedVersion(f"plan version {version}; this release reads version {PLAN_VERSION}")
        text, found, tables = rest.partition(b"\0")
        if not found:
            raise InvalidPlan("the plan is cut off: no zero byte ends its JSON")
        content = _parse_json(text)
        _check_tables(content["tables"], tables)
        codecs = [registry.from_config(entry) for entry in _list(content, "codecs")]
        taps = tuple(_tap_from_json(entry, codecs, tables) for entry in _list(content, "taps"))
        return cls(taps, content["metadata"])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan file: to a temporary file beside `path`, then renamed, so that none is left half written."""
        write_atomically(Path(path), self.to_bytes())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a plan file; errors as in :meth:`from_bytes`, and `OSError` where the file cannot be read."""
        return cls.from_bytes(Path(path).read_bytes())


def _tap_to_json(tap: TapPlan, codecs: list[dict[str, Any]], tables: bytearray) -> dict[str, Any]:
    codec = tap.codec.config()
    if codec not in codecs:
        codecs.append(codec)
    quantizer = tap.quantizer.to_json()
    scale = quantizer.pop("scale")
    if tap.quantizer.per_channel:
        quantizer["scales"] = _append(tables, np.array(tap.quantizer.scale, "<f4").tobytes())
    else:
        quantizer["scale"] = scale[0]
    entry = {"name": tap.name, "shape": list(tap.shape), "codec": codecs.index(codec), "quantizer": quantizer}
    if tap.parameters:
        entry["parameters"] = _append(tables, tap.parameters)
    return entry


def _append(tables: bytearray, blob: bytes) -> list[int]:
    place = [len(tables), len(blob)]
    tables += blob
    return place


def _parse_json(text: bytes) -> dict[str, Any]:
    try:
        content = json.loads(text.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidPlan(f"the plan's JSON does not parse: {error}") from None
    keys = {"metadata": dict, "codecs": list, "tables": dict, "taps": list}
    if not isinstance(content, dict) or set(content) != set(keys):
        raise InvalidPlan(f"the plan's JSON must have exactly the keys {', '.join(keys)}")
    for key, kind in keys.items():
        if not isinstance(content[key], kind):
            raise InvalidPlan(f"the plan's {key!r} must be a JSON {'object' if kind is dict else 'array'}")
    return content


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _check_tables(stated: dict[str, Any], tables: bytes) -> None:
    if stated.get("bytes") != len(tables):
        raise InvalidPlan(f"the plan's tables are {len(tables)} bytes, its JSON says {stated.get('bytes')!r}")
    if stated.get("crc32") != zlib.crc32(tables):
        raise InvalidPlan("the plan's tables do not match their checksum")


def _list(content: dict[str, Any], key: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = content[key]
    for i, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise InvalidPlan(f"entry {i} of the plan's {key!r} is not a JSON object")
    return entries


def _tap_from_json(entry: dict[str, Any], codecs: Sequence[Codec], tables: bytes) -> TapPlan:
    name = entry.get("name")
    label = f"tap {name!r} of the plan"
    if not set(entry) - {"parameters"} == {"name", "shape", "codec", "quantizer"}:
        raise InvalidPlan(f"{label} needs exactly the keys name, shape, codec, quantizer and, if any, parameters")
    codec, shape, quantizer = entry["codec"], entry["shape"], entry["quantizer"]
    if type(codec) is not int or not 0 <= codec < len(codecs):
        raise InvalidPlan(f"{label}: codec {codec!r} is not a position among the {len(codecs)} codecs")
    if not isinstance(shape, list) or not isinstance(quantizer, dict):
        raise InvalidPlan(f"{label}: shape must be an array and quantizer an object")
    parameters = _blob(entry["parameters"], tables, label) if "parameters" in entry else b""
    return TapPlan(name, tuple(shape), _quantizer_from_json(quantizer, tables, label), codecs[codec], parameters)  # type: ignore[arg-type]


def _quantizer_from_json(entry: dict[str, Any], tables: bytes, label: str) -> QuantParams:
    entry = dict(entry)
    if "scales" in entry:
        blob = _blob(entry.pop("scales"), tables, label)
        if len(blob) % 4:
            raise InvalidPlan(f"{label}: its scales are {len(blob)} bytes, not a multiple of 4")
        scale = [float(value) for value in np.frombuffer(blob, "<f4")]
    else:
        scale = [entry.pop("scale", None)]
    if "scale" in entry:
        raise InvalidPlan(f"{label}: it has both 'scale' and 'scales'")
    return QuantParams.from_json({**entry, "scale": scale})


def _blob(place: Any, tables: bytes, label: str) -> bytes:
    valid = isinstance(place, list) and len(place) == 2 and all(type(n) is int and n >= 0 for n in place)
    if not valid or place[0] + place[1] > len(tables):
        raise InvalidPlan(f"{label}: {place!r} is not [offset, length] within {len(tables)} bytes of tables")
    return tables[place[0] : place[0] + place[1]]


def _is_list_of(kind: type, value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is kind for item in value)


def _some(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "") or "none"
