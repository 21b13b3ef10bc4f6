"""The blocks by name, with what their parameters may be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from fmapzip.errors import InvalidInput
from fmapzip.hardware import cases
from fmapzip.hardware import context_rans_tiles as rans
from fmapzip.hardware.context_rans import Decoder
from fmapzip.hardware.context_rans_encoder import Encoder
from fmapzip.hardware.dct_cm import MaskDecoder
from fmapzip.hardware.dct_cm_body_decoder import BodyDecoder
from fmapzip.hardware.dct_cm_body_encoder import BodyEncoder
from fmapzip.hardware.dct_cm_encoder import MaskEncoder
from fmapzip.hardware.dct_cm_forward import ForwardTransform
from fmapzip.hardware.dct_cm_inverse import InverseTransform
from fmapzip.hardware.dct_cm_transpose import Transpose
from fmapzip.hardware.dct_graph import LENGTHS
from fmapzip.hardware.rans_tile import TABLES
from fmapzip.hardware.tiles import Tile
from fmapzip.hardware.zvc import ZvcDecoder, ZvcEncoder
from fmapzip.reference.bit_blocks import BLOCK


@dataclass(frozen=True)
class Block:
    """A generator of hardware.

    Attributes
    ----------
    name : of the block
    codec : the codec whose tiles it takes
    widths : values a cycle that it can be made for
    make : values a cycle, and options, to the component
    case : a tile and values a cycle to the words of each stream
    settings : of the codec, with which it makes such tiles
    options : further numbers that it is made for, with which `make` and `cutter` are called too
    cutter : a tile and values a cycle to the tiles that it takes
    """

    name: str
    codec: str
    widths: tuple[int, ...]
    make: Callable[..., Any]
    case: cases.MakeCase
    settings: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, int] = field(default_factory=dict)
    cutter: Callable[..., Iterable[Tile]] = lambda tile, _: (tile,)

    def module_name(self, values: int) -> str:
        """Name of the Verilog module.

        Examples
        --------
        >>> block("zvc-decoder").module_name(8)
        'zvc_decoder_8'
        """
        return f"{self.name.replace('-', '_')}_{values}"

    def component(self, values: int) -> Any:
        """The component for so many values a cycle.

        Raises
        ------
        InvalidInput
            The block cannot be made for so many.
        """
        if values not in self.widths:
            raise InvalidInput(f"{self.name} takes {', '.join(map(str, self.widths))} values a cycle, not {values}")
        return self.make(values, **self.options)

    def cut(self, tile: Tile, values: int) -> Iterable[Tile]:
        """The tiles, as they are taken at so many values a cycle, that a tile is cut into.

        Raises
        ------
        InvalidInput
            It cannot be cut to what the block takes.
        """
        return self.cutter(tile, values, **self.options)

    def with_options(self, given: Mapping[str, int]) -> Block:
        """The block with other numbers for the options that it has.

        Examples
        --------
        >>> block("context-rans-encoder").with_options({"tables": 8}).options
        {'tables': 8, 'groups': 2048}
        """
        return replace(self, options={**self.options, **{k: v for k, v in given.items() if k in self.options}})


POWERS = (1, 2, 4, 8, 16, 32)
FEW = (1, 2, 4, 8)
MASK = {"path": "mask", "coding": "bitmap"}


LANES = (1, 4, 16, 64)


def _transform(
    name: str,
    make: Callable[[int, int], Any],
    case: Callable[..., cases.Case],
    length: int,
    widths: tuple[int, ...] = POWERS,
) -> Block:
    return Block(
        f"dct-cm-{name.format(length)}",
        "dct-cm",
        tuple(width for width in widths if width <= length),
        partial(make, length),
        partial(case, length=length),
        {"path": "transform", "group": length, "step": 4.0, "zero_mask": True, "coding": "bitmap"},
    )


def _to_frequencies(length: int, values: int) -> Transpose:
    return Transpose(BLOCK, length, values)


def _to_positions(length: int, values: int) -> Transpose:
    return Transpose(length, BLOCK, values)


def _body_encoder(length: int, _: int) -> BodyEncoder:
    return BodyEncoder(length)


SHARED = {"level": "default", "weights": "shared"}


def _rans(name: str, make: Callable[..., Any], case: cases.MakeCase, settings: Mapping[str, Any]) -> Block:
    options = {"tables": TABLES, **({"groups": rans.HELD_GROUPS} if name.endswith("encoder") else {})}
    return Block(name, "context-rans", LANES, make, case, settings, options, rans.cut)


def _fast_encoder(lanes: int, tables: int, groups: int) -> Encoder:
    return Encoder(lanes, rans.span_depth(lanes), groups, tables=tables)


def _default_encoder(lanes: int, tables: int, groups: int) -> Encoder:
    return Encoder(lanes, rans.span_depth(lanes), groups, rans.row_depth(lanes), tables)


def _fast_decoder(lanes: int, tables: int) -> Decoder:
    return Decoder(lanes, rans.span_depth(lanes), tables=tables)


def _default_decoder(lanes: int, tables: int) -> Decoder:
    return Decoder(lanes, rans.span_depth(lanes), rans.row_depth(lanes), tables)


def _channels_encoder(lanes: int, tables: int, groups: int) -> Encoder:
    return Encoder(lanes, rans.span_depth(lanes), groups, rans.row_depth(lanes), tables, channels=True)


def _channels_decoder(lanes: int, tables: int) -> Decoder:
    return Decoder(lanes, rans.span_depth(lanes), rans.row_depth(lanes), tables, channels=True)


BLOCKS = (
    Block("zvc-encoder", "zvc", POWERS, ZvcEncoder, cases.zvc_encoder),
    Block("zvc-decoder", "zvc", POWERS, ZvcDecoder, cases.zvc_decoder),
    Block("dct-cm-mask-encoder", "dct-cm", (1,), lambda _: MaskEncoder(), cases.mask_encoder, MASK),
    Block("dct-cm-mask-decoder", "dct-cm", FEW, MaskDecoder, cases.mask_decoder, MASK),
    Block("dct-cm-points-encoder", "dct-cm", (1,), lambda _: MaskEncoder(points=True), cases.points_encoder, MASK),
    Block("dct-cm-points-decoder", "dct-cm", FEW, partial(MaskDecoder, points=True), cases.points_decoder, MASK),
    *(_transform("forward-{}", ForwardTransform, cases.forward_transform, length) for length in LENGTHS),
    *(_transform("to-frequencies-{}", _to_frequencies, cases.to_frequencies, length) for length in LENGTHS),
    *(_transform("to-positions-{}", _to_positions, cases.to_positions, length) for length in LENGTHS),
    *(_transform("transform-{}-encoder", _body_encoder, cases.body_encoder, length, (1,)) for length in LENGTHS),
    *(_transform("transform-{}-decoder", BodyDecoder, cases.body_decoder, length, FEW) for length in LENGTHS),
    *(_transform("inverse-{}", InverseTransform, cases.inverse_transform, length) for length in LENGTHS),
    _rans("context-rans-fast-encoder", _fast_encoder, cases.fast_encoder, {"level": "fast"}),
    _rans("context-rans-fast-decoder", _fast_decoder, cases.fast_decoder, {"level": "fast"}),
    _rans("context-rans-encoder", _default_encoder, cases.default_encoder, SHARED),
    _rans("context-rans-decoder", _default_decoder, cases.default_decoder, SHARED),
    _rans("context-rans-channels-encoder", _channels_encoder, cases.channels_encoder, {"level": "default"}),
    _rans("context-rans-channels-decoder", _channels_decoder, cases.channels_decoder, {"level": "default"}),
)


def block(name: str) -> Block:
    """The block of a name.

    Raises
    ------
    InvalidInput
        There is none.
    """
    found = [each for each in BLOCKS if each.name == name]
    if not found:
        of_codec = [f"{each.name} ({', '.join(map(str, each.widths))})" for each in BLOCKS if each.codec == name]
        if of_codec:
            raise InvalidInput(f"blocks and their values a cycle: {', '.join(of_codec)}")
        raise InvalidInput(f"no block {name!r}; there are: {', '.join(each.name for each in BLOCKS)}")
    return found[0]


def named(name: str, values: int) -> list[Block]:
    """The block of a name, or a codec's blocks that can be made for so many values a cycle.

    Raises
    ------
    InvalidInput
        There is none.

    Examples
    --------
    >>> [each.name for each in named("zvc", 8)]
    ['zvc-encoder', 'zvc-decoder']
    """
    found = [each for each in BLOCKS if each.codec == name and values in each.widths]
    return found or [block(name)]
