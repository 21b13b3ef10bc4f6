"""A server of a split: gRPC streams of frames in, outputs out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from fmapzip.errors import FmapzipError, InvalidInput
from fmapzip.split.access import ClientLimits, Clients, Tokens
from fmapzip.split.batcher import Batcher, Job
from fmapzip.split.bundle import load
from fmapzip.split.engine import Computed, Engine
from fmapzip.split.metrics import Metrics
from fmapzip.split.wire import split_pb2 as wire

SERVICE = wire.DESCRIPTOR.services_by_name["Split"].full_name
METHOD = f"/{SERVICE}/Run"
_HEALTH = "/grpc.health.v1.Health/Check"
_MESSAGE_OVERHEAD = 4096
_LEAST_MESSAGE = 1 << 16
_LONGEST_IDLE_MS = 120_000
_OTHER_CALLS = 64
"""Beside streams: health, reflection; of a connection, and connections."""


@dataclass(frozen=True)
class ServerSettings:
    """How a server serves.

    Attributes
    ----------
    batch, linger, exact
        Most images computed together, seconds that one waits for others, and whether only batches are made whose
        results are those of the image alone, bit for bit.
    room
        Images of all clients that wait or run at once; beyond, nothing more is read.
    streams
        Streams of all clients.
    limits
        Of each client.
    greeting, stall
        Seconds in which a client has to say its hello, and to read a reply.
    """

    batch: int = 8
    linger: float = 0.002
    exact: bool = True
    room: int = 256
    streams: int = 1024
    limits: ClientLimits = field(default_factory=ClientLimits)
    greeting: float = 10.0
    stall: float = 30.0


Log = Callable[[str], None]


class Server:
    """Serves the split of a folder until it is stopped. To be made and used in one event loop.

    Parameters
    ----------
    folder
        As `fmapzip.split.load` reads it.
    settings
    tokens
        Who may ask; None: everyone who can connect.
    log
        Gets a line about what happens, now and then.
    """

    def __init__(self, folder: Path, settings: ServerSettings, tokens: Tokens | None, log: Log) -> None:
        self.folder, self.settings, self.tokens, self._log = folder, settings, tokens, log
        self.metrics = Metrics()
        self.clients = Clients(settings.limits)
        self._thread = ThreadPoolExecutor(1, "fmapzip-tail")
        self.draining = asyncio.Event()
        self._batchers: list[Batcher] = []
        self._users: dict[Batcher, int] = {}
        self._open = 0
        self._health = health.aio.HealthServicer()
        engine = Engine(load(folder), settings.batch, settings.exact)
        self._largest = max(_LEAST_MESSAGE, 2 * engine.split.manifest.message_limit)
        self._use(engine)
        self.metrics.waiting.set_function(lambda: sum(batcher.waiting for batcher in self._batchers))
        options = [
            ("grpc.max_receive_message_length", self._largest + _MESSAGE_OVERHEAD),
            ("grpc.max_send_message_length", -1),
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
            ("grpc.so_reuseport", 0),
            ("grpc.server_handshake_timeout_ms", round(1000 * settings.greeting)),
            ("grpc.max_connection_idle_ms", _LONGEST_IDLE_MS),
            ("grpc.max_concurrent_streams", settings.limits.streams + _OTHER_CALLS),
            ("grpc.max_allowed_incoming_connections", settings.streams + _OTHER_CALLS),
            ("grpc.compression_enabled_algorithms_bitset", 1),  # none: frames are compressed, and bombs are not read
        ]
        self._server = grpc.aio.server(interceptors=[_Authorized(self)], options=options)
        handler = grpc.stream_stream_rpc_method_handler(self._stream, _parsed, wire.Reply.SerializeToString)
        self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, {"Run": handler})])
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection([SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME], self._server)

    @property
    def hash(self) -> str:
        """The hash of the split that new streams get."""
        return self._batchers[-1].engine.hash

    @property
    def welcome(self) -> wire.Reply:
        """The answer to a hello."""
        return wire.Reply(welcome=wire.Welcome(window=self.settings.limits.window))

    @property
    def sizes(self) -> Sequence[int]:
        """Sizes of the batches that are computed."""
        return self._batchers[-1].engine.sizes

    def listen(self, address: str, credentials: grpc.ServerCredentials | None) -> int:
        """Bind an address, with TLS by `credentials`, and give the port.

        Raises
        ------
        InvalidInput
            The address cannot be bound.
        """
        try:
            if credentials is None:
                return int(self._server.add_insecure_port(address))
            return int(self._server.add_secure_port(address, credentials))
        except RuntimeError as error:
            raise InvalidInput(f"{address} cannot be listened on: {error}") from error

    async def start(self) -> None:
        """Begin to serve."""
        await self._server.start()
        await self._tell_health(health_pb2.HealthCheckResponse.SERVING)

    async def reload(self) -> bool:
        """Read the folder again, for new streams; those that are open go on with what they began with.

        A folder that cannot be served is told and changes nothing; then it is False.
        """
        loop, settings = asyncio.get_running_loop(), self.settings
        try:
            split = await loop.run_in_executor(None, load, self.folder)
            if split.manifest.message_limit > self._largest:
                raise InvalidInput(f"its images take up to {split.manifest.message_limit} bytes: start a server anew")
            engine = await loop.run_in_executor(self._thread, Engine, split, settings.batch, settings.exact)
        except (FmapzipError, OSError) as error:
            self.metrics.reloads.labels("failed").inc()
            self._log(f"not read again: {error}")
            return False
        self._use(engine)
        self.metrics.reloads.labels("done").inc()
        self._log(f"new streams get split {engine.hash[:16]}")
        return True

    async def stop(self, grace: float) -> None:
        """Take no more, finish what was accepted, at most `grace` seconds long, and close."""
        await self._tell_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        self.draining.set()
        await self._server.stop(grace)
        for batcher in self._batchers:
            await batcher.close()
        self._thread.shutdown(wait=False)

    def _use(self, engine: Engine) -> None:
        settings = self.settings
        watch = self.metrics.batch.observe
        self._batchers.append(Batcher(engine, self._thread, settings.room, settings.linger, watch))

    async def _tell_health(self, status: Any) -> None:
        for name in ("", SERVICE):
            await self._health.set(name, status)

    async def _stream(self, _: AsyncIterator[wire.Request], context: Any) -> None:
        name = self._name(context)
        if name is None:
            await self.refuse(context, "token", grpc.StatusCode.UNAUTHENTICATED, "no token, or none that is known here")
        if self._open >= self.settings.streams or self.draining.is_set():
            await self.refuse(context, "full", grpc.StatusCode.UNAVAILABLE, "the server takes no more streams")
        with self.clients.stream(str(name)) as granted:
            if not granted:
                most = self.settings.limits.streams
                text = f"a client has at most {most} streams"
                await self.refuse(context, "streams", grpc.StatusCode.RESOURCE_EXHAUSTED, text)
            self._open += 1
            self.metrics.streams.set(self._open)
            try:
                batcher = await self._greet(context)
                async with self._using(batcher):
                    await _Stream(self, batcher, str(name), context).run()
            finally:
                self._open -= 1
                self.metrics.streams.set(self._open)

    async def _greet(self, context: Any) -> Batcher:
        try:
            request = await asyncio.wait_for(context.read(), self.settings.greeting)
        except TimeoutError:
            await self.refuse(context, "silence", grpc.StatusCode.DEADLINE_EXCEEDED, "no hello came")
        if not isinstance(request, wire.Request) or request.WhichOneof("kind") != "hello":
            await self.refuse(context, "hello", grpc.StatusCode.INVALID_ARGUMENT, "a stream begins with a hello")
        batcher = self._batchers[-1]
        if request.hello.split != batcher.engine.hash:
            text = f"this server has split {batcher.engine.hash}, not {request.hello.split[:64]}"
            await self.refuse(context, "split", grpc.StatusCode.FAILED_PRECONDITION, text)
        await context.write(self.welcome)
        return batcher

    @contextlib.asynccontextmanager
    async def _using(self, batcher: Batcher) -> AsyncIterator[None]:
        """A stream's use of a batcher; the last one of a split that was replaced ends it."""
        self._users[batcher] = self._users.get(batcher, 0) + 1
        try:
            yield
        finally:
            self._users[batcher] -= 1
            if not self._users[batcher] and batcher is not self._batchers[-1]:
                self._batchers.remove(batcher)
                del self._users[batcher]
                await batcher.close()

    async def refuse(self, context: Any, reason: str, code: grpc.StatusCode, text: str) -> NoReturn:
        """End a stream with an error, and count it."""
        self.metrics.refused.labels(reason).inc()
        await context.abort(code, text)
        raise RuntimeError("abort does not return")

    def _name(self, context: Any) -> str | None:
        """Who asks: the token's name, the certificate's, or the address."""
        if self.tokens is not None:
            return self.tokens.name(_authorization(context.invocation_metadata()))
        certified = context.auth_context().get("x509_common_name")
        if certified:
            return str(certified[0], "utf-8", "replace")
        return str(context.peer()).rpartition(":")[0]


