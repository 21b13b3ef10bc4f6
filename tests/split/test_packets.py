"""A server in another network namespace, over a link of packets that are late, out of step and lost."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("grpc")
pytest.importorskip("grpc_health")

from certificates import authority, certificate
from packet_link import Conditions, NotAllowed, PacketLink
from torch import Tensor

from fmapzip.split import Client, load
from serving import ServerProcess

TOKEN = "0123456789abcdef"
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def link() -> Iterator[PacketLink]:
    try:
        with PacketLink(Conditions()) as found:
            yield found
    except NotAllowed as error:
        pytest.skip(f"links of packets cannot be made here: {error}")


@pytest.fixture(scope="module")
def far(link: PacketLink, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of a server at the other end, and who signs its certificate."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: certificates cannot be made")
    place = tmp_path_factory.mktemp("far")
    authority(place, "ca")
    certificate(place, "server", places=[link.address])
    (place / "tokens").write_text(f"camera {TOKEN}\n")
    files = ["--cert", place / "server.pem", "--key", place / "server.key", "--tokens", place / "tokens"]
    with ServerProcess(folder, *files, "--host", link.address, insecure=False, within=link.within) as server:
        yield server.address, place / "ca.pem"


@pytest.mark.parametrize(
    "conditions",
    [
        Conditions(1e6, 0.01),
        Conditions(10e6, 0.05),
        Conditions(100e6, 0.01, jitter=0.01),
        Conditions(10e6, 0.01, loss=0.05),
    ],
    ids=["slow", "far", "jitter", "loss"],
)
def test_outputs_are_those_of_one_place_whatever_the_link(
    conditions: Conditions, link: PacketLink, far: tuple[str, Path], folder: Path, images: Tensor
) -> None:
    link.set(conditions)
    split = load(folder)
    with Client(far[0], split, ca=far[1], token=TOKEN) as client:
        for future, x in [(client.submit(images[i : i + 1]), images[i : i + 1]) for i in range(6)]:
            assert torch.equal(future.result(), split(x))
        assert client.report().again == 0


def test_the_rung_goes_down_with_the_link_and_comes_back(
    link: PacketLink, far: tuple[str, Path], folder: Path, images: Tensor
) -> None:
    split = load(folder)
    sizes = [rung.bytes for rung in split.manifest.ladder]
    link.set(Conditions(8 * sizes[0] / 0.05))  # an image of the best rung in 50 ms
    with Client(far[0], split, ca=far[1], token=TOKEN, target=1) as client:
        for _ in range(10):
            client(images[:1])
        assert set(client.report().rungs) == {0}
        link.set(Conditions(8 * sizes[0] / 2))
        for _ in range(4):
            client(images[:1])
        assert max(client.report().rungs) > 0
        link.set(Conditions(8 * sizes[0] / 0.02))
        before = client.report().rungs[0]
        for _ in range(200):
            client(images[:1])
            if client.report().rungs[0] > before:
                break
        assert client.report().rungs[0] > before
