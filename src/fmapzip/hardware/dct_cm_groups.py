"""What software tells the inverse transform of ``dct-cm`` about the groups of a tile, and their codes and values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fmapzip.errors import InvalidInput
from fmapzip.hardware.dct_cm_codes import CODE_BITS
from fmapzip.hardware.dct_cm_forward import STEP
from fmapzip.hardware.dct_cm_gather import RUN as FORWARD_RUN
from fmapzip.hardware.dct_cm_inverse import POSITION_BITS, RUN
from fmapzip.hardware.dct_cm_rows import BODY
from fmapzip.hardware.dct_cm_transpose import SIZE
from fmapzip.hardware.streams import words
from fmapzip.hardware.tiles import Tile
from fmapzip.reference.bit_blocks import Reader
from fmapzip.reference.dct_cm import DCT_CM
from fmapzip.reference.dct_cm_parameters import Parameters, group_lengths, parse
from fmapzip.reference.dct_cm_values import block_positions
from fmapzip.reference.tiles import from_bytes


@dataclass(frozen=True)
class Group:
    """A group of a tile's channels, for a transform of length N.

    Attributes
    ----------
    values : uint8 array, [positions, channels]
    below : int
        How many values are negative.
    zero_mask : bool
        Whether there is one.
    steps : list of int
        N of them, 0 for a frequency that is not kept.
    stride : int
        What N is of the group's own length.
    """

    values: NDArray[np.uint8]
    below: int
    zero_mask: bool
    steps: list[int]
    stride: int

    @property
    def run(self) -> int:
        """The descriptor for the inverse transform."""
        fields = {**self._fields(), "lifted": int(self.zero_mask and self.below == 0)}
        return int(RUN.const(fields).as_value().value)

    @property
    def forward_run(self) -> int:
        """The descriptor for the forward transform."""
        fields = {**self._fields(), "masked": int(self.zero_mask), "fold": self.stride.bit_length() - 1}
        return int(FORWARD_RUN.const(fields).as_value().value)

    def _fields(self) -> dict[str, int]:
        positions, channels = self.values.shape
        return {"positions": positions, "channels": channels, "below": self.below}


@dataclass(frozen=True)
class CodedGroup(Group):
    """The same with its codes.

    Attributes
    ----------
    codes : int array, [positions, N]
        Codes of the frequencies; the next bit is set where the channel of the same number is masked.
    """

    codes: NDArray[np.int64]


def coded_again(tile: Tile) -> Tile:
    """The tile of a tile's values: its body is another where decoding lost something."""
    body = DCT_CM.encode(from_bytes(tile.values, tile.below), tile.below, tile.parameters)
    return replace(tile, body=body)


def groups(tile: Tile, length: int) -> Iterator[Group]:
    """The groups of a tile of the transform path with bitmap coding.

    A shorter last group uses every second, fourth or eighth frequency of the transform: then its first values are those
    of the shorter one, bit for bit, since a factor of the transform is the shorter transform of the even frequencies.

    Raises
    ------
    InvalidInput
        The tile is of another path, coding or length, or has too many positions.
    """
    parameters = parse(tile.parameters) if tile.parameters else Parameters(transform=False)
    channels, rows, width = tile.values.shape
    if not parameters.transform or parameters.rans or len(parameters.steps) != length:
        raise InvalidInput(f"the blocks take the transform path of groups of {length} with bitmap coding")
    if rows * width >> POSITION_BITS:
        raise InvalidInput(f"a tile of {rows * width} positions is too large for the blocks of dct-cm")
    values = tile.values.reshape(channels, -1)
    values = values if parameters.order is None else values[parameters.order]
    start = 0
    for short in group_lengths(channels, length):
        steps, stride = [0] * length, length // short
        steps[::stride] = parameters.steps_of(short)
        here = np.ascontiguousarray(values[start : start + short].T)
        yield Group(here, tile.below, parameters.zero_mask, steps, stride)
        start += short


def coded_groups(tile: Tile, length: int) -> list[CodedGroup]:
    """The same with their codes, which are read from the body."""
    reader = Reader(tile.body)
    return [_coded(reader, group, length) for group in groups(tile, length)]


def _coded(reader: Reader, group: Group, length: int) -> CodedGroup:
    positions, channels = group.values.shape
    codes = np.zeros((length, positions), np.int64)
    masked = np.zeros((length, positions), np.int64)
    size = block_positions(positions)
    for at in range(0, positions, size):
        span = slice(at, min(at + size, positions))
        for row in masked[:channels] if group.zero_mask else ():
            row[span] = ~reader.mask(span.stop - at)
        for frequency in np.flatnonzero(group.steps):
            codes[frequency, span] = reader.block(span.stop - at)
    return CodedGroup(**vars(group), codes=(codes | (masked & 1) << CODE_BITS).T)


def body_word(tile: Tile, length: int) -> int:
    """The descriptor of a whole body.

    Raises
    ------
    InvalidInput
        As of `groups`.
    """
    found = list(groups(tile, length))
    positions = len(found[0].values)
    size = block_positions(positions)
    blocks = -(-positions // size)
    fields = {"groups": len(found), "blocks": blocks, "size": size, "last_size": positions - (blocks - 1) * size}
    return int(BODY.const({**fields, "masked": int(found[0].zero_mask)}).as_value().value)


def ends_in_a_word(tile: Tile, length: int, bits: int) -> bool:
    """Whether the bits of a tile's body, without the padding of its last byte, fill words of so many."""
    reader = Reader(tile.body)
    for group in groups(tile, length):
        _coded(reader, group, length)
    return reader.place % bits == 0


def code_words(group: CodedGroup, values: int) -> list[int]:
    """The beats of a group's codes."""
    return words([int(code) for code in group.codes.reshape(-1)], values, CODE_BITS + 1)


def group_words(group: Group, values: int) -> list[int]:
    """The beats of a group's values, which end with each position."""
    found = [word for position in group.values for word in words(position.tobytes(), values)]
    last = words(b"", values)[0]
    return [word & ~last for word in found[:-1]] + found[-1:]


def quantizer_word(step: int) -> int:
    """A step as the forward transform takes it: its rounded reciprocal, which divides 16 bits exactly, and its half.

    Examples
    --------
    >>> [f"{quantizer_word(step):08x}" for step in (0, 4, 5)]
    ['00000000', '00220000', '0023999a']
    """
    if step == 0:
        return 0
    shift = (step - 1).bit_length()
    reciprocal = -(-(1 << 16 + shift) // step) - (1 << 16)
    return int(STEP.const({"reciprocal": reciprocal, "shift": shift, "half": step // 2}).as_value().value)


def blocks_of(group: CodedGroup) -> Iterator[NDArray[np.int64]]:
    """The codes of a group, [positions, N], in blocks of positions."""
    size = block_positions(len(group.codes))
    for at in range(0, len(group.codes), size):
        yield group.codes[at : at + size]


def size_word(shape: tuple[int, ...]) -> int:
    """Rows and items of a block, as the memory that turns it takes them."""
    return int(SIZE.const({"rows": shape[0], "columns": shape[1]}).as_value().value)


def line_words(block: NDArray[np.int64], values: int) -> list[int]:
    """The beats of a block of codes, which end with each line of it."""
    last = words([], values, CODE_BITS + 1)[0]
    found = [word & ~last for line in block for word in words(line.tolist(), values, CODE_BITS + 1)]
    return [*found[:-1], found[-1] | last]
