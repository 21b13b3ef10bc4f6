"""Pictures of maps: which maps and channels are shown, and that a difference is drawn only where there is one."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from PIL import Image
from torch import nn

from fmapzip.registry import make
from fmapzip.torch import evaluate
from fmapzip.torch.pictures import Floats, MapPicture, input_picture, picture


def opened(address: str) -> Image.Image:
    assert address.startswith("data:image/png;base64,")
    return Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))


def ramp(channels: int, side: int) -> Floats:
    values = np.linspace(0, 1, channels * side * side, dtype=np.float32)
    return values.reshape(channels, side, side)


def test_channels_are_shown_from_the_most_energetic_down_to_a_weaker_quarter() -> None:
    assert picture(3, ramp(8, 4), []).channels == (7, 5, 3, 1)


def test_an_equal_map_has_no_difference_and_another_one_has_a_drawn_one() -> None:
    reference = ramp(4, 8)
    found = picture(0, reference, [reference.copy(), reference + np.float32(0.25)])
    assert found.difference[0] is None
    assert found.largest == (0, pytest.approx(0.25))
    assert found.difference[1] is not None
    assert opened(found.difference[1]).convert("RGB").getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize("shape", [(1, 1, 9), (3, 200, 70), (2, 64, 64), (64, 7, 7)])
def test_maps_of_any_size_are_drawn_small(shape: tuple[int, int, int]) -> None:
    found = picture(0, np.ones(shape, np.float32), [])
    assert max(opened(found.reference).size) <= 2 * 64 + 2


def test_an_input_that_is_no_picture_is_left_out() -> None:
    assert input_picture(torch.zeros(2, 5, 8, 8)) is None
    shown = input_picture(torch.rand(2, 3, 300, 200))
    assert shown is not None
    assert max(opened(shown).size) == 160


def test_an_evaluation_draws_the_first_image_whatever_the_batch() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))
    images = torch.rand(4, 3, 12, 12)

    def drawn(batch: int) -> tuple[MapPicture, ...]:
        codecs = [make("zvc"), make("context-rans", step=4)]
        found = evaluate(net, images.split(batch), codecs, calibration=[images], pictures=True).pictures
        assert found is not None
        return found.maps

    maps = drawn(1)
    assert maps == drawn(4)
    assert [one.tap for one in maps] == [0, 1]
    assert all(one.difference[0] is None and one.difference[1] is not None for one in maps)


def test_nothing_is_drawn_unless_asked() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))
    images = torch.rand(2, 3, 8, 8)
    assert evaluate(net, [images], [make("zvc")], calibration=[images]).pictures is None