class _Stream:
    """One client's stream, after its hello: images are read while there is room, replies written as they come."""

    def __init__(self, server: Server, batcher: Batcher, name: str, context: Any) -> None:
        self._server, self._batcher, self._name, self._context = server, batcher, name, context
        self._window = asyncio.Semaphore(server.settings.limits.window)
        self._replies: asyncio.Queue[wire.Reply | None] = asyncio.Queue()
        self._jobs: set[Job] = set()
        self._is_bad = False

    async def run(self) -> None:
        """Serve it to its end."""
        reading = asyncio.create_task(self._read())
        try:
            while (reply := await self._replies.get()) is not None:
                try:
                    await asyncio.wait_for(self._context.write(reply), self._server.settings.stall)
                except TimeoutError:
                    text = "replies are not read"
                    await self._server.refuse(self._context, "stalled", grpc.StatusCode.DEADLINE_EXCEEDED, text)
                self._window.release()
            await reading
            if self._is_bad:
                text = "a message is neither a hello nor an image"
                await self._server.refuse(self._context, "message", grpc.StatusCode.INVALID_ARGUMENT, text)
        finally:
            for job in list(self._jobs):
                job.done.cancel()
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(self) -> None:
        """Read images until the client has no more, or the server stops; then end with None behind all replies."""
        draining = asyncio.create_task(self._server.draining.wait())
        try:
            while True:
                await self._window.acquire()
                request = await _first(self._context.read(), draining)
                if not isinstance(request, wire.Request):
                    break
                kind = request.WhichOneof("kind")
                if kind == "hello":
                    self._replies.put_nowait(self._server.welcome)
                elif kind == "image":
                    await self._accept(request)
                else:
                    self._is_bad = True
                    break
        finally:
            draining.cancel()
            if self._jobs:
                await asyncio.wait([job.done for job in self._jobs])
            self._replies.put_nowait(None)

    async def _accept(self, request: wire.Request) -> None:
        metrics, image = self._server.metrics, request.image
        size = sum(map(len, image.frames))
        metrics.received.inc(size)
        await self._server.clients.pace(self._name, size)
        patience = image.patience_ms / 1000 if image.patience_ms else None
        job = await self._batcher.put(image.frames, image.rung, patience)
        self._jobs.add(job)
        job.done.add_done_callback(lambda done: self._finish(image.id, job, done))

    def _finish(self, number: int, job: Job, done: asyncio.Future[Computed | None]) -> None:
        self._jobs.discard(job)
        metrics = self._server.metrics
        if done.cancelled():
            metrics.images.labels("dropped").inc()
            return
        reply, outcome = _reply(number, job, done.result())
        metrics.images.labels(outcome).inc()
        metrics.waited.observe(job.waited)
        computed = done.result()
        if computed is not None:
            metrics.run.observe(computed.seconds)
            metrics.sent.inc(sum(map(len, computed.tensors)))
        self._replies.put_nowait(reply)


