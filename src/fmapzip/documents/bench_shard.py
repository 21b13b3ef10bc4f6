"""Documents of a bench's shards: what every method made of the maps of one shard's images, to be merged."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from fmapzip.documents.bench import Source
from fmapzip.documents.document import Document, Environment, Part, says
from fmapzip.documents.shard import Asked, Name, Natural, NetworkSums


class TapFigures(Part):
    """What one method made of one tap, summed over the samples."""

    parts: Annotated[dict[str, Natural], says("bytes of the encoded maps by where they went")]
    side_bytes: Annotated[Natural, says("kept once beside the maps")]
    path: Annotated[str, says("which of its ways a codec of ours took")]
    layout: Annotated[str, says("of general and image codecs: the order of the values")]
    bytes: Annotated[Natural, says("all bytes of the encoded maps")] = 0
    largest: Annotated[Natural, says("bytes of the largest map")] = 0
    encode_seconds: Annotated[float, says("sum of the medians")] = 0.0
    decode_seconds: float = 0.0
    encode_excess: Annotated[float, says("what the medians are above the least times, summed")] = 0.0
    decode_excess: float = 0.0
    squared_error: Annotated[Natural, says("of the decoded integers against the integers")] = 0
    signal: Natural = 0
    max_error: Natural = 0
    peak_bytes: Annotated[
        Natural | None, says("memory that the first sample took, its decoded map among it, beyond what there was")
    ] = None
    wrong: Annotated[str, says("where a promise was broken, how")] = ""


class TapMaps(Part):
    """The maps of one tap."""

    name: Name
    shape: Annotated[list[Annotated[int, msgspec.Meta(ge=1, le=2**31)]], msgspec.Meta(min_length=1, max_length=4)]
    dtype: Literal["uint8", "int8"]
    zero_point: Annotated[int, msgspec.Meta(ge=-128, le=255)]
    samples: Natural
    counts: Annotated[
        list[Natural], msgspec.Meta(min_length=256, max_length=256), says("of each value, the least first")
    ]


class MethodFigures(Part):
    """One method."""

    label: Annotated[str, says("as it was asked for")]
    layout: str
    facts: Annotated[dict[str, Any], says("what the report says of it beside its figures")]
    plan: Annotated[str | None, says("SHA-256 of its plan's file, of a codec of ours on a network")]
    plan_bytes: Natural | None
    notes: Annotated[list[str], says("what to tell of it")]
    taps: Annotated[list[TapFigures], says("as `taps` of the figures")]
    outputs: Annotated[NetworkSums | None, says("of the network with its maps stored by a lossy method")] = None


class Figures(Part):
    """All that was counted."""

    taps: Annotated[list[TapMaps], says("none where the shard has no images")]
    methods: list[MethodFigures]
    missing: Annotated[list[tuple[str, str]], says("methods whose package is not installed, with its module")]
    classes: Annotated[bool | None, says("whether outputs are class scores; `null` where no network ran")] = None
    int8: Annotated[NetworkSums | None, says("of the 8-bit network, where it ran")] = None


class BenchShard(Part):
    """Shard document."""

    schema: Literal[1]
    kind: Literal["bench shard"]
    digest: Annotated[str, says("SHA-256 of the document without this key, as JSON with sorted keys and no spaces")]
    shard: Annotated[int, msgspec.Meta(ge=1, le=2**31), says("which one it is, from 1")]
    shards: Annotated[int, msgspec.Meta(ge=1, le=2**31), says("how many there are")]
    source: Source
    repeat: Natural
    environment: Environment
    asked: Asked
    figures: Figures


BENCH_SHARD = Document(
    title="The document of a bench's shard",
    command="fmapzip bench --shard I/N",
    root=BenchShard,
    written="`fmapzip bench ... --shard I/N -o FILE` writes one JSON object, and `fmapzip merge` reads it",
)
