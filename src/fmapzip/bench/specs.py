"""What ``--codecs`` takes: ``all``, ``ours``, or codecs of ours and baselines by name, with settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fmapzip import baselines, registry
from fmapzip.bench.baseline_codec import BaselineCodec
from fmapzip.bench.methods import Method, OurMethod, of_baseline
from fmapzip.errors import InvalidInput, UnknownCodec
from fmapzip.eval.codec_spec import parse_codec, parse_settings

ALL, OURS = "all", "ours"

_OURS = {
    "zvc": ("",),
    "dct-cm": ("",),
    "context-rans": ("level=fast", "", "level=max", "step=2", "step=4"),
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
    "deflate",
    "pca",
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
)


_NEVER = ("raw", BaselineCodec.id)
"""What the ratios are taken against, and the shell in which baselines run inside a network."""


@dataclass(frozen=True)
class Chosen:
    """The methods of a bench, and those whose package is not installed: label and module."""

    methods: tuple[Method, ...]
    missing: tuple[tuple[str, str], ...]


def choose(text: str, threads: int = 1) -> Chosen:
    """The methods that ``--codecs`` names.

    Parameters
    ----------
    text
        ``all``, ``ours`` or ``NAME[:key=value,...]``, separated by commas. A part with ``=`` and no colon before it is
        a further setting of the codec before it.
    threads
        Threads for codecs of ours.

    Raises
    ------
    UnknownCodec
        The message lists ours and the baselines.
    InvalidInput
        A setting that does not exist or does not fit.

    Examples
    --------
    >>> [method.label for method in choose("zvc,ebpc:block=16").methods]
    ['zvc', 'ebpc:block=16']
    """
    methods: dict[tuple[str, str], Method] = {}
    missing: dict[str, str] = {}
    for label in _labels(text):
        for method, module in _methods(label, threads):
            if module:
                missing[label] = module
            else:
                methods.setdefault((method.label, method.layout), method)
    return Chosen(tuple(methods.values()), tuple(missing.items()))


def _labels(text: str) -> Iterator[str]:
    for part in _parts(text):
        if part in (ALL, OURS):
            yield from _ours()
        if part == ALL:
            yield from _BASELINES
        if part not in (ALL, OURS):
            yield part


def _parts(text: str) -> list[str]:
    found: list[str] = []
    for part in filter(None, (x.strip() for x in text.split(","))):
        head = part.partition("=")[0]
        if "=" in part and ":" not in head:
            if not found:
                raise InvalidInput(f"--codecs {text}: {part!r} is a setting of no codec")
            found[-1] += ("," if ":" in found[-1] else ":") + part
        else:
            found.append(part)
    if not found:
        raise InvalidInput("--codecs names no codec")
    return found


def _ours() -> Iterator[str]:
    for name in registry.names():
        if name not in _NEVER:
            for settings in _OURS.get(name, ("",)):
                yield f"{name}:{settings}" if settings else name


def _methods(label: str, threads: int) -> Iterator[tuple[Method, str]]:
    """The methods of one label, each with the module that it lacks, or ""."""
    name, _, text = label.partition(":")
    if name in registry.names():
        yield OurMethod(label, codec=parse_codec(label), threads=threads), ""
    elif name in baselines.names():
        settings = parse_settings(label, text) if text else {}
        baseline = baselines.make(name, **settings)
        for method in of_baseline(label, baseline, "layout" in settings):
            yield method, baseline.missing()
    else:
        ours = [known for known in registry.names() if known != BaselineCodec.id]
        raise UnknownCodec(f"no codec {name!r}; ours: {', '.join(ours)}; baselines: {', '.join(baselines.names())}")
