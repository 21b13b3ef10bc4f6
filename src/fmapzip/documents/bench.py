"""The report of ``fmapzip bench``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, UnsetType

from fmapzip.documents.document import Document, Environment, Input, Part, says
from fmapzip.documents.maps import MapsOfTap

Figure = float | None


class BenchProtocol(Part):
    """How the maps of a network were made.

    The options, as they were given; `null` where one was not.
    """

    calib: str
    preprocess: str | None
    taps: list[str] | None
    limit: int | None
    images: int | None
    input: Annotated[Input | None, says("what that came to; `null` for the demo's own")] = None


class Source(Part):
    """Where the maps come from."""

    files: Annotated[list[str] | None, says("their names; `null` for a network")]
    quantizer: Annotated[str | None, says("the calibrator of the 8-bit quantizers")]
    calibration_images: int | None
    model: Annotated[str | None, says("as typed, as `data`")] = None
    data: str | None = None
    images: Annotated[int | None, says("how many images the maps are of")] = None
    protocol: BenchProtocol | None = None


class Totals(Part):
    """All taps."""

    raw_bytes: int
    zeros: float
    entropy_bits: Annotated[float, says("order-0 of each tap, a value, pooled")]


class Parts(Part):
    """Where the bytes went."""

    payload: int
    masks: int
    tables: int
    headers: int


class Distortion(Part):
    """Distortion.

    As `eval` gives it, with every tap stored by the method.
    """

    top1: Figure
    top5: Figure
    changed_vs_int8: int | None
    changed_vs_float: int | None
    kl_vs_float: Figure
    kl_vs_int8: Figure
    output_sqnr_db: Figure


class Int8(Part):
    """The 8-bit network, where it ran."""

    top1: Figure
    top5: Figure
    changed_vs_float: int | None
    kl_vs_float: Figure
    output_sqnr_db: Figure


class MethodOnTap(Part):
    """One method on one tap."""

    bytes: int
    side_bytes: int
    parts: Parts
    path: Annotated[str, says("which of its ways a codec of ours took")]
    largest: Annotated[int, says("bytes of the largest map")]
    encode_seconds: float
    decode_seconds: float
    sqnr_db: Figure
    max_error: int


class Method(Part):
    """One method.

    All keys but the first two are absent where its package is not installed.
    """

    label: Annotated[str, says("as it was asked for")]
    status: Annotated[
        str,
        says("`ok`; `missing: ...` where its package is not installed; `wrong: ...` where it broke a promise"),
    ]
    layout: Annotated[
        str | UnsetType, says("of general and image codecs: the order of the values that was the better one")
    ] = UNSET
    codec: Annotated[str | UnsetType, says("its id")] = UNSET
    config: Annotated[dict[str, Any] | UnsetType, says("all settings")] = UNSET
    ours: Annotated[bool | UnsetType, says("whether it is a codec of this package")] = UNSET
    lossless: Annotated[bool | UnsetType, says("whether decoding must be exact")] = UNSET
    speed_meaningful: Annotated[
        bool | UnsetType,
        says("whether its times say something of the method; they do not where it is written in NumPy"),
    ] = UNSET
    source: Annotated[str | UnsetType, says("where it is published")] = UNSET
    bytes: Annotated[int | UnsetType, says("of the encoded maps")] = UNSET
    side_bytes: Annotated[
        int | UnsetType,
        says("kept once beside the maps: the plan of a codec of ours, the side information of a baseline"),
    ] = UNSET
    total_bytes: Annotated[int | UnsetType, says("`bytes` and `side_bytes`")] = UNSET
    parts: Parts | UnsetType = UNSET
    encode_seconds: Annotated[float | UnsetType, says("sum over the maps of their median times")] = UNSET
    decode_seconds: Annotated[float | UnsetType, says("the same; into a preallocated array where the package can")] = (
        UNSET
    )
    encode_spread: Annotated[
        float | UnsetType,
        says("what the median times are above the least ones, as a share of them: how steady they are"),
    ] = UNSET
    decode_spread: Annotated[float | UnsetType, says("the same of decoding")] = UNSET
    peak_bytes: Annotated[
        int | UnsetType | None,
        says(
            "the most resident memory that encoding and decoding one map took beyond what was there before, its "
            "decoded map among it, over the taps; a lower bound, Linux only"
        ),
    ] = UNSET
    sqnr_db: Annotated[Figure | UnsetType, says("of the decoded integers against the integers")] = UNSET
    max_error: int | UnsetType = UNSET
    other_layout_bytes: Annotated[int | UnsetType | None, says("bytes of the layout that was not the better one")] = (
        UNSET
    )
    distortion: Annotated[Distortion | UnsetType | None, says("of lossy methods, where a network ran")] = UNSET
    notes: Annotated[
        list[str] | UnsetType, says("what a reader should know, for instance that maps fell back to a lower level")
    ] = UNSET
    taps: Annotated[list[MethodOnTap] | UnsetType, says("in the order of the report's `taps`")] = UNSET

    def __post_init__(self) -> None:
        fields = [name for name in self.__struct_fields__ if name != "notes"]  # not in reports of before
        absent = [name for name in fields if getattr(self, name) is UNSET]
        if absent and not self.status.startswith("missing"):
            raise ValueError(f"the method {self.label!r} lacks {', '.join(absent)}")


class Bench(Part):
    """Report."""

    schema: Literal[1]
    kind: Literal["bench"]
    source: Source
    repeat: Annotated[
        int,
        says(
            "timed runs of each map at least, after one that is not counted; up to four times as many where they differ"
        ),
    ]
    environment: Environment
    taps: Annotated[list[MapsOfTap], says("one a feature map")]
    totals: Totals
    codecs: Annotated[list[Method], says("the fewest `total_bytes` first, then those that are missing")]
    int8: Annotated[Int8 | None, says("where a network ran with lossy methods")]


BENCH = Document(title="The report of `fmapzip bench`", command="fmapzip bench", root=Bench)
