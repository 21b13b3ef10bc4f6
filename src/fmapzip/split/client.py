"""A client of a split's server: tensors in, outputs out."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from time import monotonic
from typing import Any, Self

import grpc
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from fmapzip.errors import InvalidInput, ServiceError
from fmapzip.split.bundle import Split, load
from fmapzip.split.ladder import Ladder
from fmapzip.split.link import Link, Sent
from fmapzip.split.manifest import Manifest, Output

_OPTIONS = [
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
]
_MESSAGE_OVERHEAD = 1 << 16
"""Beside an output's tensors; also what the text of a failure may take."""


@dataclass
class ClientReport:
    """What a client did.

    Attributes
    ----------
    images, bytes
        That got their outputs, and of their frames.
    rungs
        How many images went by each rung of the ladder.
    again
        How many images were sent more than once.
    streams
        How many streams were opened.
    seconds
        Of each image, from when it was sent to its output, or from the output before it where that came later.
    bytes_per_second, round_trip
        What the link was last seen to carry, None before the first output; and its round trip in seconds.
    """

    images: int = 0
    bytes: int = 0
    rungs: Counter[int] = field(default_factory=Counter)
    again: int = 0
    streams: int = 0
    seconds: list[float] = field(default_factory=list, repr=False)
    bytes_per_second: float | None = None
    round_trip: float = 0.0


