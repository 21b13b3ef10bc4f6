"""What goes wrong with real processes and links: nobody gets a wrong output, and a server outlives its clients."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
grpc = pytest.importorskip("grpc")
pytest.importorskip("grpc_health")

from certificates import authority, certificate
from torch import Tensor, nn

from fmapzip.errors import DeadlineExceeded, PlanMismatch, Refused, Unreachable
from fmapzip.split import Client, cut, load, save_split
from fmapzip.split.link import METHOD
from fmapzip.split.wire import split_pb2 as wire
from serving import ServerProcess
from shaping import ShapedLink

CLIENTS = 200


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def outputs(folder: Path, images: Tensor) -> list[list[Tensor]]:
    """What each rung gives for each image in one place."""
    split = load(folder)
    return [[split(images[i : i + 1], rung) for i in range(len(images))] for rung in range(3)]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def metric(server: ServerProcess, name: str) -> float:
    text = urllib.request.urlopen(server.metrics).read().decode()
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.M)
    return float(found[1]) if found else 0.0


def wait_for(condition, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_server_that_is_killed_and_comes_back_costs_time_alone(
    folder: Path, images: Tensor, outputs: list[list[Tensor]]
) -> None:
    port = free_port()
    first = ServerProcess(folder, "--port", str(port))
    with Client(first.address, folder, insecure=True, retries=30) as client:
        client(images[:1])
        stop = threading.Event()
        found: list[tuple[int, Tensor]] = []

        def ask() -> None:
            while not stop.is_set():
                for i, future in [(i, client.submit(images[i : i + 1])) for i in range(len(images))]:
                    found.append((i, future.result()))

        asking = threading.Thread(target=ask)
        asking.start()
        wait_for(lambda: len(found) > 20)
        first.kill()
        first.stop()
        before = len(found)
        with ServerProcess(folder, "--port", str(port)):
            wait_for(lambda: len(found) > before + 40, 60)
            stop.set()
            asking.join()
        report = client.report()
    assert all(torch.equal(output, outputs[0][i]) for i, output in found)
    assert report.streams >= 2
    assert report.images == len(found) + 1


def test_a_server_that_ends_finishes_what_it_accepted(
    folder: Path, images: Tensor, outputs: list[list[Tensor]]
) -> None:
    """It computes slowly, for each batch waits for others; all that it accepted before the signal comes back."""
    with ServerProcess(folder, "--linger", "300", "--any-batch", "--batch", "64") as server:
        split = load(folder)
        with torch.inference_mode():
            messages = split.codec.encode(split.head(images))
        hello = wire.Request(hello=wire.Hello(split=split.manifest.hash))
        requests = [wire.Request(image=wire.Image(id=i, frames=message)) for i, message in enumerate(messages)]
        held = threading.Event()

        def talk() -> Iterator[wire.Request]:
            yield hello
            yield from requests
            held.wait(30)

        with grpc.insecure_channel(server.address) as channel:
            call = channel.stream_stream(
                METHOD, request_serializer=wire.Request.SerializeToString, response_deserializer=wire.Reply.FromString
            )(talk())
            replies = iter(call)
            assert next(replies).WhichOneof("kind") == "welcome"
            time.sleep(0.1)
            server.process.send_signal(signal.SIGTERM)
            numbers = sorted(reply.output.id for reply in replies)  # the stream ends without an error
            held.set()
        assert numbers == list(range(len(images)))
        assert server.process.wait(30) == 0


def test_a_client_that_is_killed_leaves_nothing_behind(server: ServerProcess, folder: Path, images: Tensor) -> None:
    code = (
        "import sys, torch; from fmapzip.split import Client\n"
        "client = Client(sys.argv[1], sys.argv[2], insecure=True)\n"
        "print('on', flush=True)\n"
        "while True: [client.submit(torch.rand(1, 3, 12, 12)) for _ in range(16)]"
    )
    wait_for(lambda: metric(server, "fmapzip_streams") == 0)
    before = metric(server, 'fmapzip_images_total{outcome="done"}')
    process = subprocess.Popen([sys.executable, "-c", code, server.address, folder], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    wait_for(lambda: metric(server, 'fmapzip_images_total{outcome="done"}') > before + 50)
    assert metric(server, "fmapzip_streams") == 1
    process.kill()
    process.wait()
    process.stdout.close()
    wait_for(lambda: metric(server, "fmapzip_streams") == 0)
    wait_for(lambda: metric(server, "fmapzip_waiting_images") == 0)
    with Client(server.address, folder, insecure=True) as client:
        client(images)


def test_a_link_that_is_cut_and_one_that_hangs(
    server: ServerProcess, folder: Path, images: Tensor, outputs: list[list[Tensor]]
) -> None:
    with ShapedLink(server.address) as link:
        with Client(link.address, folder, insecure=True, retries=10) as client:
            assert torch.equal(client(images[:1]), outputs[0][0])
            link.cut()
            assert torch.equal(client(images[1:2]), outputs[0][1])
            assert client.report().streams == 2
        with Client(link.address, folder, insecure=True, timeout=1.0) as client:
            client(images[:1])
            link.frozen = True
            start = time.monotonic()
            with pytest.raises(DeadlineExceeded):
                client(images[:1])
            assert time.monotonic() - start < 10
            link.frozen = False
            link.cut()
            wait_for(lambda: _answers(client, images))


def _answers(client: Client, images: Tensor) -> bool:
    try:
        client(images[:1])
    except DeadlineExceeded:
        return False
    return True


def test_who_does_not_read_is_let_go_and_delays_nobody(images: Tensor, tmp_path: Path, folder: Path) -> None:
    """Outputs as large as these fill what the system buffers."""
    torch.manual_seed(0)
    wide = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 256, 3, padding=1)).eval()
    large = torch.rand(4, 3, 64, 64)
    save_split(cut(wide, large[:1], "2"), tmp_path / "wide", large, ["zvc"])
    split = load(tmp_path / "wide")
    with torch.inference_mode():
        message = split.codec.encode(split.head(large[:1]))[0]
    with ServerProcess(tmp_path / "wide", "--stall", "1", "--metrics-port", "0") as server:
        requests = [wire.Request(hello=wire.Hello(split=split.manifest.hash))]
        requests += [wire.Request(image=wire.Image(id=i, frames=message)) for i in range(60)]
        with grpc.insecure_channel(server.address) as channel:
            call = channel.stream_stream(
                METHOD, request_serializer=wire.Request.SerializeToString, response_deserializer=wire.Reply.FromString
            )(iter(requests))
            with Client(server.address, split, insecure=True) as client:
                assert torch.equal(client(large[:1]), split(large[:1]))
            wait_for(lambda: metric(server, 'fmapzip_refused_streams_total{reason="stalled"}') == 1)
            call.cancel()
        wait_for(lambda: metric(server, "fmapzip_streams") == 0)
        assert metric(server, 'fmapzip_images_total{outcome="done"}') < 40


def test_a_new_split_is_served_after_a_hang_up(
    network: nn.Sequential, folder: Path, images: Tensor, tmp_path: Path, outputs: list[list[Tensor]]
) -> None:
    place = tmp_path / "net"
    shutil.copytree(folder, place)
    with ServerProcess(place) as server, Client(server.address, folder, insecure=True) as former:
        assert torch.equal(former(images[:1]), outputs[0][0])
        save_split(cut(network, images[:1], at="6"), place, images)
        server.hang_up()
        wait_for(lambda: any("new streams get" in line for line in server.lines))
        assert torch.equal(former(images[1:2]), outputs[0][1])  # its stream is open still
        with Client(server.address, place, insecure=True) as later:
            assert torch.equal(later(images[:1]), load(place)(images[:1]))
        with Client(server.address, folder, insecure=True) as late, pytest.raises(PlanMismatch):
            late(images[:1])
        (place / "tail.pt2").write_bytes(b"")
        server.hang_up()
        wait_for(lambda: any("not read again" in line for line in server.lines))
        with Client(server.address, later.split, insecure=True) as still:
            still(images[:1])


def test_a_slow_link_is_answered_by_smaller_frames_and_a_fast_one_by_better_ones(
    server: ServerProcess, folder: Path, images: Tensor, outputs: list[list[Tensor]]
) -> None:
    """The link drops to a tenth and recovers; at each moment the output is that of the rung that is used."""
    split = load(folder)
    sizes = [rung.bytes for rung in split.manifest.ladder]
    with ShapedLink(server.address, rate=200_000, delay=0.01) as link:
        target = 0.05 + 1.3 * sizes[2] / 4_000
        with Client(link.address, split, insecure=True, target=target) as client:
            assert [_ask(client, images, outputs, i) for i in range(8)] == [0] * 8
            link.rate = 4_000
            assert [_ask(client, images, outputs, i) for i in range(12)][-6:].count(2) >= 4
            link.rate = 200_000
            assert [_ask(client, images, outputs, i) for i in range(60)][-5:].count(0) >= 4
            assert 0.02 <= client.report().round_trip < 5


def _ask(client: Client, images: Tensor, outputs: list[list[Tensor]], i: int) -> int:
    """Ask for an image, whose output is that of the rung that it went by; which one that was."""
    before = client.report().rungs
    i %= len(images)
    output = client(images[i : i + 1])
    (rung,) = (client.report().rungs - before).keys()
    assert torch.equal(output, outputs[rung][i])
    return rung


def test_two_hundred_clients_at_once(
    server: ServerProcess, folder: Path, images: Tensor, outputs: list[list[Tensor]]
) -> None:
    split = load(folder)
    clients = [Client(server.address, split, insecure=True) for _ in range(CLIENTS)]
    together = threading.Barrier(CLIENTS)

    def ask(number: int) -> list[Tensor]:
        together.wait()
        return [clients[number](images[i : i + 1]) for i in range(number % 3, number % 3 + 3)]

    with ThreadPoolExecutor(CLIENTS) as pool:
        found = list(pool.map(ask, range(CLIENTS)))
    for number, each in enumerate(found):
        assert all(torch.equal(output, outputs[0][number % 3 + k]) for k, output in enumerate(each))
    for client in clients:
        client.close()


def test_memory_stays_flat(server: ServerProcess, folder: Path, images: Tensor) -> None:
    """`benchmarks/split_soak.py` does this a hundred thousand times."""
    with Client(server.address, folder, insecure=True) as client:

        def ask(requests: int) -> None:
            for _ in range(requests // len(images)):
                client(images)

        ask(600)
        before = server.rss()
        ask(1200)
        assert server.rss() - before < 8 << 20


def test_a_client_is_held_to_its_rate_and_its_streams(folder: Path, images: Tensor) -> None:
    split = load(folder)
    with (
        ServerProcess(folder, "--rate", "10", "--client-streams", "1") as server,
        Client(server.address, split, insecure=True) as first,
        Client(server.address, split, insecure=True) as second,
    ):
        start = time.monotonic()
        first(torch.cat([images, images, images])[:25])
        assert time.monotonic() - start > 1.2
        with pytest.raises(Refused, match="at most 1 streams"):
            second(images[:1])
        first(images[:1])


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder: an authority, another one, a server's certificate, an expired one, and a client's."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: certificates cannot be made")
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("ca", "other"):
        authority(folder, name)
    for name, days in (("server", 30), ("expired", -1), ("camera", 30)):
        certificate(folder, name, days)
    return folder


def test_mutual_tls(folder: Path, images: Tensor, certificates: Path) -> None:
    c = certificates
    ways = ["--cert", c / "server.pem", "--key", c / "server.key", "--client-ca", c / "ca.pem"]
    with ServerProcess(folder, *ways, insecure=False) as server:
        split = load(folder)
        own = {"certificate": c / "camera.pem", "key": c / "camera.key"}
        with Client(server.address, split, ca=c / "ca.pem", **own) as client:
            client(images[:1])
        for wrong in (
            {"ca": c / "ca.pem"},
            {"ca": c / "other.pem", **own},
            {"ca": c / "ca.pem", "certificate": c / "expired.pem", "key": c / "expired.key"},
            {"insecure": True},
        ):
            with Client(server.address, split, retries=1, timeout=20, **wrong) as client, pytest.raises(Unreachable):
                client(images[:1])


def test_an_expired_certificate_is_not_believed(
    folder: Path, images: Tensor, certificates: Path, tmp_path: Path
) -> None:
    c = certificates
    tokens = tmp_path / "tokens"
    tokens.write_text("camera 0123456789abcdef\n")
    ways = ["--cert", c / "expired.pem", "--key", c / "expired.key", "--tokens", tokens]
    with (
        ServerProcess(folder, *ways, insecure=False) as server,
        Client(server.address, folder, ca=c / "ca.pem", token="0123456789abcdef", retries=1) as client,
        pytest.raises(Unreachable, match=r"(?i)certificate"),
    ):
        client(images[:1])


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="this system has no /dev/full")
def test_a_full_disk_for_the_log_stops_nothing(folder: Path, images: Tensor) -> None:
    port = free_port()
    command = [sys.executable, "-m", "fmapzip", "serve", folder, "--insecure", "--port", port]
    with (
        Path("/dev/full").open("w") as full,
        Client(f"127.0.0.1:{port}", folder, insecure=True, retries=30) as client,
        subprocess.Popen([*map(str, command)], stderr=full, stdout=subprocess.PIPE) as process,
    ):
        client(images[:1])
        process.send_signal(signal.SIGHUP)
        client(images[:1])
        process.terminate()
        assert process.wait(60) == 0
