import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PIL")
from PIL import Image

from fmapzip.errors import InvalidInput
from fmapzip.eval.data import load_data
from fmapzip.eval.preprocess import MEAN, STD, protocol
from fmapzip.eval.split import split


def picture(path: Path, size: tuple[int, int] = (40, 30), value: int = 128) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value, value)).save(path)
    return path


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    for i in range(12):
        picture(tmp_path / f"{i:02}.png")
    rows = "".join(f"{i:02}.png,{i * 7}\n" for i in range(12))
    (tmp_path / "labels.csv").write_text("file,label\n" + rows)
    return tmp_path


def test_labels_csv_gives_files_and_class_indexes_in_its_order(listed: Path) -> None:
    data = load_data(str(listed), protocol("none"))
    assert data.names == tuple(f"{i:02}.png" for i in range(12))
    assert data.labels.tolist() == [7 * i for i in range(12)]
    assert data.read(3).shape == (3, 30, 40)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,class\n00.png,1\n", "columns file,label"),
        ("file,label\n00.png,cat\n", "labels.csv:2: label 'cat'"),
        ("file,label\n00.png,-1\n", "out of range"),
        ("file,label\n00.png\n", "label None"),
        ("file,label\nnot-there.png,1\n", "no such file: 'not-there.png'"),
        ("file,label\n", "lists no images"),
        ("", "columns file,label"),
        ("file,label\n\xff", "labels.csv"),
    ],
)
def test_a_wrong_labels_csv_is_refused_with_its_line(listed: Path, text: str, message: str) -> None:
    (listed / "labels.csv").write_text(text, "latin-1")
    with pytest.raises(InvalidInput, match=message):
        load_data(str(listed))


def test_class_folders_take_their_position_in_sorted_order(tmp_path: Path) -> None:
    for name in ("dog/b.png", "dog/a.png", "cat/c.png"):
        picture(tmp_path / name)
    data = load_data(str(tmp_path))
    assert list(zip(data.names, data.labels.tolist(), strict=True)) == [
        ("cat/c.png", 0),
        ("dog/a.png", 1),
        ("dog/b.png", 1),
    ]


def test_folders_named_by_numbers_take_those_numbers(tmp_path: Path) -> None:
    for name in ("281/a.png", "17/b.png"):
        picture(tmp_path / name)
    data = load_data(str(tmp_path))
    assert dict(zip(data.names, data.labels.tolist(), strict=True)) == {"281/a.png": 281, "17/b.png": 17}


def test_classes_txt_gives_the_indexes_of_class_folders(tmp_path: Path) -> None:
    for name in ("cat/a.png", "dog/b.png"):
        picture(tmp_path / name)
    (tmp_path / "classes.txt").write_text("bird\ndog\nfish\ncat\n")
    assert load_data(str(tmp_path)).labels.tolist() == [3, 1]
    (tmp_path / "classes.txt").write_text("cat\ndog\n", "utf-8-sig")
    assert load_data(str(tmp_path)).labels.tolist() == [0, 1]
    (tmp_path / "classes.txt").write_text("größe\ncat\ndog\n", "latin-1")
    with pytest.raises(InvalidInput, match=r"classes\.txt"):
        load_data(str(tmp_path))
    (tmp_path / "classes.txt").write_text("dog\n")
    with pytest.raises(InvalidInput, match="no line for the folder 'cat'"):
        load_data(str(tmp_path))


def test_a_folder_of_images_alone_has_no_labels(tmp_path: Path) -> None:
    for name in ("b.png", "a.png"):
        picture(tmp_path / name)
    found = load_data(str(tmp_path))
    assert (found.names, found.labels) == (("a.png", "b.png"), None)
    assert found.select([1]).labels is None


def test_what_is_no_folder_of_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no labels\.csv, no folders of images"):
        load_data(str(tmp_path))
    picture(tmp_path / "loose.png")
    with pytest.raises(InvalidInput, match="no such directory"):
        load_data(str(tmp_path / "nowhere"))
    with pytest.raises(InvalidInput, match="not a directory"):
        load_data(str(tmp_path / "loose.png"))


def test_imagenet_preprocessing_scales_the_shorter_side_crops_and_normalises(tmp_path: Path) -> None:
    read = protocol("imagenet").read
    for size in ((500, 300), (300, 500), (20, 20)):
        image = read(picture(tmp_path / "x.png", size, 255))
        assert image.shape == (3, 224, 224)
        assert image.dtype == np.float32
        np.testing.assert_allclose(image[:, 0, 0], (1 - np.array(MEAN)) / STD, rtol=1e-6)


def test_cifar_and_none_keep_the_size(tmp_path: Path) -> None:
    path = picture(tmp_path / "x.png", (32, 32), 51)
    np.testing.assert_allclose(protocol("none").read(path), np.full((3, 32, 32), 0.2, np.float32), rtol=1e-6)
    np.testing.assert_allclose(protocol("cifar").read(path)[:, 5, 5], (0.2 - np.array(MEAN)) / STD, rtol=1e-6)


def test_grey_palette_and_transparent_images_become_rgb(tmp_path: Path) -> None:
    for mode in ("L", "P", "RGBA", "1"):
        Image.new(mode, (8, 8)).save(tmp_path / "x.png")
        assert protocol("none").read(tmp_path / "x.png").shape == (3, 8, 8)


