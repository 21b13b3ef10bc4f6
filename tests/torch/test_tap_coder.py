"""Storing a batch in one call: what comes back, what is counted, and whose memory it is."""

import gc

import numpy as np
import pytest
import torch
from torch import Tensor

import fmapzip
from fmapzip import _core
from fmapzip.errors import InvalidInput
from fmapzip.registry import make
from fmapzip.torch.chunks import empty_like, replaced
from fmapzip.torch.tap_coder import TapCoder
from fmapzip.torch.tensor_quantizer import TensorQuantizer

CODECS = ("raw", "zvc", "context-rans", "context-rans:fast", "context-rans:step", "dct-cm")
LAYOUTS = {
    "contiguous": ((3, 8, 20, 22), 1, torch.contiguous_format),
    "channels last": ((3, 8, 20, 22), 1, torch.channels_last),
    "channels at the end": ((3, 20, 22, 8), 3, torch.contiguous_format),
    "tokens": ((3, 50, 8), 2, torch.contiguous_format),
    "vectors": ((3, 8), 1, torch.contiguous_format),
    "volumes": ((3, 8, 3, 5, 7), 1, torch.contiguous_format),
    "one channel": ((3, 1, 20, 22), 1, torch.contiguous_format),
}


def codec_of(name: str):
    base, _, setting = name.partition(":")
    return make(base, **{"fast": {"level": "fast"}, "step": {"step": 3}, "": {}}[setting])


def batch(layout: str, dtype: str = "uint8") -> tuple[Tensor, int]:
    shape, axis, memory = LAYOUTS[layout]
    x = torch.randn(shape, generator=torch.Generator().manual_seed(5)).cumsum(-1)
    return (x.relu() if dtype == "uint8" else x).contiguous(memory_format=memory), axis


def planned(codec: str, x: Tensor, axis: int, dtype: str = "uint8", per_channel: bool = False) -> fmapzip.Plan:
    maps = x.movedim(axis, 1).numpy()
    scales = tuple(0.05 + 0.01 * i for i in range(maps.shape[1])) if per_channel else (0.05,)
    quantizer = fmapzip.QuantParams(dtype, scales)
    made = codec_of(codec)
    tap = fmapzip.TapPlan("map", maps.shape[1:], quantizer, made, made.train(quantizer.quantize(maps, 1)))
    return fmapzip.Plan((tap,))


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("codec", CODECS)
def test_one_call_does_what_its_parts_do(codec, layout, dtype, per_channel):
    x, axis = batch(layout, dtype)
    coder = TapCoder(planned(codec, x, axis, dtype, per_channel), 0, axis)
    whole, parts = torch.empty_like(x), torch.empty_like(x)
    found = coder.store(x, whole, keep=True)
    expected = coder._store_by_parts(x, parts, 1, True)
    assert torch.equal(whole, parts)
    assert found._replace(encode_seconds=0, decode_seconds=0) == expected._replace(encode_seconds=0, decode_seconds=0)
    assert coder.store(x, whole).frames == []
    read_back = torch.empty_like(x)
    assert coder.frames(x, read_back) == found.frames
    assert torch.equal(read_back, whole)


def test_frames_are_those_of_the_library():
    x, axis = batch("contiguous")
    plan = planned("zvc", x, axis)
    frames = TapCoder(plan, 0, axis).store(x, torch.empty_like(x), keep=True).frames
    assert frames == fmapzip.encode_batch(plan[0].quantizer.quantize(x.numpy(), 1), plan=plan)
    info = fmapzip.inspect(frames[0], plan=plan)
    assert (info.codec, info.shape, info.plan_hash) == ("zvc", (8, 20, 22), plan.hash8)


def test_threads_store_the_same():
    x, axis = batch("contiguous")
    coder = TapCoder(planned("context-rans", x, axis), 0, axis)
    one, three = torch.empty_like(x), torch.empty_like(x)
    assert coder.store(x, one, 1, True).frames == coder.store(x, three, 3, True).frames
    assert torch.equal(one, three)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_value_that_is_no_number_is_refused_naming_the_map(value):
    x, axis = batch("contiguous")
    coder = TapCoder(planned("zvc", x, axis), 0, axis)
    x[1, 2, 3, 4] = value
    with pytest.raises(InvalidInput, match="'map': holds NaN or infinity"):
        coder.store(x, torch.empty_like(x))


