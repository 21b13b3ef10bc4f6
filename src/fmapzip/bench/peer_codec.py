"""A peer inside the network: its bytes in frames, so that the damage it does is measured as for codecs of ours."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fmapzip import peers, registry
from fmapzip.bench.source import Source
from fmapzip.codecs.base import Codec, IntegerMap, PythonCodec
from fmapzip.errors import CorruptFrame
from fmapzip.peers.base import Peer
from fmapzip.plan import Plan, TapPlan


@registry.register
@dataclass(frozen=True, repr=False)
class PeerCodec(PythonCodec):
    """Any peer as a codec; which one, and its side information, are its parameters."""

    id: ClassVar[str] = "bench-peer"

    @property
    def lossless(self) -> bool:
        """Not promised: the peer is known only from the parameters."""
        return False

    def encode_tile(self, tile: IntegerMap, parameters: bytes) -> bytes:
        """The peer's bytes."""
        peer, side = _read(parameters)
        return peer.encode(np.ascontiguousarray(tile), side)  # type: ignore[arg-type]

    def decode_tile(
        self, body: bytes, shape: tuple[int, int, int], dtype: np.dtype[Any], parameters: bytes
    ) -> IntegerMap:
        """The peer's map."""
        peer, side = _read(parameters)
        try:
            return peer.decode(body, shape, dtype, side)
        except ValueError as error:
            raise CorruptFrame(f"{peer.id}: {error}") from error


def peer_plan(peer: Peer, sides: Sequence[bytes], source: Source) -> Plan | None:
    """The plan that stores every tap by a peer, with the quantizers of the source; None without a network."""
    exact = source.plan(registry.make("raw"))
    if exact is None:
        return None
    head = json.dumps(peer.config()).encode() + b"\0"
    codec: Codec = PeerCodec()
    taps = (
        TapPlan(tap.name, tap.shape, tap.quantizer, codec, head + side) for tap, side in zip(exact, sides, strict=True)
    )
    return Plan(tuple(taps), exact.metadata)


def _read(parameters: bytes) -> tuple[Peer, bytes]:
    head, _, side = parameters.partition(b"\0")
    settings = json.loads(head)
    return peers.make(settings.pop("codec"), **settings), side
