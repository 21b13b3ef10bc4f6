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
    run, forward_run : int
        Its descriptors, for the inverse and the forward transform.
    steps : list of int
        N of them, 0 for a frequency that is not kept.
    codes : int array, [positions, N]
        Codes of the frequencies; the next bit is set where the channel of the same number is masked.
    values : uint8 array, [positions, channels]
    """

    run: int
    forward_run: int
    steps: list[int]
    codes: NDArray[np.int64]
    values: NDArray[np.uint8]


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
    reader, start = Reader(tile.body), 0
    for short in group_lengths(channels, length):
        here = values[start : start + short]
        yield _group(reader, here, parameters, short, length, tile.below)
        start += short


def _group(
    reader: Reader, values: NDArray[np.uint8], parameters: Parameters, short: int, length: int, below: int
) -> Group:
    channels, positions = values.shape
    stride = length // short
    steps = np.zeros(length, np.int64)
    steps[::stride] = parameters.steps_of(short)
    codes = np.zeros((length, positions), np.int64)
    masked = np.zeros((length, positions), np.int64)
    size = block_positions(positions)
    for at in range(0, positions, size):
        span = slice(at, min(at + size, positions))
        for row in masked[:channels] if parameters.zero_mask else ():
            row[span] = ~reader.mask(span.stop - at)
        for frequency in np.flatnonzero(steps):
            codes[frequency, span] = reader.block(span.stop - at)
    run = RUN.const(
        {
            "positions": positions,
            "channels": channels,
            "below": below,
            "lifted": int(parameters.zero_mask and below == 0),
        }
    )
    forward_run = FORWARD_RUN.const(
        {
            "positions": positions,
            "channels": channels,
            "below": below,
            "masked": int(parameters.zero_mask),
            "fold": stride.bit_length() - 1,
        }
    )
    return Group(
        int(run.as_value().value),
        int(forward_run.as_value().value),
        [int(step) for step in steps],
        (codes | (masked & 1) << CODE_BITS).T,
        np.ascontiguousarray(values.T),
    )


def code_words(group: Group, values: int) -> list[int]:
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


def blocks_of(group: Group) -> Iterator[NDArray[np.int64]]:
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