def test_what_is_no_image_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"not an image")
    with pytest.raises(InvalidInput, match=r"x\.png: not an image"):
        protocol("imagenet").read(tmp_path / "x.png")
    whole = picture(tmp_path / "y.png", (300, 300)).read_bytes()
    (tmp_path / "y.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidInput, match=r"y\.png"):
        protocol("imagenet").read(tmp_path / "y.png")
    with pytest.raises(InvalidInput, match="there are: imagenet, cifar, none"):
        protocol("mnist")


def tiny_png(path: Path, width: int, height: int, data: bytes | None = None) -> Path:
    """A grey image of any size in few bytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packed = zlib.compress(bytes((width + 1) * height), 9) if data is None else data
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize("size", [(1, 20000), (20000, 1), (1, 129)])
def test_a_thread_of_an_image_is_refused_before_it_is_scaled_up(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tiny_png(tmp_path / "x.png", *size)
    with pytest.raises(InvalidInput, match=rf"x\.png: {size[0]} x {size[1]} pixels; one side is at most 128 times"):
        protocol("imagenet").read(path)
    assert protocol("none").read(path).shape == (3, size[1], size[0])


@pytest.mark.parametrize("name", ["imagenet", "cifar", "none"])
def test_a_decompression_bomb_is_refused_before_its_pixels_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = tiny_png(tmp_path / "x.png", 60_000, 60_000, b"no pixels at all")
    with pytest.raises(InvalidInput, match=r"x\.png"):
        protocol(name).read(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(InvalidInput, match=r"x\.png: 60000 x 60000 pixels; an image has at most"):
        protocol(name).read(path)


@pytest.mark.filterwarnings("ignore::UserWarning")  # of Pillow, about the damage
@pytest.mark.parametrize("kind", ["png", "bmp", "ppm", "tiff", "gif", "webp", "jpg"])
def test_no_damage_to_an_image_ends_in_another_error(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (12, 9, 3), dtype=np.uint8)).save(tmp_path / f"x.{kind}")
    whole = (tmp_path / f"x.{kind}").read_bytes()
    read, refused = protocol("cifar").read, []
    for _ in range(300):
        data = bytearray(whole[: rng.integers(1, len(whole) + 1)])
        for at in rng.integers(0, min(len(data), 60), rng.integers(0, 4)):
            data[at] = rng.integers(256)
        (tmp_path / f"y.{kind}").write_bytes(data)
        try:
            read(tmp_path / f"y.{kind}")
        except InvalidInput as error:
            refused.append(str(error))
    assert refused
    assert all(f"y.{kind}" in message for message in refused)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.ppm", b"P6 4 x 255\n"),
        ("x.ppm", b"P6\n4 4\n99999999\n"),
        ("x.bmp", b"BM" + bytes(12) + struct.pack("<I", 7)),
        ("x.png", b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0"),
        ("x.tiff", b"II*\0\x08\0\0\0\x01\0\0\x01"),
    ],
)
def test_malformed_headers_are_refused_by_name(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=name):
        protocol("imagenet").read(tmp_path / name)


def test_an_npz_that_is_named_npy_is_no_image(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.zeros((3, 4, 4), np.float32))
    (tmp_path / "x.npz").rename(tmp_path / "x.npy")
    with pytest.raises(InvalidInput, match=r"x\.npy: a \.npz file"):
        protocol("none").read(tmp_path / "x.npy")


def test_none_takes_arrays_as_they_are(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(5, 4, 3)).astype(np.float32)
    np.save(tmp_path / "x.npy", values)
    np.testing.assert_array_equal(protocol("none").read(tmp_path / "x.npy"), values)
    np.save(tmp_path / "x.npy", values[0])
    with pytest.raises(InvalidInput, match=r"expected floats \[C, H, W\]"):
        protocol("none").read(tmp_path / "x.npy")


def test_every_k_calibrates_on_rows_0_k_2k_and_reports_the_others(listed: Path) -> None:
    parts = split(load_data(str(listed)), "every:5")
    assert parts.calibration.labels.tolist() == [0, 35, 70]
    assert parts.images.names == tuple(f"{i:02}.png" for i in range(12) if i % 5)


def test_first_n_calibrates_on_the_first_rows(listed: Path) -> None:
    parts = split(load_data(str(listed)), "first:4")
    assert parts.calibration.names == ("00.png", "01.png", "02.png", "03.png")
    assert len(parts.images) == 8


def test_a_directory_calibrates_whole_and_all_rows_are_reported(listed: Path, tmp_path: Path) -> None:
    picture(tmp_path / "other" / "0" / "x.png")
    parts = split(load_data(str(listed)), str(tmp_path / "other"))
    assert parts.calibration.names == ("0/x.png",)
    assert len(parts.images) == 12


@pytest.mark.parametrize("rule", ["every:1", "first:12", "every:0", "first:0", "last:3", "every:", "nowhere"])
def test_a_split_without_images_or_sense_is_refused(listed: Path, rule: str) -> None:
    with pytest.raises(InvalidInput, match="--calib"):
        split(load_data(str(listed)), rule)


def test_selecting_rows_reads_those_images(listed: Path) -> None:
    picture(listed / "03.png", (10, 20))
    assert load_data(str(listed), protocol("none")).select([3]).read(0).shape == (3, 20, 10)
