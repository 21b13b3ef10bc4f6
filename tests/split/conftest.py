"""A small network with a residual shortcut, and splits of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn

from fmapzip.split import cut, save_split
from serving import ServerProcess


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.conv2(torch.relu(self.conv1(x))) + x)


def small_network() -> nn.Sequential:
    torch.manual_seed(0)
    stem = nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), Block(), Block()
    return nn.Sequential(*stem, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)).eval()


@pytest.fixture(scope="session")
def network() -> nn.Sequential:
    return small_network()


@pytest.fixture(scope="session")
def images() -> Tensor:
    return torch.rand(12, 3, 12, 12, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="session")
def folder(network: nn.Sequential, images: Tensor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A split behind the first layer of the second block's branch, so that its shortcut crosses too."""
    target = tmp_path_factory.mktemp("split") / "net"
    codecs = ["context-rans", _coarse(2), _coarse(6)]
    save_split(cut(network, images[:1], at="3.conv2"), target, images, codecs)
    return target


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As many as servers have here: kernels may round differently for other numbers of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def server(folder: Path) -> Iterator[ServerProcess]:
    with ServerProcess(folder, "--metrics-port", "0", "--client-streams", "256") as process:
        yield process
    assert process.process.returncode == 0


def _coarse(step: int) -> object:
    from fmapzip.registry import make

    return make("context-rans", step=step)
