"""Core and reference agree byte for byte on every tap of each real network: of one image, by night of two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import battery
import fmapzip
from fmapzip.codecs.base import Codec
from fmapzip.reference import decode as reference_decode
from fmapzip.reference import encode as reference_encode

pytest.importorskip("torch")

IMAGES = 2
CALIBRATION = 2
NETWORKS = {
    "squeezenet1_1": ("imagenet200", None, 17),
    "resnet50v2_trunk": ("imagenet200", None, 39),
    "mobilenetv2_trunk": ("imagenet200", None, 51),
    "cifar_resnet20": ("cifar1000", "cifar", 19),
}

every_network = pytest.mark.parametrize("network", NETWORKS)


@pytest.fixture(scope="module")
def captured(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An archive of each network's 8-bit maps."""
    from fmapzip.eval.capture import capture_maps
    from fmapzip.eval.request import Request

    folder = tmp_path_factory.mktemp("maps")
    for network, (images, preprocess, _) in NETWORKS.items():
        request = Request(
            model=f"{shared_data / 'nets.py'}:{network}",
            data=str(shared_data / images),
            calib=f"first:{CALIBRATION}",
            preprocess=preprocess,
            limit=CALIBRATION + IMAGES,
        )
        capture_maps(request, folder / network, lambda *_: None)
    return {network: folder / network for network in NETWORKS}


def maps_by_tap(archive: Path) -> dict[str, list[NDArray[Any]]]:
    with fmapzip.open(archive) as opened:
        return {name: [opened[name, sample] for sample in opened.samples(name)] for name in opened.names}


@every_network
def test_the_taps_of_a_network_are_as_many_as_its_definition_says(captured: dict[str, Path], network: str) -> None:
    maps = maps_by_tap(captured[network])
    assert len(maps) == NETWORKS[network][2]
    assert all(len(samples) == IMAGES for samples in maps.values())


@every_network
@pytest.mark.parametrize("codec", battery.ON_REAL_MAPS, ids=repr)
def test_core_and_reference_agree_on_every_tap(
    captured: dict[str, Path], network: str, codec: Codec, nightly: bool
) -> None:
    check_agreement(captured, network, codec, IMAGES if nightly else 1)


@pytest.mark.parametrize("network", ["squeezenet1_1", "cifar_resnet20"])
@pytest.mark.parametrize("codec", battery.ON_SMALL_REAL_MAPS, ids=repr)
def test_they_agree_on_the_costly_settings_too(
    captured: dict[str, Path], network: str, codec: Codec, nightly: bool
) -> None:
    check_agreement(captured, network, codec, IMAGES if nightly else 1)


def check_agreement(captured: dict[str, Path], network: str, codec: Codec, images: int) -> None:
    for name, samples in maps_by_tap(captured[network]).items():
        parameters = codec.train(np.stack(samples))
        tap = fmapzip.TapPlan(
            name, samples[0].shape, fmapzip.QuantParams(samples[0].dtype.name, (1.0,)), codec, parameters
        )
        plan = fmapzip.Plan((tap,))
        for q in samples[:images]:
            frame = fmapzip.encode(q, plan=plan)
            assert reference_encode(q, codec.number, parameters, plan=(plan.hash8, 0)) == frame, name
            decoded = fmapzip.decode(frame, plan=plan)
            assert np.array_equal(reference_decode(frame, parameters), decoded), name
            if codec.lossless:
                assert np.array_equal(decoded, q), name
