"""The report of ``fmapzip traffic``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fmapzip.documents.document import Document, Environment, Part, says


class Chip(Part):
    """What the accelerator is taken to be."""

    buffer_bytes: Annotated[int, says("on-chip memory that rows of a map, or weights, are kept in while a layer runs")]
    dram_pj_per_bit: Annotated[float, says("energy of moving one bit")]
    codec_pj_per_value: Annotated[
        float | None, says("energy of encoding or decoding one value; `null`: estimated, `encode_pj` and `decode_pj`")
    ]
    gate_fj: Annotated[float, says("of that estimate: femtojoules of a gate that changes")]
    bandwidth: Annotated[float, says("of the DRAM, bytes a second")]
    macs_per_second: float


class Loops(Part):
    """The loops of a layer."""

    G: Annotated[int, says("groups of channels")]
    K: Annotated[int, says("channels of output in a group")]
    C: Annotated[int, says("channels of input in a group")]
    OY: Annotated[int, says("rows of output")]
    OX: Annotated[int, says("columns of output")]
    FY: Annotated[int, says("rows of the kernel")]
    FX: int
    SY: Annotated[int, says("stride")]
    SX: int
    DY: Annotated[int, says("dilation")]
    DX: int
    PY: Annotated[int, says("padding at each border")]
    PX: int


class Layer(Part):
    """A layer that reads a map."""

    name: str
    macs: Annotated[int, says("of one image")]
    weight_bytes: Annotated[int, says("in 8 bits")]
    order: Annotated[
        Literal["rows", "weights"],
        says(
            "what stays on chip: bands of the map's rows, and weights are read for each; or parts of the "
            "weights, and the map is read for each"
        ),
    ]
    coded_order: Annotated[Literal["rows", "weights"], says("with the codec, the other one may be cheaper")]
    passes: Annotated[int, says("how many bands, or parts")]
    reads: Annotated[float, says("how often each value of the map is read, halos included")]
    raw_bytes: Annotated[float, says("that it reads of its map and of weights, without the codec")]
    coded_bytes: Annotated[float, says("and with it")]
    coded_reads: Annotated[float, says("how often each value is read then, and decoded")]
    loops: Annotated[
        Loops | None, says("`null` of transposed convolutions, and of those over more than two dimensions")
    ]


class TapTraffic(Part):
    """A stored map, and the layers that read it."""

    name: str
    shape: list[int]
    raw_frame: Annotated[int, says("bytes of one image's map in 8 bits")]
    mean_frame: Annotated[float, says("bytes of its frame, mean over images")]
    worst_frame: Annotated[int, says("bytes of the largest frame")]
    layers: list[Layer]
    raw_bytes: Annotated[float, says("written once, read by each layer, and weights")]
    coded_bytes: float
    worst_bytes: Annotated[float, says("the same for an image whose frame is the largest")]
    encode_pj: Annotated[float | None, says("energy of encoding a value; `null` where no block was measured")]
    decode_pj: Annotated[float | None, says("of decoding it, at each read")]
    macs: int
    raw_macs_per_byte: Annotated[float, says("at least the `ridge`: bound by computing")]
    coded_macs_per_byte: float
    raw_seconds: Annotated[float, says("the longer of computing and moving bytes")]
    coded_seconds: float
    raw_bound: Annotated[Literal["memory", "compute"], says("which is longer")]
    coded_bound: Literal["memory", "compute"]


class Totals(Part):
    """Sums over taps."""

    raw_bytes: float
    coded_bytes: float
    worst_bytes: Annotated[float, says("if every map were its largest at once")]
    raw_millijoules: Annotated[float, says("of the DRAM")]
    coded_millijoules: Annotated[float, says("of the DRAM and the codec")]
    codec_millijoules: Annotated[float, says("of the codec alone")]
    worst_over_mean: Annotated[float, says("the largest frames of all maps over the mean ones")]
    ridge: Annotated[float, says("multiplications a byte from which on a map is bound by computing")]
    raw_seconds: float
    coded_seconds: float


class Traffic(Part):
    """Report. Everything is for one image."""

    schema: Literal[1]
    kind: Literal["traffic"]
    model: str
    data: str
    images: Annotated[int, says("that frames were measured on")]
    codec: Annotated[str, says("its id; `plan` for a plan with several")]
    config: dict[str, Any]
    chip: Chip
    environment: Environment
    left_out: Annotated[
        list[str], says("readers whose weights and MACs are not known: functional calls; their reads count")
    ]
    without_energy: Annotated[
        list[str], says("maps whose codec has no measured block: the energy of coding them is not counted")
    ]
    input_bytes: Annotated[
        float, says("of the network's input and what reads it, which no codec changes; in both totals")
    ]
    input_layers: Annotated[list[Layer], says("what reads the network's input")]
    taps: list[TapTraffic]
    total: Totals


TRAFFIC = Document(title="What a chip would read and write", command="fmapzip traffic", root=Traffic)
