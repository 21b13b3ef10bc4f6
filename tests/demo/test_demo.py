from typing import Literal

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from fmapzip.demo import TRAIN_ROWS, digits, network, train
from fmapzip.demo.digits import normalise
from fmapzip.demo.network import WEIGHTS
from fmapzip.errors import InvalidInput


def test_the_digits_are_split_once_and_enlarged() -> None:
    (train_images, train_labels), (test_images, test_labels) = digits("train"), digits("test")
    assert train_images.shape == (TRAIN_ROWS, 32, 32)
    assert test_images.shape == (450, 32, 32)
    assert len(train_labels) + len(test_labels) == 1797
    assert (test_images.min(), test_images.max(), test_images.dtype) == (0, 255, np.uint8)
    with pytest.raises(InvalidInput, match="'train' and 'test'"):
        digits("validation")  # type: ignore[arg-type]


def test_the_weights_are_small_and_know_the_held_out_digits() -> None:
    assert WEIGHTS.stat().st_size < 500_000
    images, labels = digits("test")
    with torch.inference_mode():
        predicted = network()(torch.from_numpy(normalise(images))).argmax(1).numpy()
    assert (predicted == labels).sum() >= 443


def test_training_again_gives_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def few(part: Literal["train", "test"]) -> tuple[torch.Tensor, torch.Tensor]:
        images, labels = digits(part)
        return torch.from_numpy(normalise(images[:96])), torch.from_numpy(labels[:96])

    monkeypatch.setattr(train, "load", few)
    threads = torch.get_num_threads()
    first, second = (train.train(epochs=2).state_dict() for _ in range(2))
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert first.keys() == network().state_dict().keys()
