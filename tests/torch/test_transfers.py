"""Maps of a device: one copy to the CPU a tap, one back, through pinned memory. The device is a pretended one."""

from types import SimpleNamespace

import pytest
import torch
import tricky
from pretended import Pretended
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from fmapzip.torch import compress_model
from fmapzip.torch import transfers as module

ATEN = torch.ops.aten


class OnDevice(Pretended):
    """Only `Device` can read it."""

    device_name = "xla:0"


class Device(TorchDispatchMode):
    """Counts what crosses between the pretended device and the CPU, and what of the CPU's is pinned."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[str] = []
        self.pinned: set[int] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func is ATEN.is_pinned.default:
            return self._pinned(args[0])
        if func is ATEN.empty_like.default:
            pin = kwargs.pop("pin_memory", False)
            args = tuple(each.inner if isinstance(each, OnDevice) else each for each in args)
            made = func(*args, **kwargs)
            if pin:
                self.pinned.add(made.untyped_storage()._cdata)
            return made
        if func is ATEN.copy_.default and isinstance(args[1], OnDevice):
            self.log.append(f"to host, pinned={self._pinned(args[0])}")
            return args[0].copy_(args[1].inner)
        if func is ATEN._to_copy.default and kwargs.get("device", torch.device("cpu")).type == "xla":
            waits = "" if kwargs["non_blocking"] else ", waiting"
            self.log.append(f"to device, pinned={self._pinned(args[0])}{waits}")
            return OnDevice(args[0].clone())
        if func is ATEN.detach.default and isinstance(args[0], OnDevice):
            return OnDevice(args[0].inner)
        return func(*args, **kwargs)

    def _pinned(self, x: Tensor) -> bool:
        return x.untyped_storage()._cdata in self.pinned


@pytest.fixture
def device(monkeypatch):
    made = Device()
    stream = SimpleNamespace(synchronize=lambda: made.log.append("waited"))
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: torch.device("xla"))
    monkeypatch.setattr(torch.accelerator, "current_stream", lambda device: stream)
    return made


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_tap_is_copied_once_each_way(device, dtype, memory):
    torch.manual_seed(0)
    images = torch.rand(6, 3, 8, 8)
    store = compress_model(tricky.Residual().eval(), "zvc", calibration=images)._codes[0]
    x = torch.rand(70, *store._coder.shape).to(dtype).contiguous(memory_format=memory)
    expected = store.store(x)
    with device:
        found = store.store(OnDevice(x))
    assert device.log == ["to host, pinned=True", "waited", "to device, pinned=True"]
    assert isinstance(found, OnDevice)
    assert torch.equal(found.inner, expected)
    assert found.stride() == x.stride()


def test_tensors_of_another_device_than_the_processes_accelerator_are_copied_without_pins(device, monkeypatch):
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: None)
    x = torch.rand(2, 3)
    with device:
        host = module.to_host(OnDevice(x))
        module.to_device(host, torch.device("xla:0"))
    assert device.log == ["to host, pinned=False", "to device, pinned=False"]
    assert torch.equal(host, x)


def test_tensors_of_the_cpu_stay_where_they_are(device):
    x = torch.rand(2, 3)
    with device:
        assert module.to_host(x) is x
        assert module.to_device(x, x.device) is x
    assert device.log == []
