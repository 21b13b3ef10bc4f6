"""A server and clients in processes of their own: the same bits as in one place, and who may ask."""

from __future__ import annotations

import asyncio
import time
import urllib.request
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
grpc = pytest.importorskip("grpc")
pytest.importorskip("grpc_health")

from torch import Tensor, nn

from fmapzip.cli.app import run
from fmapzip.cli.exits import Exit
from fmapzip.errors import CorruptFrame, DeadlineExceeded, InvalidInput, PlanMismatch, Refused, Unreachable
from fmapzip.split import AsyncClient, Client, cut, load, save_split
from fmapzip.split.link import METHOD
from fmapzip.split.wire import split_pb2 as wire
from serving import ServerProcess

pytestmark = pytest.mark.usefixtures("one_thread")


def alone(folder: Path, images: Tensor, rung: int = 0) -> Tensor:
    """What the network gives in one place, image by image."""
    split = load(folder)
    return torch.cat([split(images[i : i + 1], rung) for i in range(len(images))])


def test_results_are_those_of_one_place_bit_for_bit(server: ServerProcess, folder: Path, images: Tensor) -> None:
    split = load(folder)
    with Client(server.address, split, insecure=True) as client:
        futures = [client.submit(images[i : i + 1]) for i in range(len(images))]
        outputs = torch.cat([future.result() for future in futures])
    assert torch.equal(outputs, alone(folder, images))


def test_a_client_for_event_loops(server: ServerProcess, folder: Path, images: Tensor) -> None:
    async def ask() -> list[Tensor]:
        async with AsyncClient(server.address, folder, insecure=True) as client:
            return await asyncio.gather(*(client(images[i : i + 1]) for i in range(4)))

    assert torch.equal(torch.cat(asyncio.run(ask())), alone(folder, images[:4]))


def test_another_split_is_refused(
    server: ServerProcess, network: nn.Sequential, images: Tensor, tmp_path: Path
) -> None:
    save_split(cut(network, images[:1], at="6"), tmp_path / "other", images)
    with Client(server.address, tmp_path / "other", insecure=True) as client, pytest.raises(PlanMismatch):
        client(images[:1])


def test_other_inputs_are_refused_before_anything_is_sent(server: ServerProcess, folder: Path) -> None:
    with Client(server.address, folder, insecure=True) as client:
        for wrong in (torch.zeros(1, 3, 12, 13), torch.zeros(3, 12, 12), torch.zeros(0, 3, 12, 12)):
            with pytest.raises(InvalidInput, match="expected a batch"):
                client(wrong)


def test_health_reflection_and_metrics_answer(server: ServerProcess, folder: Path, images: Tensor) -> None:
    from grpc_health.v1 import health_pb2, health_pb2_grpc
    from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

    with Client(server.address, folder, insecure=True) as client:
        client(images)
    with grpc.insecure_channel(server.address) as channel:
        status = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=METHOD.split("/")[1]))
        assert status.status == health_pb2.HealthCheckResponse.SERVING
        ask = reflection_pb2.ServerReflectionRequest(file_containing_symbol=METHOD.split("/")[1])
        answer = next(iter(reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([ask]))))
        assert b"patience_ms" in answer.file_descriptor_response.file_descriptor_proto[0]
    text = urllib.request.urlopen(server.metrics).read().decode()
    assert 'fmapzip_images_total{outcome="done"}' in text
    assert "fmapzip_batch_images_bucket" in text


def _stream(address: str, requests: list[wire.Request]) -> list[wire.Reply]:
    with grpc.insecure_channel(address) as channel:
        call = channel.stream_stream(
            METHOD, request_serializer=wire.Request.SerializeToString, response_deserializer=wire.Reply.FromString
        )
        return list(call(iter(requests), timeout=30))


