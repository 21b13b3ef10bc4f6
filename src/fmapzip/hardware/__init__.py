"""Encoders and decoders of tiles' bodies as RTL, from Python by Amaranth. `docs/HARDWARE.md` describes the blocks."""

from __future__ import annotations

from fmapzip.errors import MissingExtra

try:
    import amaranth  # noqa: F401  (what follows needs it)
except ImportError as error:
    raise MissingExtra("hardware needs Amaranth: pip install 'fmapzip[hardware]'") from error

from fmapzip.hardware.blocks import BLOCKS, Block, block
from fmapzip.hardware.verilog import verilog

__all__ = ["BLOCKS", "Block", "block", "verilog"]
