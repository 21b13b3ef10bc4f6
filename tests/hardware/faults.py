"""What the software says of a spoilt body, and whether a block says the same."""

from __future__ import annotations

from fmapzip.errors import CorruptFrame, TruncatedFrame
from fmapzip.hardware.streams import Error
from fmapzip.hardware.tiles import Tile
from fmapzip.reference.context_rans import CONTEXT_RANS
from fmapzip.reference.dct_cm import DCT_CM
from fmapzip.reference.zvc import ZVC

REFERENCES = {"zvc": ZVC, "dct-cm": DCT_CM, "context-rans": CONTEXT_RANS}


def software_error(tile: Tile, body: bytes) -> int:
    """How the reference ends with a body instead of the tile's own."""
    try:
        REFERENCES[tile.codec].decode(body, tile.values.shape, tile.below, tile.parameters)  # type: ignore[arg-type]
    except TruncatedFrame:
        return Error.TRUNCATED
    except CorruptFrame:
        return Error.CORRUPT
    return Error.NONE


def agrees(tile: Tile, status: str, error: int) -> bool:
    """Whether a status is the software's; where a bitmap of zvc is cut, a value may be missing before that is seen."""
    told = status.split()
    if tile.codec == "zvc" and error == Error.TRUNCATED:
        return told[0] == "STATUS" and told[1] != str(Error.NONE)
    return told[:2] == ["STATUS", str(error)]
