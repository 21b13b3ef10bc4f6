"""Networks whose maps are coded with one another while they run."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the extra 'torch' is not installed")

import fmapzip
from fmapzip.archive import Archive, ArchiveWriter
from fmapzip.codecs.context_rans import ContextRans
from fmapzip.errors import InvalidInput
from fmapzip.split.codec import CrossingCodec
from fmapzip.split.manifest import CrossingMap
from fmapzip.torch.capture import capture
from fmapzip.torch.compress import compress_model
from fmapzip.torch.keeping import kept
from fmapzip.torch.tuning.tunable import tunable

CODEC = ContextRans(level="ultra", references=3, plan_bytes=1.0)


class Residual(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 24, 3, padding=1)
        self.inner = torch.nn.Conv2d(24, 16, 1)
        self.outer = torch.nn.Conv2d(16, 24, 3, padding=1)
        self.last = torch.nn.Conv2d(24, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        first = torch.relu(x)
        return self.last(torch.relu(x + self.outer(torch.relu(self.inner(first)))))


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(1)
    return Residual().eval()


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    torch.manual_seed(2)
    return torch.nn.functional.interpolate(torch.rand(8, 3, 6, 6), 12)


@pytest.fixture(scope="module")
def compressed(network: torch.nn.Module, images: torch.Tensor) -> torch.nn.Module:
    return compress_model(network, CODEC, calibration=images)


def test_a_pass_stores_maps_with_those_before(compressed, network, images) -> None:
    alone = compress_model(network, ContextRans(level="ultra", plan_bytes=1.0), calibration=images)
    assert any(tap.references for tap in compressed.plan)
    with torch.inference_mode():
        assert torch.equal(compressed(images), alone(images))
        for part in (images[:3], images[3:4]):  # another batch is another pass
            compressed(part)
    reports = [model.report() for model in (compressed, alone)]
    assert reports[0].payload_bytes / 12 < 0.9 * reports[1].payload_bytes / 8


def test_a_tuned_networks_plan_refers_to_maps_before(compressed, network, images) -> None:
    found = tunable(network, compressed.plan, images).plan(images)
    assert [tap.references for tap in found] == [tap.references for tap in compressed.plan]
    assert len(found.to_bytes()) == pytest.approx(len(compressed.plan.to_bytes()), rel=0.02)
    with torch.inference_mode():
        assert torch.allclose(compress_model(network, found)(images), compressed(images), atol=0.02)


def test_a_tuned_networks_plan_is_no_larger_than_asked_for(network, images) -> None:
    codec = ContextRans(level="max")
    untuned = compress_model(network, codec, calibration=images).plan
    found = tunable(network, codec, images).plan(images)
    sizes = [sum(len(tap.parameters) for tap in plan) for plan in (found, untuned)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.05)


def test_kept_maps_are_read_from_their_archive(compressed, network, images, tmp_path: Path) -> None:
    captured = capture(network, images[:1])
    with ArchiveWriter(tmp_path / "x.fmz", plan=compressed.plan) as out:
        for sample, frames in enumerate(next(iter(kept(captured, captured.taps, compressed.plan, [images])))):
            out.add_sample(sample, {name: each[0] for name, each in frames.items()})
    with Archive(tmp_path / "x.fmz") as archive:
        assert not list(archive.verify())


def test_half_precision_goes_by_parts(compressed, images) -> None:
    with torch.inference_mode():
        stored = compressed(images)
        for store, tap in zip(compressed._codes, compressed.taps, strict=True):
            store(torch.ones(2, *tap.shape, dtype=torch.float16))
        assert torch.equal(compressed(images), stored)


def test_a_message_refers_to_no_other_map(compressed) -> None:
    tap = next(tap for tap in compressed.plan if tap.references)
    crossing = CrossingMap(name=tap.name, shape=tap.shape, axis=1, layout="contiguous")
    with pytest.raises(InvalidInput, match="refers to other maps"):
        CrossingCodec([crossing], [compressed.plan])
    assert fmapzip.Plan.from_bytes(compressed.plan.to_bytes()).hash == compressed.plan.hash
