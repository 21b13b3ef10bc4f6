import numpy as np
import pytest

pytest.importorskip("torch")

from fmapzip.errors import InvalidInput
from fmapzip.eval.data import Dataset
from fmapzip.eval.loading import Batches


def dataset(sides: list[int]) -> Dataset:
    names = tuple(f"image {i}" for i in range(len(sides)))
    labels = np.arange(len(sides), dtype=np.int64)
    return Dataset("test", names, labels, "", lambda i: np.full((1, sides[i], sides[i]), i, np.float32))


def test_batches_cover_the_data_in_order_and_can_be_read_again() -> None:
    batches = Batches(dataset([4] * 7), 3)
    assert len(batches) == 3
    for _ in range(2):
        assert [labels.tolist() for _, labels in batches] == [[0, 1, 2], [3, 4, 5], [6]]
        assert [images[:, 0, 0, 0].tolist() for images, _ in batches] == [[0, 1, 2], [3, 4, 5], [6]]


def test_images_of_different_shapes_are_refused_by_name() -> None:
    for batch in (1, 4):
        with pytest.raises(InvalidInput, match=r"image 2 is \[1, 5, 5\], others are \[1, 4, 4\]"):
            list(Batches(dataset([4, 4, 5]), batch))


def test_a_batch_of_no_images_is_refused() -> None:
    with pytest.raises(InvalidInput, match="at least one image"):
        Batches(dataset([4]), 0)
