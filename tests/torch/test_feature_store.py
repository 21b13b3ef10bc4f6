"""Kept maps as a data set: the samples of all shards, under any loader, with labels where they are told."""

from __future__ import annotations

import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch.utils.data import DataLoader

from fmapzip.archive import ArchiveWriter
from fmapzip.errors import CorruptArchive, InvalidInput
from fmapzip.plan import Plan, TapPlan
from fmapzip.quantize import QuantParams
from fmapzip.registry import make
from fmapzip.torch import FeatureStore

SHAPES = {"early": (3, 6, 6), "late": (5,)}


def value(tap: str, sample: int) -> int:
    return sample + (100 if tap == "late" else 0)


def write(path: Path, samples: list[int], start: int = 0, labels: bool = True) -> Path:
    plan = Plan(tuple(TapPlan(tap, shape, QuantParams("uint8", (0.5,)), make("zvc")) for tap, shape in SHAPES.items()))
    most = max(samples, default=-1) + 1
    metadata = {"images": [f"{start + i}.jpg" for i in range(most)]}
    if labels:
        metadata["labels"] = [start + i for i in range(most)]
    with ArchiveWriter(path, plan=plan, metadata=metadata) as out:
        for sample in samples:
            for tap, shape in SHAPES.items():
                out.add(
                    tap, sample, make("zvc").encode(np.full(shape, value(tap, start + sample), np.uint8), plan, tap=tap)
                )
    return path


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    write(tmp_path / "a.fmz", [0, 1, 2])
    write(tmp_path / "b.fmz", [0, 1], start=3)
    return tmp_path


def test_shards_follow_one_another_with_names_and_labels(shards: Path) -> None:
    with FeatureStore(shards, "late", integers=True) as store:
        assert len(store) == 5
        assert store.names == [f"{i}.jpg" for i in range(5)]
        assert [(int(maps[0]), label) for maps, label in (store[i] for i in range(5))] == [
            (100 + i, i) for i in range(5)
        ]
        assert store[-1][1] == 4
        with pytest.raises(IndexError, match="there is no sample 5"):
            store[5]


def test_floats_are_the_quantizers_and_several_taps_a_dictionary(shards: Path) -> None:
    with FeatureStore(shards / "a.fmz") as store:
        maps, label = store[2]
    assert set(maps) == set(SHAPES)
    assert maps["early"].dtype == torch.float32
    assert (maps["early"] == 0.5 * value("early", 2)).all()
    assert label == 2


def test_without_labels_an_item_is_the_maps_alone(tmp_path: Path) -> None:
    with FeatureStore(write(tmp_path / "a.fmz", [0, 1], labels=False), "early") as store:
        assert store[0].shape == (3, 6, 6)
        assert store.labels == []


def test_samples_that_were_left_out_keep_their_labels(tmp_path: Path) -> None:
    with FeatureStore(write(tmp_path / "a.fmz", [1, 4]), "late", integers=True) as store:
        assert [(int(maps[0]), label) for maps, label in (store[i] for i in range(2))] == [(101, 1), (104, 4)]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_a_loader_read_every_sample_once(shards: Path, method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"processes cannot be started by {method} here")
    with FeatureStore(shards, "late", integers=True) as store:
        loader = DataLoader(store, batch_size=2, num_workers=2, multiprocessing_context=method)
        found = [(int(maps[0]), int(label)) for batch in loader for maps, label in zip(*batch, strict=True)]
    assert sorted(found) == [(100 + i, i) for i in range(5)]


def test_it_can_be_pickled(shards: Path) -> None:
    with FeatureStore(shards, "early") as store, pickle.loads(pickle.dumps(store)) as again:
        assert torch.equal(again[1][0], store[1][0])


def test_what_is_not_there_is_named(shards: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"a\.fmz has no map 'middle'"):
        FeatureStore(shards, ["early", "middle"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="no archives"):
        FeatureStore(tmp_path / "empty")
    with pytest.raises(FileNotFoundError):
        FeatureStore(tmp_path / "nothing.fmz")


def test_a_map_that_lacks_samples_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "torn.fmz"
    with ArchiveWriter(path) as out:
        frame = make("raw").encode(np.ones((2, 3, 3), np.uint8))
        for tap, sample in (("a", 0), ("a", 1), ("b", 0)):
            out.add(tap, sample, frame)
    with pytest.raises(CorruptArchive, match="other samples of 'b'"):
        FeatureStore(path)


def test_frames_without_a_quantizer_say_so(tmp_path: Path) -> None:
    path = tmp_path / "bare.fmz"
    with ArchiveWriter(path) as out:
        out.add("a", 0, make("raw").encode(np.ones((2, 3, 3), np.uint8)))
    with FeatureStore(path, "a") as store, pytest.raises(InvalidInput, match="no quantizer"):
        store[0]
    with FeatureStore(path, "a", integers=True) as store:
        assert store[0].dtype == torch.uint8
