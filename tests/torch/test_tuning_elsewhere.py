"""Tuning on a device that is not the CPU: a pretended one, which holds values and mixes with nothing of the CPU's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pretended import Pretended
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from fmapzip.codecs.base import Codec
from fmapzip.codecs.context_rans import ContextRans
from fmapzip.codecs.dct_cm import DctCm
from fmapzip.torch import Tuned, TuneSettings, tune

ATEN = torch.ops.aten
NAME = "meta"  # the one type of device that every PyTorch has and that autograd takes along
ASKED = TuneSettings(epochs=2, batch=6, lambda_=0.5, mirror=True, label_weight=0.1)


class OnDevice(Pretended):
    """Only `Device` can read it."""

    device_name = NAME


class Device(TorchDispatchMode):
    """Runs on the CPU what is asked of the device, and refuses operations on tensors of both, as accelerators do."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        here = any(isinstance(each, OnDevice) for each in pytree.tree_leaves((args, kwargs)))
        if kwargs.get("device") is not None:
            here = torch.device(kwargs["device"]).type == NAME
            kwargs["device"] = "cpu"
        elif here:
            self._refuse_mixture(func, args)
        wrappers = {id(each.inner): each for each in pytree.tree_leaves(args) if isinstance(each, OnDevice)}
        found = func(*pytree.tree_map(_inner, args), **pytree.tree_map(_inner, kwargs))
        if not here or (func is ATEN.copy_.default and not isinstance(args[0], OnDevice)):
            return found
        self.steps += func is ATEN.addcdiv_.default

        def outer(each):
            if not isinstance(each, Tensor):
                return each
            return wrappers[id(each)] if id(each) in wrappers else OnDevice(each)

        return pytree.tree_map(outer, found)

    def _refuse_mixture(self, func, args) -> None:
        taken = args[:1] if func in (ATEN.index.Tensor, ATEN._index_put_impl_.default) else args
        if func is ATEN.copy_.default:
            return
        for each in pytree.tree_leaves(taken):
            if isinstance(each, Tensor) and not isinstance(each, OnDevice) and each.ndim:
                raise RuntimeError(f"{func}: expected all tensors to be on the same device")


def _inner(each):
    return each.inner if isinstance(each, OnDevice) else each


def network() -> nn.Module:
    torch.manual_seed(1)
    layers = (nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(8, 4)).eval()


def tuned(codec: Codec, device: str, state: Path | None = None, kill: int = 9) -> Tuned:
    torch.manual_seed(2)
    images = torch.randn(20, 3, 12, 12)

    def stop(stage, done, total):
        if stage.startswith(f"epoch {kill}:"):
            raise KeyboardInterrupt

    data = (images, torch.arange(20) % 4)
    return tune(network(), data, codec, images, settings=ASKED, device=device, state=state, progress=stop)


def test_the_pretended_device_mixes_with_nothing_of_the_cpu():
    with Device(), pytest.raises(RuntimeError, match="same device"):
        torch.ones(3).to(NAME) + torch.ones(3)
    with Device():
        assert (torch.ones(3).to(NAME) + 1).cpu().tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    "codec",
    [ContextRans(step=3), DctCm(path="mask", mask_step=2.5)],
    ids=repr,
)
@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")
def test_tuning_elsewhere_does_what_it_does_on_the_cpu(codec: Codec, tmp_path: Path):
    here = tuned(codec, "cpu")
    with Device() as device:
        with pytest.raises(KeyboardInterrupt):
            tuned(codec, NAME, tmp_path / "state", kill=2)
        elsewhere = tuned(codec, NAME, tmp_path / "state")
    assert device.steps > 0
    assert here.kept == elsewhere.kept > 0
    assert [each.loss for each in here.epochs] == pytest.approx([each.loss for each in elsewhere.epochs], rel=1e-3)
    for a, b in zip(here.model.state_dict().values(), elsewhere.model.state_dict().values(), strict=True):
        assert type(b) is Tensor
        assert torch.allclose(a, b, atol=1e-4)
    assert [tap.codec for tap in here.plan] == [tap.codec for tap in elsewhere.plan]
    assert len(here.plan.to_bytes()) == pytest.approx(len(elsewhere.plan.to_bytes()), rel=0.05)
