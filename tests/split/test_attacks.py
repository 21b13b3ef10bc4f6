"""What a hostile client, or a folder that somebody tampered with, does to a server: nothing."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
grpc = pytest.importorskip("grpc")
pytest.importorskip("grpc_health")
pytest.importorskip("grpc_reflection")

from grpc_health.v1 import health_pb2, health_pb2_grpc
from torch import Tensor

from fmapzip.errors import InvalidInput, Refused, ServiceError
from fmapzip.split import Client, load
from fmapzip.split.access import ClientLimits, Tokens
from fmapzip.split.bundle import Split
from fmapzip.split.engine import Engine
from fmapzip.split.link import METHOD
from fmapzip.split.server import Server, ServerSettings
from fmapzip.split.wire import split_pb2 as wire

pytestmark = pytest.mark.usefixtures("one_thread")
WAIT = 60.0
TOKEN = "0123456789abcdef"


@dataclass
class Serving:
    """A server in a thread of its own."""

    server: Server
    address: str
    lines: list[str]
    loop: asyncio.AbstractEventLoop

    def reload(self) -> bool:
        return asyncio.run_coroutine_threadsafe(self.server.reload(), self.loop).result(WAIT)

    def call(self, requests: Iterable[Any], **how: Any) -> Any:
        """A stream that sends messages, or bytes as they are."""
        channel = grpc.insecure_channel(self.address, [("grpc.max_send_message_length", -1)])
        method = channel.stream_stream(
            METHOD,
            request_serializer=lambda x: x if isinstance(x, bytes) else x.SerializeToString(),
            response_deserializer=wire.Reply.FromString,
        )
        return method(iter(requests), timeout=WAIT, **how)


@contextmanager
def serving(folder: Path, settings: ServerSettings, tokens: Tokens | None = None) -> Iterator[Serving]:
    lines: list[str] = []
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _, context: lines.append(str(context)))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def begin() -> tuple[Server, int]:
        server = Server(folder, settings, tokens, lines.append)
        port = server.listen("127.0.0.1:0", None)
        await server.start()
        return server, port

    server, port = asyncio.run_coroutine_threadsafe(begin(), loop).result(WAIT)
    try:
        yield Serving(server, f"127.0.0.1:{port}", lines, loop)
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(0), loop).result(WAIT)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def attacked(folder: Path) -> Iterator[Serving]:
    settings = ServerSettings(exact=False, greeting=1.0, limits=ClientLimits(streams=4))
    with serving(folder, settings) as found:
        yield found


@pytest.fixture
def still_serves(attacked: Serving, split: Split, images: Tensor) -> Iterator[None]:
    """After each attack another client gets its outputs, and the server had no error of its own."""
    yield
    with Client(attacked.address, split, insecure=True) as client:
        assert torch.equal(client(images[:1]), split(images[:1]))
    assert attacked.lines == []


@pytest.fixture(scope="module")
def split(folder: Path) -> Split:
    return load(folder)


def hello(split: Split) -> wire.Request:
    return wire.Request(hello=wire.Hello(split=split.manifest.hash))


def refusal(call: Any) -> str:
    with pytest.raises(grpc.RpcError) as found:
        list(call)
    return str(found.value.code().name)


@pytest.mark.usefixtures("still_serves")
def test_a_compressed_message_is_not_unpacked(attacked: Serving, split: Split) -> None:
    for size in (1 << 10, 32 << 20):
        bomb = wire.Request(image=wire.Image(id=1, frames=[bytes(size)]))
        call = attacked.call([hello(split), bomb], compression=grpc.Compression.Gzip)
        assert refusal(call) in ("UNIMPLEMENTED", "RESOURCE_EXHAUSTED")


@pytest.mark.usefixtures("still_serves")
def test_a_message_of_too_many_bytes_or_frames_is_refused(attacked: Serving, split: Split) -> None:
    large = wire.Request(image=wire.Image(id=1, frames=[bytes(1 << 20)]))
    assert refusal(attacked.call([hello(split), large])) == "RESOURCE_EXHAUSTED"
    many = wire.Request(image=wire.Image(id=1, frames=[b""] * 30_000))
    _, reply = list(attacked.call([hello(split), many]))
    assert reply.failure.kind == wire.Failure.BAD_FRAME


@pytest.mark.usefixtures("still_serves")
@pytest.mark.parametrize("metadata", [[("a", "b" * 20_000)], [(f"k{i}", "value") for i in range(2000)]])
def test_metadata_have_a_limit(attacked: Serving, split: Split, metadata: list[tuple[str, str]]) -> None:
    assert refusal(attacked.call([hello(split)], metadata=metadata)) == "RESOURCE_EXHAUSTED"


@pytest.mark.usefixtures("still_serves")
@pytest.mark.parametrize("message", [b"\xff\xff\xff", b"", b"\x12\xff\xff\xff\xff\x0f"])
def test_what_is_no_message_is_refused(attacked: Serving, split: Split, message: bytes) -> None:
    assert refusal(attacked.call([message])) == "INVALID_ARGUMENT"
    assert refusal(attacked.call([hello(split), message])) == "INVALID_ARGUMENT"


@pytest.mark.usefixtures("still_serves")
def test_numbers_as_large_as_they_can_be_are_refused(attacked: Serving, split: Split, images: Tensor) -> None:
    with torch.inference_mode():
        (frames,) = split.codec.encode(split.head(images[:1]))
    image = wire.Image(id=2**64 - 1, rung=2**32 - 1, frames=frames, patience_ms=2**32 - 1)
    _, reply = list(attacked.call([hello(split), wire.Request(image=image)]))
    assert (reply.failure.id, reply.failure.kind) == (2**64 - 1, wire.Failure.BAD_FRAME)


@pytest.mark.usefixtures("still_serves")
def test_streams_of_one_client_have_a_limit_whatever_they_share(attacked: Serving, split: Split) -> None:
    ended = threading.Event()

    def silent() -> Iterator[Any]:
        yield hello(split)
        ended.wait(WAIT)

    calls = [attacked.call(silent()) for _ in range(4)]
    assert [next(call).WhichOneof("kind") for call in calls] == ["welcome"] * 4
    assert refusal(attacked.call([hello(split)])) == "RESOURCE_EXHAUSTED"
    ended.set()
    assert [list(call) for call in calls] == [[]] * 4


@pytest.mark.usefixtures("still_serves")
def test_who_says_no_hello_or_does_not_even_speak_http_is_let_go(attacked: Serving, split: Split) -> None:
    ended = threading.Event()

    def mute() -> Iterator[Any]:
        ended.wait(WAIT)
        yield from ()

    call = attacked.call(mute())
    host, _, port = attacked.address.rpartition(":")
    sockets = [socket.create_connection((host, int(port)), WAIT) for _ in range(8)]
    for each in sockets[4:]:
        each.sendall(b"PRI * HTTP/2.0\r\n\r\n")  # as a browser begins, and no further
    assert refusal(call) == "DEADLINE_EXCEEDED"
    ended.set()
    for each in sockets:
        with each:
            while each.recv(4096):  # until the server closes it
                pass


def test_connections_have_a_limit(folder: Path) -> None:
    with serving(folder, ServerSettings(exact=False, streams=1)) as found:
        host, _, port = found.address.rpartition(":")
        sockets = [socket.create_connection((host, int(port)), WAIT) for _ in range(80)]
        wait_until(lambda: sum(map(is_closed, sockets)) >= 10)
        for each in sockets:
            each.close()


def is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return not connection.recv(4096)
    except BlockingIOError:
        return False
    except OSError:
        return True


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_without_a_token_one_may_ask_for_the_health_and_for_nothing_else(folder: Path, split: Split) -> None:
    tokens = Tokens({"camera": TOKEN})
    with serving(folder, ServerSettings(exact=False), tokens) as found:
        wrong = ["", "Bearer", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN} ", f"Basic {TOKEN}", "Bearer " + "x" * 5000]
        for each in wrong:
            metadata = [("authorization", each)] if each else None
            assert refusal(found.call([hello(split)], metadata=metadata)) == "UNAUTHENTICATED"
        twice = [("authorization", "Bearer guess"), ("authorization", f"Bearer {TOKEN}")]
        assert refusal(found.call([hello(split)], metadata=twice)) == "UNAUTHENTICATED"
        with grpc.insecure_channel(found.address) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            asked = health_pb2.HealthCheckRequest()
            assert health.Check(asked, timeout=WAIT).status == health_pb2.HealthCheckResponse.SERVING
            assert refusal(health.Watch(asked, timeout=WAIT)) == "UNAUTHENTICATED"
            own = [("authorization", f"Bearer {TOKEN}")]
            watching = health.Watch(asked, timeout=WAIT, metadata=own)
            assert next(watching).status == health_pb2.HealthCheckResponse.SERVING
            watching.cancel()
            reflection = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
            assert refusal(reflection(iter([b""]), timeout=WAIT)) == "UNAUTHENTICATED"
        assert next(found.call([hello(split)], metadata=own)).WhichOneof("kind") == "welcome"
        assert found.lines == []


class Hostile(grpc.GenericRpcHandler):
    """A server that answers each image by what it is told, whatever was asked."""

    def __init__(self, answer: wire.Reply) -> None:
        self._answer = answer

    def service(self, _: Any) -> Any:
        return grpc.stream_stream_rpc_method_handler(
            self._answers, wire.Request.FromString, wire.Reply.SerializeToString
        )

    def _answers(self, requests: Iterator[wire.Request], _: Any) -> Iterator[wire.Reply]:
        for request in requests:
            if request.WhichOneof("kind") == "hello":
                yield wire.Reply(welcome=wire.Welcome(window=2**32 - 1))
            else:
                yield wire.Reply(output=wire.Output(id=2**64 - 1))  # nobody asked for that one
                self._answer.output.id = request.image.id
                yield self._answer


@pytest.mark.parametrize(
    ("tensors", "error"),
    [([bytes(32 << 20)], Refused), ([], ServiceError), ([b"1"], ServiceError), ([bytes(16)] * 2, ServiceError)],
)
def test_a_hostile_server_gives_a_client_no_wrong_output(
    split: Split, images: Tensor, tensors: list[bytes], error: type[ServiceError]
) -> None:
    server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.max_send_message_length", -1)])
    server.add_generic_rpc_handlers([Hostile(wire.Reply(output=wire.Output(tensors=tensors)))])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with Client(f"127.0.0.1:{port}", split, insecure=True) as client, pytest.raises(error):
            client(images[:1])
    finally:
        server.stop(0)


Change = Callable[[dict[str, Any]], None]


def tampered(folder: Path, to: Path, change: Change | None = None, files: dict[str, bytes] | None = None) -> Path:
    """A copy with another manifest and other files, which it names rightly."""
    shutil.copytree(folder, to)
    manifest = json.loads((to / "manifest.json").read_text())
    for name, data in (files or {}).items():
        (to / name).write_bytes(data)
        for part in (manifest["head"], manifest["tail"]):
            if part["name"] == name:
                part["sha256"] = hashlib.sha256(data).hexdigest()
    if change is not None:
        change(manifest)
    (to / "manifest.json").write_text(json.dumps(manifest))
    return to


def putting(*path: Any) -> Change:
    *place, value = path

    def change(manifest: dict[str, Any]) -> None:
        found: Any = manifest
        for key in place[:-1]:
            found = found[key]
        found[place[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        putting("maps", 0, "shape", [2**62, 2**62]),
        putting("maps", 0, "axis", 2**40),
        putting("outputs", 0, "shape", [2**62]),
        putting("outputs", 0, "dtype", "object"),
        putting("outputs", 0, "dtype", "load"),
        putting("outputs", 0, "dtype", "int32"),
        putting("input_dtype", "load"),
        putting("structure", ""),
        putting("structure", "[" * 100_000),
        putting("structure", '[1, {"type": "os.system", "context": "null", "children_spec": []}]'),
        putting("structure", '[1, {"type": "builtins.list", "context": "null", "children_spec": []}]'),
        putting("head", "name", "../manifest.json"),
        putting("head", "name", "head.pt2\n"),
        putting("tail", "name", "head.pt2"),
        putting("ladder", 0, "bytes", 10**400),
    ],
)
def test_a_tampered_manifest_is_a_typed_error(folder: Path, tmp_path: Path, change: Change) -> None:
    with pytest.raises(InvalidInput):
        Engine(load(tampered(folder, tmp_path / "net", change)), 1, False)


def test_a_damaged_program_that_the_manifest_names_is_a_typed_error(folder: Path, tmp_path: Path) -> None:
    tail = (folder / "tail.pt2").read_bytes()
    for i, data in enumerate([b"", b"no program", tail[:5000], (folder / "head.pt2").read_bytes()]):
        with pytest.raises(InvalidInput, match=r"no program|does not run"):
            Engine(load(tampered(folder, tmp_path / str(i), files={"tail.pt2": data})), 1, False)


def test_a_folder_tampered_with_before_a_reload_changes_nothing(
    folder: Path, split: Split, images: Tensor, tmp_path: Path
) -> None:
    place = tmp_path / "net"
    shutil.copytree(folder, place)
    with serving(place, ServerSettings(exact=False)) as found:
        served = found.server.hash
        for change, files in (
            (None, {"tail.pt2": b"no program"}),
            (None, {"tail.pt2": (folder / "head.pt2").read_bytes()}),
            (putting("structure", "[]"), {}),
        ):
            shutil.rmtree(place)
            tampered(folder, place, change, files)
            assert not found.reload()
        assert [line.partition(":")[0] for line in found.lines] == ["not read again"] * 3
        assert found.server.hash == served
        with Client(found.address, split, insecure=True) as client:
            assert torch.equal(client(images[:1]), split(images[:1]))