class _Authorized(grpc.aio.ServerInterceptor):
    """Lets nobody ask who has no token, but for the server's health."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any) -> Any:
        """The method's handler, or one that refuses."""
        tokens, method = self._server.tokens, handler_call_details.method
        if tokens is None or method in (METHOD, _HEALTH):  # Run refuses by itself
            return await continuation(handler_call_details)
        if tokens.name(_authorization(handler_call_details.invocation_metadata)) is not None:
            return await continuation(handler_call_details)

        async def refuse(_: Any, context: Any) -> None:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no token, or none that is known here")

        return grpc.stream_stream_rpc_method_handler(refuse)


def _parsed(data: bytes) -> wire.Request:
    """A message; where it is none, one that is of no kind."""
    request = wire.Request()
    try:
        request.ParseFromString(data)
    except DecodeError:
        request.Clear()
    return request


async def _first(reading: Awaitable[Any], draining: asyncio.Task[Any]) -> Any:
    """What was read; None once the server drains."""
    task = asyncio.ensure_future(reading)
    try:
        await asyncio.wait([task, draining], return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        task.cancel()


def _reply(number: int, job: Job, computed: Computed | None) -> tuple[wire.Reply, str]:
    if computed is None:
        text = f"it waited {job.waited:.3f} s"
        return wire.Reply(failure=wire.Failure(id=number, kind=wire.Failure.LATE, text=text)), "late"
    if computed.error is None:
        output = wire.Output(
            id=number,
            tensors=computed.tensors,
            waited_us=round(job.waited * 1e6),
            run_us=round(computed.seconds * 1e6),
            batch=computed.batch,
        )
        return wire.Reply(output=output), "done"
    if computed.is_clients_fault:
        failure = wire.Failure(id=number, kind=wire.Failure.BAD_FRAME, text=str(computed.error))
        return wire.Reply(failure=failure), "bad_frame"
    text = type(computed.error).__name__  # what a network's own error says is not for strangers
    return wire.Reply(failure=wire.Failure(id=number, kind=wire.Failure.INTERNAL, text=text)), "internal"


def _authorization(metadata: Any) -> str:
    return next((str(value) for key, value in metadata or () if key == "authorization"), "")
