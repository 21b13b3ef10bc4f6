"""The lossless baselines on every tap of the four real networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fmapzip import baselines
from fmapzip.archive import Archive

MOST_CHANNELS = {"apack": 2}
"""Of each map, else 8: methods in NumPy are slow, and no method here looks further than the values before it."""

LOSSLESS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("eyeriss-rlc", {}),
    ("zero-bursts", {}),
    ("csc", {}),
    ("csc", {"columns": "channel"}),
    ("ebpc", {"block": 8}),
    ("ebpc", {"block": 16}),
    ("huffman", {}),
    ("rans0", {}),
    ("deflate", {"level": 1}),
    ("zstd", {"level": 1}),
    ("zstd", {"level": 1, "layout": "channels-last"}),
    ("lz4", {}),
    ("blosc2", {}),
    ("pcodec", {}),
    ("zfp", {"tolerance": 0.4}),
    ("apack", {}),
    ("jpeg-ls", {}),
    ("jpeg-ls", {"layout": "tiled"}),
    ("jpeg-xl", {"effort": 1}),
)

NETWORKS = {
    "cifar_resnet20": ("cifar1000", "cifar"),
    "squeezenet1_1": ("imagenet200", "imagenet"),
    "mobilenetv2_trunk": ("imagenet200", "imagenet"),
    "resnet50v2_trunk": ("imagenet200", "imagenet"),
}


@pytest.fixture(scope="module", params=NETWORKS)
def maps(request: pytest.FixtureRequest, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One image's maps of a network, by tap."""
    pytest.importorskip("torch")
    from fmapzip.eval.capture import capture_maps
    from fmapzip.eval.request import Request

    folder, preprocess = NETWORKS[request.param]
    asked = Request(
        f"{shared_data / 'nets.py'}:{request.param}",
        str(shared_data / folder),
        preprocess=preprocess,
        calib="first:1",
        limit=2,
        torch_threads=1,
    )
    path = tmp_path_factory.mktemp("maps") / "maps.fmz"
    capture_maps(asked, path, lambda *_: None)
    with Archive(path) as archive:
        return {name: archive[name, 0] for name in archive.names}


@pytest.mark.parametrize(("name", "config"), LOSSLESS, ids=str)
def test_decoding_is_exact_on_every_tap(name: str, config: dict[str, Any], maps: dict[str, NDArray[Any]]) -> None:
    method = baselines.make(name, **config)
    if method.missing():
        pytest.skip(f"{method.missing()} is not installed")
    for tap, whole in maps.items():
        q = np.ascontiguousarray(whole[: MOST_CHANNELS.get(name, 8)])
        side = method.train(q[None]) if method.trained else b""
        data = method.encode(q, side)
        assert np.array_equal(method.decode(data, q.shape, q.dtype, side), q), tap
