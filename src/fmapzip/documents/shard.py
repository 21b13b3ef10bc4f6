"""Shard documents: what one shard of an evaluation has counted, to be merged with the others."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from fmapzip.documents.document import Document, Environment, Part, says
from fmapzip.documents.evaluation import Pictures, Protocol
from fmapzip.sums import TEXT

Natural = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Sum = Annotated[str, msgspec.Meta(pattern=TEXT)]
Name = Annotated[str, msgspec.Meta(max_length=100_000)]


class EachOutput(Part):
    """Sums of one output of the network."""

    signal: Sum
    noise: Sum
    divergence: Sum
    images: Natural
    scores: Annotated[bool, says("whether it could be class scores")]
    comparable: Annotated[bool, says("whether it has the float network's shape")]


class NetworkSums(Part):
    """Sums of one network's outputs."""

    images: Annotated[Natural, says("that have class scores")]
    labelled: Natural
    hits1: Natural
    hits5: Natural
    changed_vs_float: Natural
    changed_vs_int8: Natural
    kl_vs_float: Sum
    kl_vs_int8: Sum
    outputs: dict[Name, EachOutput]
    judged: Annotated[list[Name], says("outputs that the total is over")]
    seconds: Sum


class TapSums(Part):
    """Sums of one tap under one codec."""

    samples: Natural
    nonzeros: Natural
    payload_bytes: Natural
    total_bytes: Natural
    largest: Annotated[Natural, says("bytes of the largest frame")]
    signal: Sum
    noise: Sum
    encode_seconds: Sum
    decode_seconds: Sum
    sections: dict[Name, Natural]
    sizes: Annotated[
        list[tuple[Annotated[int, msgspec.Meta(ge=0, le=2**20)], Natural]],
        says("frames by size: a bin, and how many are in it; bins are 1/4096 of the raw size, at least one byte"),
    ]


class CodecSums(Part):
    """Sums of one codec."""

    network: NetworkSums
    taps: list[TapSums]


class EvidenceSums(Part):
    """What tells whether outputs are class scores."""

    hits: Natural
    images: Natural
    classes: Natural | None
    fits: bool


class Sums(Part):
    """All that is counted.

    Sums of floats are exact: a hexadecimal integer and an exponent of two.
    """

    images: Natural
    evidence: EvidenceSums
    float_: NetworkSums = msgspec.field(name="float")
    int8: NetworkSums
    maps: Annotated[
        list[Annotated[list[Natural], msgspec.Meta(min_length=256, max_length=256)]],
        says("one histogram a tap of the 8-bit network"),
    ]
    codecs: list[CodecSums]
    kept: Annotated[list[list[list[Any]]], says("for each network and metric, what it keeps of each image")]


class Calibrated(Part):
    """One tap of the 8-bit network."""

    name: Name
    shape: Annotated[list[Annotated[int, msgspec.Meta(ge=1, le=2**31)]], msgspec.Meta(min_length=1, max_length=4)]
    dtype: Literal["uint8", "int8"]
    zero_point: Annotated[int, msgspec.Meta(ge=-128, le=255)]


class StoredTap(Part):
    """One tap that a codec stores."""

    name: Name
    readers: list[Name]


class PlanOfCodec(Part):
    """The plan of one codec."""

    sha256: Annotated[str, says("of the plan's file")]
    taps: list[StoredTap]
    notes: list[str]


class Facts(Part):
    """What calibration and capturing found, the same in every shard."""

    quantizer: str
    calibration_images: Natural
    classes: Annotated[bool | None, says("whether outputs are class scores; `null` where the images decide")]
    method: str
    notes: list[str]
    skipped_taps: list[Name]
    taps: list[Calibrated]
    plans: list[PlanOfCodec]


class Asked(Part):
    """What was asked for, the same in every shard."""

    versions: Annotated[dict[str, str], says("of fmapzip, PyTorch and NumPy")]
    model: Annotated[str, says("SHA-256 over the names and values of its parameters and buffers")]
    images: Annotated[str, says("SHA-256 over names and classes of all reported images, and the first one's values")]
    calibration: Annotated[str, says("the same of the images that calibrate")]
    count: Annotated[int, msgspec.Meta(ge=0, le=2**31), says("how many images all shards report on together")]
    codecs: Annotated[list[Any], says("settings of the codecs, hashes of the plans")]
    metrics: list[str]
    settings: dict[str, Any]


class Shard(Part):
    """Shard document."""

    schema: Literal[1]
    kind: Literal["eval shard"]
    digest: Annotated[str, says("SHA-256 of the document without this key, as JSON with sorted keys and no spaces")]
    shard: Annotated[int, msgspec.Meta(ge=1, le=2**31), says("which one it is, from 1")]
    shards: Annotated[int, msgspec.Meta(ge=1, le=2**31), says("how many there are")]
    done: Annotated[Natural, says("batches that are counted")]
    batches: Annotated[Natural, says("batches that the shard has; fewer are done where it was interrupted")]
    model: Annotated[str, says("as typed")]
    data: str
    protocol: Protocol
    environment: Environment
    asked: Asked
    facts: Facts
    sums: Sums
    plans: Annotated[list[str], says("plan files in base64; in the first shard alone")]
    pictures: Annotated[Pictures | None, says("of the first image; in the first shard alone")] = None


SHARD = Document(
    title="The document of a shard",
    command="fmapzip eval --shard I/N",
    root=Shard,
    written="`fmapzip eval ... --shard I/N -o FILE` writes one JSON object, and `fmapzip merge` reads it",
)
