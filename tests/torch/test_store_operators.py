"""The operators that store feature maps, and compressed models that are compiled or exported."""

from __future__ import annotations

import copy
import gc
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn

from fmapzip import Plan, decode, encode
from fmapzip.errors import FrameError, InvalidInput, PlanMismatch
from fmapzip.torch import CompressedModel, compress_model, register_plan, tap_handle

IMAGES = torch.rand(6, 3, 12, 12, generator=torch.Generator().manual_seed(1))


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.body, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1), nn.Linear(8, 5)

    def forward(self, x: Any) -> Any:
        x = self.stem(x).relu()
        return self.head((self.body(x).relu() + x).mean((2, 3)))


@pytest.fixture(autouse=True)
def _forget_compiled_code() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def compressed(codec: str = "zvc") -> CompressedModel:
    torch.manual_seed(0)
    return compress_model(Residual(), codec, calibration=IMAGES)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("grad", [False, True])
def test_the_operators_keep_what_they_promise_to_the_compiler(dtype: Any, grad: bool) -> None:
    plan = compressed("context-rans").plan
    register_plan(plan)
    name = plan.taps[0].name
    x = torch.rand(2, *plan.taps[0].shape, dtype=dtype)
    torch.library.opcheck(torch.ops.fmapzip.store.default, (x.clone().requires_grad_(grad), tap_handle(plan, name), 1))
    torch.library.opcheck(torch.ops.fmapzip.encode.default, (x, tap_handle(plan, name), 1))
    frames, lengths = torch.ops.fmapzip.encode(x, tap_handle(plan, name), 1)
    torch.library.opcheck(torch.ops.fmapzip.decode.default, (frames, lengths, tap_handle(plan, name), 1))


def test_encoding_gives_the_librarys_frames_and_decoding_what_storing_gives() -> None:
    plan = compressed("context-rans").plan
    register_plan(plan)
    for tap in plan:
        handle = tap_handle(plan, tap.name)
        for axis in {1, len(tap.shape)}:
            x = torch.rand(3, *tap.shape).movedim(1, axis).contiguous()
            frames, lengths = torch.ops.fmapzip.encode(x, handle, axis)
            for sample, row, length in zip(x.movedim(axis, 1), frames, lengths, strict=True):
                frame = row[: int(length)].numpy().tobytes()
                assert frame == encode(tap.quantizer.quantize(sample.numpy()), plan=plan, tap=tap.name)
                assert not row[int(length) :].any()
                assert decode(frame, plan=plan).shape == tap.shape
            stored = torch.ops.fmapzip.store(x, handle, axis)
            assert torch.equal(torch.ops.fmapzip.decode(frames, lengths, handle, axis), stored)


def test_bytes_that_are_no_frames_of_the_tap_are_refused() -> None:
    plan = compressed().plan
    register_plan(plan)
    first, second = (tap_handle(plan, tap.name) for tap in plan.taps[:2])
    frames, lengths = torch.ops.fmapzip.encode(torch.rand(1, *plan.taps[0].shape), first, 1)
    with pytest.raises(PlanMismatch, match="tap 1"):
        torch.ops.fmapzip.decode(frames, lengths, second, 1)
    with pytest.raises(FrameError):
        torch.ops.fmapzip.decode(frames, lengths - 1, first, 1)
    for wrong in (torch.rand(1, 3, 3), torch.rand(1, 9, 12, 12)):
        with pytest.raises(PlanMismatch):
            torch.ops.fmapzip.encode(wrong, first, 1)


def test_a_plan_that_was_not_registered_is_named() -> None:
    with pytest.raises(PlanMismatch, match=r"0123456789abcdef.*register_plan"):
        torch.ops.fmapzip.store(torch.rand(1, 2), "0123456789abcdef/0", 1)


@pytest.mark.parametrize("codec", ["zvc", "context-rans"])
def test_a_compiled_model_gives_eager_results_and_counts_without_breaks_or_recompilation(codec: str) -> None:
    stored = compressed(codec)
    compiles = 0

    def backend(module: Any, example: Any) -> Any:
        nonlocal compiles
        compiles += 1
        return torch._dynamo.lookup_backend("aot_eager")(module, example)

    compiled = torch.compile(stored, fullgraph=True, backend=backend)
    with torch.inference_mode():
        expected = {n: stored(IMAGES[:n]) for n in (4, 2, 6)}
        counted = stored.report()
        stored.reset_report()
        for n in (4, 2, 6):
            assert torch.equal(compiled(IMAGES[:n]), expected[n])
        seen = compiles
        for n in (6, 4, 2, 4):
            compiled(IMAGES[:n])
        assert compiles == seen
    report = stored.report()
    sizes = [(tap.total_bytes, tap.payload_bytes) for tap in counted.taps]
    assert [tap.frame_bytes_max for tap in report.taps] == [tap.frame_bytes_max for tap in counted.taps]
    assert all(now.total_bytes > before for now, (before, _) in zip(report.taps, sizes, strict=True))


def test_the_inductor_compiles_a_compressed_model() -> None:
    stored = compressed()
    compiled = torch.compile(stored, fullgraph=True)
    with torch.inference_mode():
        assert torch.allclose(compiled(IMAGES), stored(IMAGES), atol=0.05)


def test_gradients_pass_through_a_compiled_model_as_through_an_eager_one() -> None:
    stored = compressed()
    compiled = torch.compile(stored, fullgraph=True, backend="aot_eager")
    gradients = []
    for model in (stored, compiled):
        x = IMAGES.clone().requires_grad_()
        model(x).square().sum().backward()
        gradients.append(x.grad)
    assert gradients[0].abs().sum() > 0
    assert torch.equal(*gradients)


def test_an_exported_model_runs_with_its_plan_alone(tmp_path: Path) -> None:
    stored = compressed("context-rans")
    with torch.inference_mode():
        expected = stored(IMAGES)
    batch = torch.export.Dim("batch", min=2, max=64)
    program = torch.export.export(stored, (IMAGES,), dynamic_shapes={"args": ({0: batch},)})
    assert sum("fmapzip.store" in str(node.target) for node in program.graph.nodes) == len(stored.taps)
    torch.export.save(program, tmp_path / "model.pt2")
    stored.plan.save(tmp_path / "plan.fmzp")
    del stored, program
    gc.collect()
    loaded = torch.export.load(tmp_path / "model.pt2").module()
    register_plan(Plan.load(tmp_path / "plan.fmzp"))
    with torch.inference_mode():
        assert torch.equal(loaded(IMAGES), expected)


def test_a_copy_of_a_compressed_model_counts_for_itself() -> None:
    stored = compressed()
    twins = [copy.deepcopy(stored), pickle.loads(pickle.dumps(copy.deepcopy(stored).plan))]
    twin = twins[0]
    with torch.inference_mode():
        twin(IMAGES)
    assert [tap.total_bytes for tap in stored.report().taps] == [0] * len(stored.taps)
    assert all(tap.total_bytes for tap in twin.report().taps)
    assert twins[1] == stored.plan


def test_a_map_that_cannot_be_stored_is_an_error_in_compiled_models_too() -> None:
    stored = compressed()
    compiled = torch.compile(stored, fullgraph=True, backend="aot_eager")
    with torch.inference_mode(), pytest.raises(InvalidInput, match="NaN"):
        compiled(torch.full_like(IMAGES, np.nan))
