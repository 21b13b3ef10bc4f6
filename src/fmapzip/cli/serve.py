"""``fmapzip serve``: the tail of a split, for devices that send what crosses."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fmapzip.cli import options
from fmapzip.cli.app import app
from fmapzip.cli.console import say
from fmapzip.cli.exits import tell
from fmapzip.cli.help import Command
from fmapzip.cli.service import WHERE, WHO, file_option, require_grpc
from fmapzip.errors import InvalidInput

if TYPE_CHECKING:
    import grpc

    from fmapzip.split.access import Tokens
    from fmapzip.split.server import ServerSettings

LIMITS = "Limits"


def _most(name: str, text: str, panel: str = LIMITS) -> typer.models.OptionInfo:
    found: typer.models.OptionInfo = typer.Option(name, min=1, metavar="N", help=text, rich_help_panel=panel)
    return found


Folder = Annotated[Path, typer.Argument(metavar="DIR", help="What split wrote.")]
Host = Annotated[str, typer.Option(metavar="ADDRESS", help="The address to listen on.", rich_help_panel=WHERE)]
Port = Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="0: any that is free.", rich_help_panel=WHERE)]
MetricsPort = Annotated[
    int | None,
    typer.Option(
        "--metrics-port", min=0, max=65535, metavar="N", help="Metrics for Prometheus over HTTP, on 127.0.0.1.",
        show_default="none", rich_help_panel=WHERE,
    ),
]  # fmt: skip
Certificate = Annotated[Path | None, file_option("--cert", "The server's certificate chain, PEM.")]
Key = Annotated[Path | None, file_option("--key", "Its private key, PEM.")]
ClientCa = Annotated[Path | None, file_option("--client-ca", "Who signs clients' certificates: each must have one.")]
TokenFile = Annotated[Path | None, file_option("--tokens", "Lines of NAME TOKEN: each client must have one.")]
Insecure = Annotated[
    bool, typer.Option("--insecure", help="Without TLS; only on a loopback address.", rich_help_panel=WHO)
]
BatchSize = Annotated[int, _most("--batch", "Most images computed together.", options.RUNNING)]
Linger = Annotated[
    float,
    typer.Option(min=0, metavar="MS", help="An image waits so long for others to be computed with.",
                 rich_help_panel=options.RUNNING),
]  # fmt: skip
Exact = Annotated[
    bool,
    typer.Option(
        "--exact/--any-batch",
        help="Only batches whose results are those of the image alone, bit for bit, or any.",
        rich_help_panel=options.RUNNING,
    ),
]
Grace = Annotated[
    float,
    typer.Option(min=0, metavar="SECONDS", help="To finish what was accepted, at the end.",
                 rich_help_panel=options.RUNNING),
]  # fmt: skip
Room = Annotated[int, _most("--room", "Images of all clients that wait or run at once.")]
Streams = Annotated[int, _most("--streams", "Streams of all clients.")]
ClientStreams = Annotated[int, _most("--client-streams", "Streams of one client.")]
Window = Annotated[int, _most("--window", "Images under way at once in a stream.")]
Rate = Annotated[
    float | None,
    typer.Option("--rate", min=0.001, metavar="N", help="Images a second of one client.", show_default="any",
                 rich_help_panel=LIMITS),
]  # fmt: skip
Stall = Annotated[
    float,
    typer.Option(min=0.1, metavar="SECONDS", help="A client that reads no reply for so long is let go.",
                 rich_help_panel=LIMITS),
]  # fmt: skip
ByteRate = Annotated[
    float | None,
    typer.Option("--byte-rate", min=1, metavar="N", help="Bytes a second of one client.", show_default="any",
                 rich_help_panel=LIMITS),
]  # fmt: skip


@app.command("serve", cls=Command)
def serve(
    folder: Folder,
    host: Host = "127.0.0.1",
    port: Port = 8443,
    metrics_port: MetricsPort = None,
    cert: Certificate = None,
    key: Key = None,
    client_ca: ClientCa = None,
    tokens: TokenFile = None,
    insecure: Insecure = False,
    batch: BatchSize = 8,
    linger: Linger = 2.0,
    exact: Exact = True,
    grace: Grace = 30.0,
    torch_threads: options.TorchThreads = None,
    room: Room = 256,
    streams: Streams = 1024,
    client_streams: ClientStreams = 64,
    window: Window = 16,
    rate: Rate = None,
    byte_rate: ByteRate = None,
    stall: Stall = 30.0,
) -> None:
    """Serve the tail of a split, over gRPC with TLS.

    SIGHUP reads DIR and the tokens again; SIGTERM and SIGINT finish what was accepted and end.
    """
    require_grpc()
    import torch

    from fmapzip.split.access import ClientLimits, read_tokens
    from fmapzip.split.server import ServerSettings

    credentials = _credentials(cert, key, client_ca, tokens, insecure, host)
    if torch_threads is not None:
        torch.set_num_threads(torch_threads)
    limits = ClientLimits(client_streams, window, rate, byte_rate)
    settings = ServerSettings(batch, linger / 1000, exact, room, streams, limits, stall=stall)
    known = None if tokens is None else read_tokens(tokens)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    asyncio.run(_serve(folder, settings, known, tokens, address, credentials, metrics_port, grace))


async def _serve(
    folder: Path,
    settings: ServerSettings,
    tokens: Tokens | None,
    token_file: Path | None,
    address: str,
    credentials: grpc.ServerCredentials | None,
    metrics_port: int | None,
    grace: float,
) -> None:
    from fmapzip.split.access import read_tokens
    from fmapzip.split.server import Server

    server = Server(folder, settings, tokens, tell)
    port = server.listen(address, credentials)
    loop, ended, again = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    loop.add_signal_handler(signal.SIGHUP, again.set)
    with ExitStack() as stack:
        if metrics_port is not None:
            published, stop = server.metrics.publish("127.0.0.1", metrics_port)
            stack.callback(stop)
            say(f"metrics on http://127.0.0.1:{published}/metrics")
        await server.start()
        sizes = ", ".join(map(str, sorted(server.sizes)))
        say(f"split {server.hash[:16]} on {address.rpartition(':')[0]}:{port}, batches of {sizes}")
        _flush()
        ending = asyncio.create_task(ended.wait())
        while not ended.is_set():
            asked = asyncio.create_task(again.wait())
            await asyncio.wait([ending, asked], return_when=asyncio.FIRST_COMPLETED)
            asked.cancel()
            if again.is_set() and not ended.is_set():
                again.clear()
                await server.reload()
                if token_file is not None:
                    try:
                        server.tokens = read_tokens(token_file)
                    except InvalidInput as error:
                        tell(f"the former tokens stay: {error}")
        tell("finishing what was accepted")
        await server.stop(grace)


def _credentials(
    cert: Path | None, key: Path | None, client_ca: Path | None, tokens: Path | None, insecure: bool, host: str
) -> grpc.ServerCredentials | None:
    import grpc

    if insecure:
        if cert is not None or key is not None or client_ca is not None:
            raise InvalidInput("--insecure and certificates exclude each other")
        if not _is_loopback(host):
            raise InvalidInput(f"--insecure listens on a loopback address only, not on {host}")
        return None
    if cert is None or key is None:
        raise InvalidInput("give --cert and --key, or --insecure on a loopback address")
    if tokens is None and client_ca is None:
        raise InvalidInput("say who may ask: --tokens or --client-ca")
    pair = (key.read_bytes(), cert.read_bytes())
    ca = None if client_ca is None else client_ca.read_bytes()
    return grpc.ssl_server_credentials([pair], ca, require_client_auth=ca is not None)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _flush() -> None:
    import sys

    sys.stdout.flush()
