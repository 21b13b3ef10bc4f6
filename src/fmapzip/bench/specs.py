"""What ``bench --codec`` takes: ``all``, ``ours``, or a codec of ours or a baseline by name, with settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fmapzip import baselines, registry
from fmapzip.bench.baseline_codec import BaselineCodec
from fmapzip.bench.methods import Method, OurMethod, of_baseline
from fmapzip.errors import InvalidInput, UnknownCodec
from fmapzip.eval.codec_spec import parse_codec, read_spec

ALL, OURS = "all", "ours"

_OURS = {
    "zvc": ("",),
    "dct-cm": ("",),
    "context-rans": ("level=fast", "", "level=max", "level=ultra", "step=2", "step=4"),
}
"""Settings that stand for each codec of ours; one that is not listed stands for itself."""

_BASELINES = (
    "eyeriss-rlc",
    "zero-bursts",
    "csc",
    "ebpc:block=8",
    "ebpc:block=16",
    "huffman",
    "rans0",
    "apack",
    "deflate",
    "pca",
    "projection:bits=2",
    "projection:bits=4",
    "projection:bits=8,error=1.3",
    "jpeg-act:table=optL,coding=zvc",
    "jpeg-act:table=optL,coding=huffman",
    "jpeg-act:table=optH,coding=zvc",
    "jpeg-act:table=optH,coding=huffman",
    "zstd:level=1",
    "zstd:level=3",
    "zstd:level=19",
    "lz4",
    "lz4:level=9",
    "blosc2:cname=lz4,shuffle=none",
    "blosc2:cname=lz4,shuffle=bit",
    "blosc2:cname=zstd,shuffle=none",
    "blosc2:cname=zstd,shuffle=bit",
    "pcodec",
    "zfp:rate=4",
    "zfp:tolerance=2",
    "brotli",
    "xz",
    "jpeg-ls",
    "jpeg-xl",
)


_NEVER = ("raw", BaselineCodec.id)
"""What the ratios are taken against, and the shell in which baselines run inside a network."""


@dataclass(frozen=True)
class Chosen:
    """The methods of a bench, and those whose package is not installed: label and module."""

    methods: tuple[Method, ...]
    missing: tuple[tuple[str, str], ...]


def choose(specs: Sequence[str], threads: int = 1) -> Chosen:
    """The methods that ``--codec`` names.

    Parameters
    ----------
    specs
        Each ``all``, ``ours`` or ``NAME[:key=value,...]``.
    threads
        Threads for codecs of ours.

    Raises
    ------
    UnknownCodec
        The message lists ours and the baselines.
    InvalidInput
        A setting that does not exist or does not fit, or maps coded with others.

    Examples
    --------
    >>> [method.label for method in choose(["zvc", "ebpc:block=16"]).methods]
    ['zvc', 'ebpc:block=16']
    """
    methods: dict[tuple[str, str], Method] = {}
    missing: dict[str, str] = {}
    for label in _labels(specs):
        for method, module in _methods(label, threads):
            if module:
                missing[label] = module
            else:
                methods.setdefault((method.label, method.layout), method)
    return Chosen(tuple(methods.values()), tuple(missing.items()))


def _labels(specs: Sequence[str]) -> Iterator[str]:
    for part in specs:
        if part in (ALL, OURS):
            yield from _ours()
        if part == ALL:
            yield from _BASELINES
        if part not in (ALL, OURS):
            yield part


def _ours() -> Iterator[str]:
    for name in registry.names():
        if name not in _NEVER:
            for settings in _OURS.get(name, ("",)):
                yield f"{name}:{settings}" if settings else name


def _methods(label: str, threads: int) -> Iterator[tuple[Method, str]]:
    """The methods of one label, each with the module that it lacks, or ""."""
    name = label.partition(":")[0]
    if name in registry.names():
        codec = parse_codec(label)
        if codec.longest_chain:
            raise InvalidInput(f"{label}: a bench measures each map by itself; `fmapzip eval` measures references")
        yield OurMethod(label, codec=codec, threads=threads), ""
    elif name in baselines.names():
        settings = read_spec(label)[1]
        baseline = baselines.make(name, **settings)
        for method in of_baseline(label, baseline, "layout" in settings):
            yield method, baseline.missing()
    else:
        ours = [known for known in registry.names() if known != BaselineCodec.id]
        raise UnknownCodec(f"no codec {name!r}; ours: {', '.join(ours)}; baselines: {', '.join(baselines.names())}")
