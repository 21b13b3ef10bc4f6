"""``fmapzip encode`` and ``decode``: arrays in files to frames in an archive, and back."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fmapzip.atomic import replacing
from fmapzip.cli.app import app
from fmapzip.cli.console import counted, say
from fmapzip.cli.exits import tell
from fmapzip.cli.options import MaxValues, check_archive, limits_of

SINGLE = "single maps"
"""In an archive's metadata: the names whose one sample was an array without a sample axis."""

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fmapzip.archive import Archive, ArchiveWriter
    from fmapzip.codecs.base import Codec
    from fmapzip.frame import Limits


@app.command()
def encode(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A .npy, .npz or .safetensors file.")],
    target: Annotated[Path, typer.Argument(metavar="OUT.fmz", help="The archive to write.")],
    codec: Annotated[str, typer.Option(metavar="NAME[:key=value,...]", help="The codec and its settings.")] = "zvc",
    quantizer: Annotated[str, typer.Option(help="For floats: minmax, percentile:P or mse.")] = "minmax",
    batched: Annotated[
        bool, typer.Option("--batched", help="The first axis counts samples also in arrays of fewer than 4 dimensions.")
    ] = False,
    threads: Annotated[int, typer.Option(min=1, help="Codec threads.")] = 1,
    max_values: MaxValues = None,
) -> None:
    """Encode the arrays of a file into an archive.

    8-bit integers are stored as they are, floats are quantized. [C,H,W], [C,L] and [F] arrays are one map each;
    [N,C,H,W] and [N,C,D,H,W] arrays are N samples of one map.
    """
    from fmapzip.archive import ArchiveWriter
    from fmapzip.arrays import read_arrays
    from fmapzip.eval.codec_spec import parse_codec

    check_archive(target)
    made, limits = parse_codec(codec), limits_of(max_values)
    raw = maps = 0
    single = []
    with replacing(target) as temporary, ArchiveWriter(temporary) as archive:
        for name, array in read_arrays(source):
            is_batch = batched or array.ndim >= 4
            samples = array if is_batch else array[None]
            _encode_samples(archive, name, samples, made, quantizer, {"threads": threads, "limits": limits})
            raw, maps = raw + array.size, maps + len(samples)
            single += [] if is_batch else [name]
        archive.describe({"source": source.name, "codec": made.config(), "quantizer": quantizer, SINGLE: single})
    total = archive.size
    say(f"{target}: {counted(maps, 'map')}, {raw} values in {total} bytes, ratio to 8-bit {raw / total:.3f}")


def _encode_samples(
    archive: ArchiveWriter, name: str, samples: NDArray[Any], codec: Codec, quantizer: str, options: dict[str, Any]
) -> None:
    import numpy as np

    from fmapzip.api import encode as encode_map
    from fmapzip.errors import InvalidInput, InvalidType
    from fmapzip.geometry import MAX_DIMS
    from fmapzip.quantize import make_observer

    if not 1 < samples.ndim <= 1 + MAX_DIMS:
        raise InvalidInput(
            f"{name!r} has {samples.ndim - 1} dimensions a sample: expected [C,D,H,W], [C,H,W], [C,L] or [F]"
        )
    if samples.size == 0:
        raise InvalidInput(f"{name!r} is empty: its samples have shape {list(samples.shape[1:])}")
    params = None
    if samples.dtype.kind == "f":
        observer = make_observer(quantizer, name)
        for sample in samples:
            observer.update(sample[None])
        params = observer.finish()
    elif samples.dtype not in (np.uint8, np.int8):
        raise InvalidType(f"{name!r} holds {samples.dtype}: expected uint8, int8 or floats")
    for i, sample in enumerate(samples):
        q = sample if params is None else params.quantize(sample, name=name)
        archive.add(name, i, encode_map(np.ascontiguousarray(q), codec, quantizer=params, **options))


@app.command()
def decode(
    source: Annotated[Path, typer.Argument(metavar="IN.fmz", help="An archive.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The .npy, .npz or .safetensors file to write.")],
    name: Annotated[str, typer.Option(metavar="GLOB", help="Only the maps of these names.")] = "*",
    dequantize: Annotated[bool, typer.Option("--dequantize", help="Floats by each frame's quantizer.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="Codec threads.")] = 1,
    max_values: MaxValues = None,
) -> None:
    """Decode an archive into a file of arrays.

    They are integers, or with --dequantize floats. A map's samples become one array [N,...]; where they differ in
    shape, or some are missing, one array each, named NAME/SAMPLE.
    """
    from fmapzip.archive import Archive
    from fmapzip.arrays import write_arrays
    from fmapzip.errors import InvalidInput

    limits = limits_of(max_values)
    with Archive(source, limits) as archive, replacing(target) as temporary:
        if archive.recovered:
            tell(f"{source} has no index: read up to its last whole frame, {counted(len(archive), 'frame')}")
        names = [x for x in archive.names if fnmatchcase(x, name)]
        if not names:
            raise InvalidInput(f"{source} has no map named {name!r}; it has: {', '.join(archive.names) or 'none'}")
        write_arrays(temporary, _decoded(archive, names, dequantize, threads, limits), target.suffix.lower())
    say(f"{target}: {counted(len(names), 'map')}")


def _decoded(
    archive: Archive, names: list[str], dequantize: bool, threads: int, limits: Limits
) -> Iterator[tuple[str, NDArray[Any]]]:
    import numpy as np

    from fmapzip.frame import parse_only

    def read(name: str, sample: int) -> NDArray[Any]:
        return archive.read(name, sample, dequantize=dequantize, threads=threads)

    stated = archive.metadata.get(SINGLE)
    single = {x for x in stated if isinstance(x, str)} if isinstance(stated, list) else set()
    for name in names:
        samples = archive.samples(name)
        headers = [parse_only(archive.frame(name, i), limits) for i in samples]
        alike = len({(tuple(x.shape), x.signed) for x in headers}) == 1 and samples == list(range(len(samples)))
        if name in single and samples == [0]:
            yield name, read(name, 0)
        elif alike:
            first = read(name, 0)
            stack = np.empty((len(samples), *first.shape), first.dtype)
            for i in samples:
                stack[i] = read(name, i)
            yield name, stack
        else:
            yield from ((f"{name}/{i}", read(name, i)) for i in samples)
