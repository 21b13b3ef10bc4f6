"""The report of ``fmapzip traffic``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fmapzip.documents.document import Document, Environment, Part, says


class Chip(Part):
    """What the accelerator is taken to be."""

    buffer_bytes: Annotated[int, says("on-chip memory that rows of a map, or weights, are kept in while a layer runs")]
    dram_pj_per_bit: Annotated[float, says("energy of moving one bit")]
    codec_pj_per_value: Annotated[float, says("energy of encoding or decoding one value")]
    bandwidth: Annotated[float, says("of the DRAM, bytes a second")]
    macs_per_second: float


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
    macs: int
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
    input_bytes: Annotated[
        float, says("of the network's input and what reads it, which no codec changes; in both totals")
    ]
    taps: list[TapTraffic]
    total: Totals


TRAFFIC = Document(title="What a chip would read and write", command="fmapzip traffic", root=Traffic)