def test_what_a_stranger_sends_harms_nobody(server: ServerProcess, folder: Path, images: Tensor) -> None:
    split = load(folder)
    with torch.inference_mode():
        good = split.codec.encode(split.head(images[:1]))[0]
    hello = wire.Request(hello=wire.Hello(split=split.manifest.hash))
    flipped = [good[0], good[1][:-1] + bytes([good[1][-1] ^ 1])]
    bad = [[], good[:1], flipped, [good[0], good[1] + b"x"], [good[1], good[0]], [b"\0" * 4000, good[1]], good * 40]
    requests = [hello, *(wire.Request(image=wire.Image(id=i, frames=frames)) for i, frames in enumerate([*bad, good]))]
    requests.append(wire.Request(image=wire.Image(id=99, rung=7, frames=good)))
    replies = _stream(server.address, requests)
    assert {reply.failure.id for reply in replies if reply.WhichOneof("kind") == "failure"} == {*range(len(bad)), 99}
    assert {reply.failure.kind for reply in replies if reply.WhichOneof("kind") == "failure"} == {
        wire.Failure.BAD_FRAME
    }
    assert [reply.output.id for reply in replies if reply.WhichOneof("kind") == "output"] == [len(bad)]
    for first, code in (
        ([requests[1]], grpc.StatusCode.INVALID_ARGUMENT),
        ([], grpc.StatusCode.INVALID_ARGUMENT),
        ([hello, wire.Request(image=wire.Image(frames=[b"\0" * (1 << 22)]))], grpc.StatusCode.RESOURCE_EXHAUSTED),
    ):
        with pytest.raises(grpc.RpcError) as raised:
            _stream(server.address, first)
        assert raised.value.code() == code
    with Client(server.address, split, insecure=True) as client:
        assert torch.equal(client(images[:1]), alone(folder, images[:1]))


def test_a_corrupted_frame_is_told_to_its_sender_by_kind(server: ServerProcess, folder: Path, images: Tensor) -> None:
    split = load(folder)
    encode = split.codec.encode

    def damaged(maps: object, rung: int = 0) -> list[list[bytes]]:
        return [[frame[:-1] + bytes([frame[-1] ^ 1]) for frame in message] for message in encode(maps, rung)]

    split.codec.encode = damaged  # type: ignore[method-assign]
    with Client(server.address, split, insecure=True) as client, pytest.raises(CorruptFrame, match="server refuses"):
        client(images[:1])


def test_the_command_sends_a_folder(
    server: ServerProcess, folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(["send", str(folder), "demo", "--to", server.address, "--insecure"]) == Exit.INPUT
    assert "expected a batch of [3, 12, 12]" in capsys.readouterr().err


def test_a_server_that_is_not_there_is_told_after_some_tries(folder: Path, images: Tensor) -> None:
    with Client("127.0.0.1:1", folder, insecure=True, retries=1) as client:
        start = time.monotonic()
        with pytest.raises(Unreachable):
            client(images[:1])
        assert time.monotonic() - start < 20
    patient = Client("127.0.0.1:1", folder, insecure=True, retries=100, timeout=0.5)
    with patient as client, pytest.raises(DeadlineExceeded):
        client(images[:1])


def test_tokens(folder: Path, images: Tensor, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("# who\ncamera 0123456789abcdef\n")
    with ServerProcess(folder, "--tokens", tokens) as server:
        with Client(server.address, folder, insecure=True, token="0123456789abcdef") as client:
            client(images[:1])
        for wrong in (None, "0123456789abcdeF", "x"):
            with Client(server.address, folder, insecure=True, token=wrong) as client, pytest.raises(Refused):
                client(images[:1])
        tokens.write_text("camera fedcba9876543210\n")
        server.hang_up()
        deadline = time.monotonic() + 20
        while True:
            try:
                with Client(server.address, folder, insecure=True, token="fedcba9876543210") as client:
                    client(images[:1])
                break
            except Refused:
                assert time.monotonic() < deadline
                time.sleep(0.1)
    tokens.write_text("camera short\n")
    assert run(["serve", str(folder), "--insecure", "--tokens", str(tokens)]) == Exit.INPUT


@pytest.mark.parametrize(
    "arguments", [[], ["--insecure", "--host", "0.0.0.0"], ["--cert", "x", "--key", "x"], ["--insecure", "--cert", "x"]]
)
def test_serving_without_protection_is_refused(folder: Path, arguments: list[str]) -> None:
    assert run(["serve", str(folder), *arguments]) == Exit.INPUT