def test_finite_values_whose_squares_are_not_are_stored():
    x, axis = batch("contiguous")
    coder = TapCoder(planned("zvc", x, axis), 0, axis)
    x[1, 2, 3, 4] = 3e38
    out = torch.empty_like(x)
    coder.store(x, out)
    assert float(out[1, 2, 3, 4]) == pytest.approx(255 * 0.05)


def test_the_core_refuses_what_it_could_not_store_in_one_pass():
    x, axis = batch("contiguous")
    plan = planned("zvc", x, axis)
    prepared = plan.bound(0).prepared
    limits = TensorQuantizer(plan[0].quantizer, axis, "map").limits
    values, out, scales = x.numpy(), np.empty(x.shape, np.float32), np.float32([0.05])

    def store(values, out, scales=scales, plan_hash=plan.hash8):
        return _core.store(values, scales, prepared, False, limits, plan_hash, 0, 1, False, True, out)

    with pytest.raises(InvalidInput, match="not dense"):
        store(values[:, ::2], out[:, ::2])
    with pytest.raises(InvalidInput, match="not dense"):
        store(values[::2], out[::2])
    with pytest.raises(InvalidInput, match="laid out"):
        store(values, np.asfortranarray(out))
    with pytest.raises(InvalidInput, match="laid out"):
        store(values, out[:1])
    with pytest.raises(InvalidInput, match="shares memory"):
        store(values, values)
    with pytest.raises(InvalidInput, match="one scale"):
        store(values, out, np.float32([1, 2]))
    with pytest.raises(InvalidInput, match="2 to 5 dimensions"):
        store(values.ravel(), out.ravel())
    with pytest.raises(InvalidInput, match="is zero"):
        store(values[:, :0], out[:, :0])
    with pytest.raises(InvalidInput, match="8 bytes"):
        store(values, out, plan_hash=b"")


def doubled(x: Tensor) -> Tensor:
    return replaced(x, lambda values, out: torch.mul(values, 2, out=out))


def address(x: Tensor) -> int:
    return x.untyped_storage().data_ptr()


@pytest.mark.parametrize("holder", [lambda x: x, lambda x: x[0, :1], lambda x: x.numpy(), lambda x: x.detach()])
def test_memory_is_used_again_only_when_nobody_sees_it(holder):
    x = torch.ones(2, 8, 64, 64)
    out = doubled(x)
    where, held = address(out), holder(out)
    del out
    for factor in range(3, 6):
        assert address(doubled(factor * x)) != where
    assert (np.asarray(held) == 2).all()
    del held
    gc.collect()
    assert address(doubled(x)) == where


def test_memory_that_is_used_again_is_laid_out_as_the_tensor():
    x = torch.arange(2 * 4 * 64 * 64, dtype=torch.float32).reshape(2, 4, 64, 64)
    for like in (x, x.to(memory_format=torch.channels_last), x.half(), x[:, :, ::2], x.permute(3, 0, 1, 2)):
        out = empty_like(like)
        assert (out.shape, out.dtype) == (like.shape, like.dtype)
        assert out.stride() == torch.empty_like(like).stride()
        assert not out._is_view()


def test_the_result_can_be_changed_in_place_and_learned_through():
    x, axis = batch("contiguous")
    plan = planned("zvc", x, axis)
    fmapzip.torch.register_plan(plan)
    big = x.repeat(4, 1, 1, 1).requires_grad_()
    out = torch.ops.fmapzip.store(big, fmapzip.torch.tap_handle(plan, "map"), axis)
    out.mul_(3).sum().backward()
    assert (big.grad == 3).all()


def test_an_empty_batch_stays_empty():
    assert doubled(torch.empty(0, 3, 4, 4)).shape == (0, 3, 4, 4)
