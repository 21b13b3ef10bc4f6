"""A plan from integer maps, in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from fmapzip import registry
from fmapzip.arguments import as_numpy, checked_map
from fmapzip.codecs.base import Codec, IntegerMap
from fmapzip.errors import InvalidInput, InvalidType
from fmapzip.plan import Plan, TapPlan
from fmapzip.quantize import QuantParams

DEFAULT_CODEC = "context-rans"


def fit(
    maps: Any,
    codec: str | Codec = DEFAULT_CODEC,
    *,
    quantizer: QuantParams | None = None,
    **params: Any,
) -> Plan:
    """Make a plan for maps like these: the codec trained once, its tables kept out of the frames.

    A frame without a plan is fitted to its one map and holds its tables. With a plan, maps of the same tap encode
    faster and smaller; make one as soon as there are several.

    Parameters
    ----------
    maps : uint8 or int8 array [N, C, H, W], [N, C, L], [N, F] or [N, C, D, H, W], or a mapping of names to such arrays
        Maps to train on. An array alone is a tap named "map", which `encode` takes without `tap=`.
    codec : str or Codec
        An id from `fmapzip.registry.names()`, with its settings in `params`, or a codec.
    quantizer : QuantParams, optional
        What the integers stand for, kept in the plan; by default themselves (scale 1).

    Raises
    ------
    InvalidType, InvalidInput
        Not integer maps, or none.
    UnknownCodec
        No codec of that id.

    Examples
    --------
    >>> import numpy as np, fmapzip
    >>> maps = np.maximum(np.random.default_rng(0).normal(0, 9, (8, 32, 16, 16)), 0).astype(np.uint8)
    >>> plan = fmapzip.fit(maps, "context-rans")
    >>> frame = fmapzip.encode(maps[0], plan=plan)
    >>> bool((fmapzip.decode(frame, plan=plan) == maps[0]).all())
    True
    >>> len(frame) < len(fmapzip.encode(maps[0], "context-rans"))
    True
    """
    made = registry.make(codec, **params)
    named = maps if isinstance(maps, Mapping) else {"map": maps}
    arrays = [_checked(each) for each in named.values()]
    quantizers = [_quantizer(array, quantizer) for array in arrays]

    def train(index: int, other: Codec) -> bytes:
        return other.train_for(arrays[index], quantizers[index])

    trained = train_taps([made] * len(arrays), quantizers, lambda index: arrays[index], train)
    taps = [
        TapPlan(name, array.shape[1:], known, made, *found)
        for name, array, known, found in zip(named, arrays, quantizers, trained, strict=True)
    ]
    return Plan(tuple(within_share(taps, [array.nbytes for array in arrays], train)))


def train_taps(
    codecs: Sequence[Codec],
    quantizers: Sequence[QuantParams],
    maps: Callable[[int], IntegerMap],
    train: Callable[[int, Codec], bytes],
) -> Iterator[tuple[bytes, tuple[int, ...]]]:
    """Parameters and references of each tap, in the order in which a network computes its maps.

    Where a codec may refer to other maps, it is offered those of the two taps before and of the last tap of the same
    shape, if no longer chain than it allows would follow.

    Parameters
    ----------
    codecs, quantizers : sequences
        Of each tap.
    maps : callable
        The training maps [N, ...] of the tap of an index.
    train : callable
        Parameters of the tap of an index by a codec, without references.
    """
    chains: list[int] = []
    shapes: list[tuple[int, ...]] = []
    for index, (codec, quantizer) in enumerate(zip(codecs, quantizers, strict=True)):
        found = maps(index)
        near: list[int] = []
        if codec.longest_chain:
            alike = [i for i in range(index) if shapes[i][0] == len(found) and len(shapes[i]) == found.ndim]
            short = [i for i in alike if chains[i] < codec.longest_chain]
            near = sorted({*short[-2:], *[i for i in short if shapes[i] == found.shape][-1:]})
        earlier = [codecs[i].approximation_for(maps(i), quantizers[i]) for i in near]
        known = [(i, each) for i, each in zip(near, earlier, strict=True) if each is not None]
        pairs = [(each, quantizers[i]) for i, each in known]
        parameters, chosen = codec.train_referring(found, quantizer, pairs) if pairs else (train(index, codec), ())
        references = tuple(known[i][0] for i in chosen)
        chains.append(1 + max((chains[i] for i in references), default=-1))
        shapes.append(found.shape)
        yield parameters, references


def within_share(
    taps: Sequence[TapPlan], map_bytes: Sequence[int], train: Callable[[int, Codec], bytes]
) -> list[TapPlan]:
    """Taps whose parameters together take no more of the maps that they are made from than their codecs allow.

    As long as they take more, the tap whose parameters weigh most against its maps gets those of a lighter codec.

    Parameters
    ----------
    taps : sequence of TapPlan
    map_bytes : sequence of int
        Bytes of the maps that each was made from.
    train : callable
        Parameters of the tap of an index by another codec.
    """
    found = list(taps)
    bounded = {i: share for i, tap in enumerate(taps) if (share := tap.codec.plan_share) is not None}
    most = sum(share * map_bytes[i] for i, share in bounded.items())
    heavy = {i: taps[i].codec for i in bounded}
    while heavy and sum(len(found[k].parameters) for k in bounded) > most:
        i = max(heavy, key=lambda k: len(found[k].parameters) / max(map_bytes[k], 1))
        codec = heavy.pop(i)
        lighter = codec.lighter()
        if lighter == codec:
            continue
        heavy[i] = lighter
        parameters = train(i, lighter)
        if len(parameters) < len(found[i].parameters):
            found[i] = replace(taps[i], parameters=parameters, references=())
    return found


def _checked(maps: Any) -> NDArray[Any]:
    array = as_numpy(checked_map(maps))
    if array.dtype not in ("uint8", "int8"):
        raise InvalidType(f"maps hold uint8 or int8 values, not {array.dtype}; quantize floats first")
    if array.ndim < 2 or not array.size:
        raise InvalidInput(f"maps to fit to are a batch [N, C, ...] with values, not {list(array.shape)}")
    return array


def _quantizer(array: NDArray[Any], quantizer: QuantParams | None) -> QuantParams:
    known = quantizer or QuantParams("int8" if array.dtype == "int8" else "uint8", (1.0,), "none")
    if known.dtype != str(array.dtype):
        raise InvalidType(f"the quantizer is for {known.dtype} values, the maps hold {array.dtype}")
    return known
