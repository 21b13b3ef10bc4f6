"""The index of a store of kept feature maps."""

from __future__ import annotations

from typing import Annotated, Literal

from fmapzip.documents.document import Document, Part, says


class Shard(Part):
    """One shard."""

    file: Annotated[str, says("an archive in the store's folder")]
    bytes: int
    samples: Annotated[int, says("how many it has of every map")]


class Store(Part):
    """Store."""

    schema: Literal[1]
    kind: Literal["store"]
    plan: Annotated[str | None, says("hash of the plan that all frames refer to, hexadecimal")]
    taps: Annotated[list[str], says("names of the maps, the same in every shard")]
    shards: Annotated[list[Shard], says("in the order of their samples")]


STORE = Document(
    title="The index of a store",
    command="fmapzip capture",
    root=Store,
    written="`fmapzip capture MODEL DATA -o FOLDER` writes `FOLDER/store.json`, one JSON object",
)
