"""Every form of data gives samples one by one, and what is wrong with it is told by the file's name."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("PIL")
torch = pytest.importorskip("torch")
from PIL import Image

from fmapzip.errors import InvalidInput
from fmapzip.eval.data import load_data
from fmapzip.eval.input_options import InputOptions
from fmapzip.eval.loading import Batches
from fmapzip.eval.preprocess import IMAGENET, protocol
from fmapzip.eval.sources.rows import from_rows
from fmapzip.torch import TakesImageList, evaluate
from fmapzip.torch.batches import Batches as AnyBatches

RNG = np.random.default_rng(0)
NONE = protocol("none")


def photo(path: Path, height: int = 8, width: int = 12) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def test_a_batch_of_floats_in_a_npy_file_is_what_the_network_reads(tmp_path: Path) -> None:
    values = RNG.normal(size=(5, 3, 4, 6)).astype(np.float32)
    np.save(tmp_path / "x.npy", values)
    data = load_data(str(tmp_path / "x.npy"))
    assert (data.names[4], data.labels) == ("x.npy[4]", None)
    np.testing.assert_array_equal(np.stack([data.read(i) for i in range(5)]), values)


def test_a_folder_of_npy_files_holds_samples_and_batches(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((3, 4, 6), np.float32))
    np.save(tmp_path / "b.npy", np.ones((2, 3, 4, 6), np.float32))
    np.save(tmp_path / "c.npy", RNG.integers(0, 256, (2, 4, 6, 3), dtype=np.uint8))
    data = load_data(str(tmp_path), NONE)
    assert data.names == ("a.npy", "b.npy[0]", "b.npy[1]", "c.npy[0]", "c.npy[1]")
    assert [tuple(data.read(i).shape) for i in range(5)] == [(3, 4, 6)] * 5
    assert data.read(4).max() <= 1


@pytest.mark.parametrize("damage", ["cut", "text", "integers"])
def test_a_npy_file_that_cannot_be_read_is_named(tmp_path: Path, damage: str) -> None:
    np.save(tmp_path / "bad.npy", np.zeros((2, 3, 4, 6), np.int32 if damage == "integers" else np.float32))
    whole = (tmp_path / "bad.npy").read_bytes()
    (tmp_path / "bad.npy").write_bytes({"cut": whole[:200], "text": b"nothing", "integers": whole}[damage])
    with pytest.raises(InvalidInput, match=r"bad\.npy"):
        load_data(str(tmp_path / "bad.npy")).read(0)


def coco(root: Path, **changes: Any) -> Path:
    photo(root / "a.jpg", 20, 40)
    photo(root / "b.jpg", 30, 10)
    found = {
        "images": [
            {"id": 7, "file_name": "a.jpg", "height": 20, "width": 40},
            {"id": 9, "file_name": "b.jpg", "height": 30, "width": 10},
        ],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "bbox": [1, 2, 10, 5], "area": 44.0}],
        "categories": [{"id": 3, "name": "cat"}],
        **changes,
    }
    (root / "annotations.json").write_text(json.dumps(found))
    return root


def test_a_coco_folder_gives_each_image_its_objects_and_where_it_lies_in_the_input(tmp_path: Path) -> None:
    data = load_data(str(coco(tmp_path)), InputOptions(letterbox="10").applied(NONE))
    assert (data.names, data.labels) == (("a.jpg", "b.jpg"), None)
    assert data.target is not None
    first = data.target(0)
    assert (first["image_id"], first["scale"], first["offset"]) == (7, (0.25, 0.25), (0.0, 0.0))
    assert first["objects"] == [{"category_id": 3, "bbox": [1, 2, 10, 5], "area": 44.0, "iscrowd": 0}]
    assert data.select([1]).target(0)["objects"] == []  # type: ignore[misc]
    images, targets = next(iter(Batches(data, 2)))
    assert images.shape == (2, 3, 10, 10)
    assert [target["image_id"] for target in targets] == [7, 9]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": [{"id": 1, "file_name": "gone.jpg", "height": 1, "width": 1}]}, "not of one that it lists"),
        ({"images": [], "annotations": []}, "lists no image"),
        ({"annotations": [{"image_id": 7, "category_id": 1, "bbox": [1, 2]}]}, "annotations.json"),
        ({"images": "none"}, "annotations.json"),
        (
            {"images": [{"id": 7, "file_name": "../a.jpg", "height": 1, "width": 1}], "annotations": []},
            "leads out of the folder",
        ),
        ({"images": [{"id": 7, "file_name": "gone.jpg", "height": 1, "width": 1}]}, "no such file"),
    ],
)
def test_wrong_annotations_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    if message == "no such file":
        changes = {**changes, "annotations": []}
    if message == "not of one that it lists":
        changes = {"annotations": [{"image_id": 8, "category_id": 1, "bbox": [1, 2, 3, 4]}]}
    with pytest.raises(InvalidInput, match=message):
        load_data(str(coco(tmp_path, **changes)))


def test_masks_go_through_the_steps_of_their_images(tmp_path: Path) -> None:
    photo(tmp_path / "images" / "a.jpg", 20, 40)
    (tmp_path / "masks").mkdir()
    mask = RNG.integers(0, 5, (20, 40), dtype=np.uint8)
    Image.fromarray(mask).save(tmp_path / "masks" / "a.png")
    data = load_data(str(tmp_path), InputOptions(crop="10x30").applied(NONE))
    np.testing.assert_array_equal(data.target(0), mask[5:15, 5:35])  # type: ignore[misc]
    boxed = load_data(str(tmp_path), InputOptions(letterbox="20").applied(NONE)).target(0)  # type: ignore[misc]
    assert (boxed[10:] == 255).all()
    assert set(np.unique(boxed[:10])) <= set(range(5))
    (tmp_path / "masks" / "a.png").unlink()
    photo(tmp_path / "masks" / "a.png")
    with pytest.raises(InvalidInput, match=r"a\.png: a mask has one channel"):
        data.target(0)  # type: ignore[misc]
    photo(tmp_path / "images" / "b.jpg")
    with pytest.raises(InvalidInput, match=r"b\.jpg: .*masks has nothing of that name"):
        load_data(str(tmp_path))


def test_images_as_targets_are_from_0_to_1(tmp_path: Path) -> None:
    photo(tmp_path / "images" / "a.png")
    wanted = photo(tmp_path / "targets" / "a.png", 16, 24)
    found = load_data(str(tmp_path), NONE).target(0)  # type: ignore[misc]
    np.testing.assert_allclose(found, wanted.transpose(2, 0, 1) / 255, rtol=1e-6)


def test_folders_of_frames_are_clips_with_labels_and_without(tmp_path: Path) -> None:
    frames = [photo(tmp_path / "jump" / "one" / f"{i}.png") for i in range(6)]
    for i in range(3):
        photo(tmp_path / "run" / "two" / f"{i}.png")
    data = load_data(str(tmp_path), NONE, frames=3)
    assert (data.names, data.labels.tolist()) == (("jump/one", "run/two"), [0, 1])  # type: ignore[union-attr]
    clip = data.read(0)
    assert clip.shape == (3, 3, 8, 12)
    np.testing.assert_allclose(clip[:, 1], frames[2].transpose(2, 0, 1) / 255, rtol=1e-6)
    alone = load_data(str(tmp_path / "jump"), NONE, frames=2)
    assert (alone.names, alone.labels) == (("one",), None)
    with pytest.raises(InvalidInput, match=r"two: 3 frames, 4 are asked for"):
        load_data(str(tmp_path), NONE, frames=4)
    photo(tmp_path / "jump" / "one" / "4.png", 9, 9)
    with pytest.raises(InvalidInput, match=r"4\.png is \[3, 9, 9\]"):
        data.read(0)


class Table:
    """What `datasets.Dataset` offers, as far as it is used: no row is decoded unless it is asked for."""

    def __init__(self, columns: dict[str, list[Any]], log: list[str]) -> None:
        self._columns, self._log = columns, log
        self.column_names = list(columns)

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    def __getitem__(self, row: int) -> dict[str, Any]:
        self._log += [f"{name} {row}" for name in self._columns]
        return {name: values[row] for name, values in self._columns.items()}

    def select_columns(self, names: list[str]) -> Table:
        return Table({name: self._columns[name] for name in names}, self._log)


def test_rows_of_a_table_are_decoded_when_they_are_asked_for() -> None:
    log: list[str] = []
    pictures = [Image.new("L", (30, 20), i) for i in range(4)]
    data = from_rows(Table({"image": pictures, "label": [3, 1, 2, 0]}, log), NONE)
    assert data.labels.tolist() == [3, 1, 2, 0]  # type: ignore[union-attr]
    assert not any(entry.startswith("image") for entry in log)
    np.testing.assert_allclose(data.read(2), np.full((3, 20, 30), 2 / 255), rtol=1e-6)
    assert [labels.tolist() for _, labels in Batches(data, 3)] == [[3, 1, 2], [0]]  # type: ignore[union-attr]
    with pytest.raises(InvalidInput, match="no column 'picture'; there are image, label"):
        from_rows(Table({"image": pictures, "label": [0] * 4}, log), image="picture")
    with pytest.raises(InvalidInput, match="row 1: label 'cat'"):
        from_rows(Table({"image": pictures, "label": [0, "cat", 0, 0]}, log))


def test_rows_of_hugging_faces_datasets() -> None:
    datasets, arrow = pytest.importorskip("datasets"), pytest.importorskip("pyarrow")
    pixels = [RNG.integers(0, 256, (9, 7, 3), dtype=np.uint8) for _ in range(3)]
    features = datasets.Features({"img": datasets.Image(), "label": datasets.Value("int64")})
    files = []
    for each in pixels:
        file = io.BytesIO()
        Image.fromarray(each).save(file, "PNG")
        files.append({"bytes": file.getvalue(), "path": None})
    schema = features.arrow_schema
    table = arrow.table({"img": arrow.array(files, schema.field("img").type), "label": [2, 0, 1]}, schema)
    info = datasets.DatasetInfo(features=features)
    rows = datasets.Dataset(datasets.table.InMemoryTable(table), info=info, fingerprint="three")
    data = from_rows(rows, NONE, image="img")
    assert data.labels.tolist() == [2, 0, 1]  # type: ignore[union-attr]
    np.testing.assert_allclose(data.read(1), pixels[1].transpose(2, 0, 1) / 255, rtol=1e-6)


def test_targets_that_are_no_class_indexes_are_a_list_one_an_image() -> None:
    images = torch.zeros(2, 3, 4, 4)
    (found,) = AnyBatches([(images, [{"boxes": []}, {"boxes": []}])], "images").with_targets()
    assert (found[1], found[2]) == (None, [{"boxes": []}, {"boxes": []}])
    (found,) = AnyBatches([(images, torch.tensor([3, 4]))], "images").with_targets()
    assert (found[1].tolist(), found[2]) == ([3, 4], [3, 4])
    with pytest.raises(InvalidInput, match="2 images but 1 targets"):
        list(AnyBatches([(images, [{}])], "images"))


def test_a_dataloader_of_images_and_labels_is_evaluated_as_it_is() -> None:
    from torch.utils.data import DataLoader, TensorDataset

    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Conv2d(4, 2, 1))
    loader = DataLoader(TensorDataset(torch.rand(6, 3, 8, 8), torch.zeros(6, dtype=torch.int64)), batch_size=4)
    found = evaluate(net, loader, ["zvc"], calibration=loader)
    assert (found.images, found.metrics) == (6, "output")


def test_a_detector_that_takes_a_list_of_images_takes_batches() -> None:
    class Detector(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Conv2d(4, 2, 1))

        def forward(self, images: list[torch.Tensor]) -> torch.Tensor:
            return self.body(torch.stack(images))

    found = evaluate(
        TakesImageList(Detector()), [torch.rand(3, 3, 8, 8)], ["zvc"], calibration=[torch.rand(3, 3, 8, 8)]
    )
    assert [tap.name for tap in found.codecs[0].taps] == ["detector.body.0", "detector.body.2"]


def test_a_detectors_input_needs_one_shape(tmp_path: Path) -> None:
    photo(tmp_path / "a.png", 8, 8)
    photo(tmp_path / "b.png", 8, 9)
    with pytest.raises(InvalidInput, match=r"b\.png is .*--size and --letterbox"):
        list(Batches(load_data(str(tmp_path), NONE), 1))
    assert len(list(Batches(load_data(str(tmp_path), IMAGENET), 1))) == 2


def test_an_npz_file_is_images_and_their_labels(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 8, 8), np.uint8)
    np.savez(tmp_path / "set.npz", images=images, labels=np.array([2, 0, 1]))
    data = load_data(str(tmp_path / "set.npz"), protocol("cifar"))
    assert data.labels is not None
    assert data.labels.tolist() == [2, 0, 1]
    assert data.names[1] == "set.npz[1]"
    np.save(tmp_path / "one.npy", images[1])
    assert np.array_equal(data.read(1), protocol("cifar").read(tmp_path / "one.npy"))


@pytest.mark.parametrize(
    "arrays", [{"pictures": np.zeros((2, 3, 4, 4))}, {"images": np.zeros((2, 3, 4, 4)), "labels": np.zeros(2)}]
)
def test_an_npz_file_without_images_or_with_other_labels_is_refused(tmp_path: Path, arrays: dict[str, Any]) -> None:
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(InvalidInput, match=r"set\.npz"):
        load_data(str(tmp_path / "set.npz"))
