"""Images in Parquet files and in what Hugging Face's ``datasets`` saves."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")
Image = pytest.importorskip("PIL.Image")

import pyarrow.parquet as pq

from fmapzip.errors import InvalidInput
from fmapzip.eval.data import load_data
from fmapzip.eval.preprocess import Preprocessing
from fmapzip.eval.sources import tables

NONE = Preprocessing("none")
RNG = np.random.default_rng(0)
PIXELS = [RNG.integers(0, 256, (6, 5, 3), dtype=np.uint8) for _ in range(7)]


def png(pixels: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def rows(places: Sequence[int], label: str = "label") -> Any:
    """A table as the Hub has them."""
    images = [{"bytes": png(PIXELS[i]), "path": f"{i}.png"} for i in places]
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    return pa.table({"image": pa.array(images, kind), label: pa.array([10 * i for i in places], pa.int64())})


def check(data: Any, places: Sequence[int]) -> None:
    """That a data set has these images, whatever the order in which they are read."""
    assert len(data) == len(places)
    for i in RNG.permutation(len(places)):
        np.testing.assert_allclose(data.read(int(i)), PIXELS[places[i]].transpose(2, 0, 1) / 255, rtol=1e-6)


def test_a_folder_of_the_hubs_layout_is_one_data_set_over_files_and_row_groups(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for shard, places in enumerate(([0, 1, 2, 3, 4], [5, 6])):
        pq.write_table(rows(places), tmp_path / f"data/train-{shard:05}-of-00002.parquet", row_group_size=2)
    data = load_data(str(tmp_path), NONE)
    check(data, range(7))
    assert data.labels.tolist() == [10 * i for i in range(7)]  # type: ignore[union-attr]
    assert data.names[4:6] == ("train-00000-of-00002.parquet[4]", "train-00001-of-00002.parquet[0]")
    check(load_data(str(tmp_path / "data/*-00001-of-00002.parquet"), NONE), [5, 6])
    check(load_data(str(tmp_path / "data/train-00000-of-00002.parquet"), NONE).select([4, 0]), [4, 0])
    pq.write_table(rows([1]), tmp_path / "data/test-00000-of-00001.parquet")
    with pytest.raises(InvalidInput, match=r"has the splits test, train: name the files of one, '.*train-\*\.parquet'"):
        load_data(str(tmp_path), NONE)
    check(load_data(str(tmp_path / "data/test-*.parquet"), NONE), [1])
    with pytest.raises(InvalidInput, match="no such files"):
        load_data(str(tmp_path / "data/valid*.parquet"), NONE)


def test_an_image_is_read_with_its_row_group_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(rows(range(6)), tmp_path / "a.parquet", row_group_size=2)
    groups = []
    real = pq.ParquetFile.read_row_group
    monkeypatch.setattr(pq.ParquetFile, "read_row_group", lambda self, *a: groups.append(a) or real(self, *a))
    data = load_data(str(tmp_path / "a.parquet"), NONE)
    assert groups == [(i, ["label"]) for i in range(3)]
    for i in range(6):
        data.read(i)
    assert groups[3:] == [(i, ["image"]) for i in range(3)]


def test_images_as_bare_bytes_and_other_columns(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    files = pa.array([png(PIXELS[3])], pa.large_binary())
    pq.write_table(pa.table({"picture": files, "text": ["a"]}), file)
    data = load_data(str(file), NONE)
    check(data, [3])
    assert (data.labels, data.label_rule) == (None, "none: no column 'label'")
    pq.write_table(pa.table({"one": files, "two": files}), file)
    with pytest.raises(InvalidInput, match="2 of the columns one, two hold images, none is named 'image'"):
        load_data(str(file), NONE)
    pq.write_table(pa.table({"text": ["a"]}), file)
    with pytest.raises(InvalidInput, match="0 of the columns text hold images"):
        load_data(str(file), NONE)
    pq.write_table(pa.table({"img": files, "one": files, "cls": pa.array([-1])}), file)
    data = load_data(str(file), NONE)
    check(data, [3])
    assert data.label_rule == "none: all of the column 'cls' are -1"


def test_what_is_missing_or_no_class_index_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    images = pa.array([{"bytes": png(PIXELS[0]), "path": None}, {"bytes": None, "path": "b.png"}], kind)
    pq.write_table(pa.table({"image": images}), file)
    with pytest.raises(InvalidInput, match=r"a\.parquet\[1\]: has no bytes in the column 'image'"):
        load_data(str(file), NONE).read(1)
    for labels in (pa.array([1, -1]), pa.array(["cat", "dog"]), pa.array([1, None])):
        pq.write_table(pa.table({"image": images, "label": labels}), file)
        with pytest.raises(InvalidInput, match=r"a\.parquet\[[01]\]: label"):
            load_data(str(file), NONE)
    pq.write_table(rows([]), file)
    with pytest.raises(InvalidInput, match="holds no rows"):
        load_data(str(file), NONE)


def test_a_damaged_file_is_an_error_with_its_name(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    pq.write_table(rows([0, 1]), file)
    whole = file.read_bytes()
    for length in (0, 3, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:length])
        with pytest.raises(InvalidInput, match=r"a\.parquet: "):
            load_data(str(file), NONE)
    for at in range(0, len(whole), 37):
        damaged = bytearray(whole)
        damaged[at] ^= 0x55
        file.write_bytes(damaged)
        try:
            data = load_data(str(file), NONE)
            for i in range(len(data)):
                data.read(i)
        except InvalidInput:
            pass


def test_what_datasets_saves(tmp_path: Path) -> None:
    files = []
    for shard, places in enumerate(([2, 0], [5])):
        files.append({"filename": f"data-{shard:05}-of-00002.arrow"})
        table = rows(places)
        with pa.OSFile(str(tmp_path / files[-1]["filename"]), "wb") as out, pa.ipc.new_stream(out, table.schema) as to:
            to.write_table(table)
    (tmp_path / tables.SAVED).write_text(json.dumps({"_data_files": files}))
    data = load_data(str(tmp_path), NONE)
    check(data, [2, 0, 5])
    assert data.labels.tolist() == [20, 0, 50]  # type: ignore[union-attr]
    assert data.names[2] == "data-00001-of-00002.arrow[0]"
    (tmp_path / files[0]["filename"]).unlink()
    with pytest.raises(InvalidInput, match=r"data-00000-of-00002\.arrow: "):
        load_data(str(tmp_path), NONE)
    (tmp_path / tables.SAVED).write_text("{}")
    with pytest.raises(InvalidInput, match="not what datasets saves"):
        load_data(str(tmp_path), NONE)
    (tmp_path / tables.SEVERAL).write_text('{"splits": ["train", "test"]}')
    with pytest.raises(InvalidInput, match="has the splits train, test: name the folder of one"):
        load_data(str(tmp_path), NONE)
