"""``fmapzip capture`` into a store, ``compact`` and ``verify`` of it, and what ``FeatureStore`` then reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from fmapzip.archive import Archive
from fmapzip.cli.app import run
from fmapzip.cli.exits import Exit
from fmapzip.plan import Plan
from fmapzip.torch import FeatureStore, compress_model

NETWORK = """
import torch
from torch import nn


def network():
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(32, 4)).eval()
"""
IMAGES = 12


@pytest.fixture
def where(tmp_path: Path) -> list[str]:
    """The arguments that name a small network and its images."""
    (tmp_path / "net.py").write_text(NETWORK)
    images = tmp_path / "images"
    images.mkdir()
    rng = np.random.default_rng(0)
    for i in range(IMAGES):
        np.save(images / f"{i:02}.npy", rng.normal(0, 1, (1, 12, 12)).astype(np.float32))
    (images / "labels.csv").write_text("file,label\n" + "".join(f"{i:02}.npy,{i % 4}\n" for i in range(IMAGES)))
    return [f"{tmp_path / 'net.py'}:network", str(images), "--preprocess", "none"]


def test_every_image_is_kept_with_its_name_and_class(where: list[str], tmp_path: Path) -> None:
    store = tmp_path / "store"
    assert run(["capture", *where, "-o", str(store), "--codec", "context-rans"]) == Exit.OK
    kept = FeatureStore(store, integers=True)
    assert (len(kept), kept.names, kept.labels) == (
        IMAGES,
        [f"{i:02}.npy" for i in range(IMAGES)],
        [i % 4 for i in range(IMAGES)],
    )
    archive = tmp_path / "reported.fmz"
    assert run(["capture", *where, "-o", str(archive)]) == Exit.OK
    with Archive(archive) as reported:
        for sample, name in enumerate(reported.metadata["images"]):
            maps, label = kept[kept.names.index(name)]
            assert label == reported.metadata["labels"][sample]
            assert all(np.array_equal(maps[tap].numpy(), reported.read(tap, sample)) for tap in reported.names)


def test_a_plan_keeps_what_the_compressed_network_reads(where: list[str], tmp_path: Path) -> None:
    plan, store = tmp_path / "plan.fmzp", tmp_path / "store"
    budget = ["--metrics", "classes", "--min-ratio", "4", "--calib", "every:2"]
    assert run(["plan", *where, "-o", str(plan), *budget]) in (Exit.OK, Exit.UNMET)
    assert run(["capture", *where, "-o", str(store), "--plan", str(plan)]) == Exit.OK
    kept = FeatureStore(store)
    space: dict[str, object] = {}
    exec(NETWORK, space)
    net = compress_model(space["network"](), Plan.load(plan))  # type: ignore[operator]
    read: dict[str, torch.Tensor] = {}
    modules = dict(net.named_modules())
    for name, module in modules.items():
        if name.endswith(tuple(kept.taps)):
            module.register_forward_pre_hook(lambda _, x, name=name: read.__setitem__(name, x[0][0]))
    image = np.load(tmp_path / "images" / "03.npy")
    with torch.no_grad():
        net(torch.from_numpy(image[None]))
    maps, _ = kept[3]
    assert read
    for name, x in read.items():
        tap = next(tap for tap in kept.taps if name.endswith(tap))
        assert torch.equal(maps[tap].reshape(-1), x.reshape(-1))


def test_a_capture_goes_on_and_changes_nothing_that_is_there(
    where: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    assert run(["capture", *where, "-o", str(store), "--limit", "10", "--calib", "first:4"]) == Exit.OK
    before = (store / "0-00000.fmz").read_bytes()
    assert run(["capture", *where, "-o", str(store), "--calib", "first:4"]) == Exit.OK
    assert "12 images of 2 taps, 2 of them new" in capsys.readouterr().out
    assert (store / "0-00000.fmz").read_bytes() == before
    assert run(["capture", *where, "-o", str(store), "--calib", "first:2"]) == Exit.INPUT
    assert "another plan" in capsys.readouterr().err


def test_shards_make_the_store_of_one_run_and_are_compacted_to_it(where: list[str], tmp_path: Path) -> None:
    whole, shards = tmp_path / "whole", tmp_path / "shards"
    where = [*where, "--batch", "2", "--torch-threads", "1"]
    assert run(["capture", *where, "-o", str(whole)]) == Exit.OK
    for shard in ("3/3", "1/3", "2/3"):
        assert run(["capture", *where, "-o", str(shards), "--shard", shard]) == Exit.OK
    assert run(["verify", str(shards), str(whole)]) == Exit.OK
    assert [path.name for path in sorted(shards.glob("*.fmz"))] == ["0-00000.fmz", "1-00000.fmz", "2-00000.fmz"]
    assert run(["compact", str(shards)]) == Exit.OK
    assert run(["verify", str(shards)]) == Exit.OK
    assert frames(shards) == frames(whole)


def test_images_of_one_name_are_refused_though_they_are_of_two_shards(
    where: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (tmp_path / "images" / "labels.csv").open("a") as file:
        file.write("00.npy,0\n")
    where = [*where, "--batch", "4", "-o", str(tmp_path / "store")]
    assert run(["capture", *where, "--shard", "1/2"]) == Exit.INPUT
    assert "two images have one name" in capsys.readouterr().err


def test_what_is_missing_of_a_batch_is_captured_with_its_batch(where: list[str], tmp_path: Path) -> None:
    whole, store = tmp_path / "whole", tmp_path / "store"
    where = [*where, "--batch", "4", "--calib", "first:4", "--torch-threads", "1"]
    assert run(["capture", *where, "-o", str(whole)]) == Exit.OK
    assert run(["capture", *where, "-o", str(store), "--limit", "6"]) == Exit.OK
    assert run(["capture", *where, "-o", str(store), "--shard", "2/2"]) == Exit.OK
    assert len(FeatureStore(store)) == 10
    assert run(["capture", *where, "-o", str(store)]) == Exit.OK
    assert sorted(frames(store)) == sorted(frames(whole))


def frames(store: Path) -> list[tuple[str, str, bytes]]:
    """Every frame of a store, with its sample's name and its tap, in order."""
    found = []
    for path in sorted(store.glob("*.fmz")):
        with Archive(path) as archive:
            names = FeatureStore(path).names
            samples = archive.samples(archive.names[0])
            found += [
                (name, tap, bytes(archive.frame(tap, i)))
                for i, name in zip(samples, names, strict=True)
                for tap in archive.names
            ]
    return found


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-o", "{}/maps.fmz", "--shard", "1/2"], "are for stores"),
        (["-o", "{}/net.py"], "is a file"),
        (["-o", "{}/store", "--shard", "3/2"], "expected I/N"),
        (["-o", "{}/store", "--images", "2"], "--limit"),
        (["-o", "{}/store", "--codec", "zvc", "--plan", "x"], "not both"),
    ],
)
def test_options_that_do_not_go_together(
    where: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    assert run(["capture", *where, *(option.format(tmp_path) for option in options)]) == Exit.INPUT
    assert words in capsys.readouterr().err


def test_a_damaged_store_has_the_exit_code_of_damage(where: list[str], tmp_path: Path) -> None:
    store = tmp_path / "store"
    assert run(["capture", *where, "-o", str(store)]) == Exit.OK
    shard = store / "0-00000.fmz"
    data = bytearray(shard.read_bytes())
    data[len(data) // 3] ^= 4
    shard.write_bytes(data)
    assert run(["verify", str(store)]) == Exit.CORRUPT
