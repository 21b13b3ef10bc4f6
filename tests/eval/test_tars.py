"""WebDataset's tar files give the images of folders, and what is wrong with them is told by name."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("PIL")
from PIL import Image

from fmapzip.errors import InvalidInput
from fmapzip.eval.data import load_data
from fmapzip.eval.preprocess import protocol

NONE = protocol("none")
RNG = np.random.default_rng(0)


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


def tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as out:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            out.addfile(entry, io.BytesIO(data))
    return path


@pytest.fixture
def pixels() -> np.ndarray:
    return RNG.integers(0, 256, (4, 8, 6, 3), dtype=np.uint8)


def test_images_and_classes_of_several_tar_files_are_read_in_order(tmp_path: Path, pixels: np.ndarray) -> None:
    for part in (0, 1):
        members = {}
        for i in (0, 1):
            members |= {
                f"a/{i}.png": png(pixels[2 * part + i]),
                f"a/{i}.cls": b"%d\n" % (10 * part + i),
                f"a/{i}.json": b"{}",
            }
        tar(tmp_path / f"{part}.tar", members)
    data = load_data(str(tmp_path), NONE)
    assert data.names == ("0.tar/a/0.png", "0.tar/a/1.png", "1.tar/a/0.png", "1.tar/a/1.png")
    assert data.labels is not None
    assert data.labels.tolist() == [0, 1, 10, 11]
    for i in (3, 0, 2, 1):
        np.testing.assert_allclose(data.read(i), pixels[i].transpose(2, 0, 1) / 255, atol=1e-6)
    alone = load_data(str(tmp_path / "1.tar"), NONE)
    assert alone.labels is not None
    assert (len(alone), alone.labels.tolist()) == (2, [10, 11])


def test_without_classes_there_are_no_labels(tmp_path: Path, pixels: np.ndarray) -> None:
    tar(tmp_path / "x.tar", {"0.png": png(pixels[0]), "1.v2.png": png(pixels[1]), "2.PNG": png(pixels[2])})
    data = load_data(str(tmp_path / "x.tar"), NONE)
    assert (data.names, data.labels) == (("x.tar/0.png", "x.tar/2.PNG"), None)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"0.cls": b"1"}, "no images"),
        ({"0.png": b"", "0.jpg": b""}, "a second image of the key '0'"),
        ({"0.png": b"", "0.cls": b"1", "1.png": b""}, r"1\.png: has no \.cls"),
        ({"0.png": b"", "0.cls": b"cat"}, "not a class index"),
        ({"0.png": b"", "0.cls": b"1" * 40}, "no class index"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, members: dict[str, bytes], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        load_data(str(tar(tmp_path / "x.tar", members)), NONE)


def test_damaged_files_and_images_are_named(tmp_path: Path, pixels: np.ndarray) -> None:
    file = tar(tmp_path / "x.tar", {"0.png": png(pixels[0]), "1.png": b"no image"})
    data = load_data(str(file), NONE)
    with pytest.raises(InvalidInput, match=r"x\.tar/1\.png: not an image"):
        data.read(1)
    whole = file.read_bytes()
    for cut in (0, 100, 600, len(png(pixels[0])) + 700):
        file.write_bytes(whole[:cut])
        with pytest.raises(InvalidInput, match=r"x\.tar"):
            load_data(str(file), NONE).read(1)
    file.write_bytes(whole[:560])
    with pytest.raises(InvalidInput, match="cut off"):
        data.read(0)