class Client:
    """Runs a split's network: the head here, the tail on a server. Several threads can use it at once.

    Parameters
    ----------
    address : str
        ``HOST:PORT``.
    split : path or Split
        The folder, or what `load` read of it; the server must have the same.
    token : str, optional
        A bearer token.
    ca, certificate, key : path, optional
        Who signs the server's certificate (default: the system's authorities), and the client's own chain and key, PEM.
    insecure : bool
        Without TLS; the server must listen that way.
    timeout : float, optional
        Seconds for each call, everything included; None: no limit.
    retries : int
        How often a broken stream is opened again without an output in between. Waits grow from 0.1 to 5 seconds.
    target : float, optional
        Seconds that an image may take on the link: where it takes longer, the ladder's smaller rungs are used, and
        better ones when the link allows them again. None: always the same rung.
    rung : int
        The rung to begin with.

    Raises
    ------
    InvalidInput
        The folder is no split, a file cannot be read, or there is no such rung.

    Examples
    --------
    >>> with Client("server:8443", "net/", token="...") as client:  # doctest: +SKIP
    ...     scores = client(images)
    """

    def __init__(
        self,
        address: str,
        split: Split | str | os.PathLike[str],
        *,
        token: str | None = None,
        ca: str | os.PathLike[str] | None = None,
        certificate: str | os.PathLike[str] | None = None,
        key: str | os.PathLike[str] | None = None,
        insecure: bool = False,
        timeout: float | None = 60.0,
        retries: int = 5,
        target: float | None = None,
        rung: int = 0,
    ) -> None:
        self.split = split if isinstance(split, Split) else load(split)
        self._timeout = timeout
        manifest = self.split.manifest
        self._ladder = Ladder([each.bytes for each in manifest.ladder], target, rung)
        self._lock = threading.Lock()
        self._report = ClientReport()
        self._channel = _channel(address, ca, certificate, key, insecure, _output_bytes(manifest))
        metadata = [("authorization", f"Bearer {token}")] if token else []
        self._link = Link(self._channel, manifest.hash, metadata, retries, self._answered)

    def __call__(self, x: Tensor) -> Any:
        """The network's output for a batch of inputs.

        Raises
        ------
        InvalidInput
            The batch is not of the split's input shape.
        PlanMismatch
            The server has another split.
        Refused, Unreachable, DeadlineExceeded, ServiceError
            There is no output.
        """
        return self.submit(x).result()

    def submit(self, x: Tensor) -> Future[Any]:
        """Put a batch on its way, and give what becomes its output; waits while too many images are under way.

        Raises
        ------
        InvalidInput
            The batch is not of the split's input shape.
        """
        manifest = self.split.manifest
        if not isinstance(x, Tensor) or tuple(x.shape[1:]) != manifest.input_shape or not len(x):
            given = list(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise InvalidInput(f"expected a batch of {list(manifest.input_shape)}, got {given}")
        expires = None if self._timeout is None else monotonic() + self._timeout
        with torch.inference_mode():
            maps = self.split.head(x)
        rung = self._ladder.rung
        images = [Sent(rung, frames, expires) for frames in self.split.codec.encode(maps, rung)]
        gathered = _Gathered(images, self._joined)
        for image in images:
            self._link.send(image)
        return gathered.output

    def report(self) -> ClientReport:
        """What it did since it was made."""
        with self._lock:
            found = self._report
            return ClientReport(
                found.images,
                found.bytes,
                Counter(found.rungs),
                found.again,
                self._link.streams,
                list(found.seconds),
                self._ladder.rate,
                self._link.round_trip,
            )

    def close(self) -> None:
        """End the stream; what is still under way fails."""
        self._link.close()
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answered(self, image: Sent) -> None:
        with self._lock:
            report = self._report
            report.images += 1
            report.bytes += image.size
            report.rungs[image.rung] += 1
            report.again += image.tries > 1
            report.seconds.append(image.seconds)
            self._ladder.observe(image.rung, image.size, image.seconds, image.fixed)

    def _joined(self, rows: Sequence[Sequence[bytes]]) -> Any:
        outputs = self.split.manifest.outputs
        if any(len(row) != len(outputs) for row in rows):
            raise ServiceError("the server sent other outputs than the split's")
        tensors = [torch.stack([_tensor(row[i], output) for row in rows]) for i, output in enumerate(outputs)]
        return pytree.tree_unflatten(tensors, self.split.tail.structure)


class AsyncClient:
    """`Client` for event loops: the same parameters; calls are awaited."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._client = Client(*args, **kwargs)
        self._thread = ThreadPoolExecutor(1, "fmapzip-head")

    async def __call__(self, x: Tensor) -> Any:
        """The network's output for a batch of inputs; errors as of `Client`."""
        loop = asyncio.get_running_loop()
        return await asyncio.wrap_future(await loop.run_in_executor(self._thread, self._client.submit, x))

    def report(self) -> ClientReport:
        """What it did since it was made."""
        return self._client.report()

    async def close(self) -> None:
        """End the stream; what is still under way fails."""
        await asyncio.get_running_loop().run_in_executor(None, self._client.close)
        self._thread.shutdown(wait=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class _Gathered:
    """The output of a batch, once each of its images has its own."""

    def __init__(self, images: Sequence[Sent], join: Any) -> None:
        self.output: Future[Any] = Future()
        self.output.set_running_or_notify_cancel()
        self._images, self._join = images, join
        self._lock, self._missing = threading.Lock(), len(images)
        for image in images:
            image.output.add_done_callback(self._one_came)

    def _one_came(self, _: Future[Sequence[bytes]]) -> None:
        with self._lock:
            self._missing -= 1
            if self._missing:
                return
        try:
            self.output.set_result(self._join([image.output.result() for image in self._images]))
        except BaseException as error:
            self.output.set_exception(error)


def _tensor(data: bytes, output: Output) -> Tensor:
    dtype = getattr(torch, output.dtype)
    if len(data) != prod(output.shape) * dtype.itemsize:
        raise ServiceError("the server sent an output of another size than the split's")
    if not data:
        return torch.empty(output.shape, dtype=dtype)
    return torch.frombuffer(bytearray(data), dtype=dtype).reshape(output.shape)


def _output_bytes(manifest: Manifest) -> int:
    """Most bytes of an image's output."""
    return sum(prod(each.shape) * getattr(torch, each.dtype).itemsize for each in manifest.outputs)


def _channel(address: str, ca: Any, certificate: Any, key: Any, insecure: bool, largest: int) -> Any:
    """A channel that takes no message of more than `largest` bytes from a server."""
    limit = min(largest + _MESSAGE_OVERHEAD, 2**31 - 1)
    options = [*_OPTIONS, ("grpc.max_receive_message_length", limit)]
    if insecure:
        return grpc.insecure_channel(address, options)
    root, own, chain = (_read(path) for path in (ca, key, certificate))
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(root, own, chain), options)


def _read(path: str | os.PathLike[str] | None) -> bytes | None:
    try:
        return None if path is None else Path(path).read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}") from error
