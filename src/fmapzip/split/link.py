"""A stream to a server that is opened again when it breaks: images go out, each gets its output or an error."""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import grpc

from fmapzip.errors import CorruptFrame, DeadlineExceeded, PlanMismatch, Refused, ServiceError, Unreachable
from fmapzip.split.wire import split_pb2 as wire

METHOD = f"/{wire.DESCRIPTOR.services_by_name['Split'].full_name}/Run"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_FINAL: dict[Any, type[ServiceError] | type[PlanMismatch]] = {
    grpc.StatusCode.UNAUTHENTICATED: Refused,
    grpc.StatusCode.PERMISSION_DENIED: Refused,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Refused,
    grpc.StatusCode.FAILED_PRECONDITION: PlanMismatch,
    grpc.StatusCode.INVALID_ARGUMENT: ServiceError,
    grpc.StatusCode.UNIMPLEMENTED: ServiceError,
}
_TLS_WORDS = ("certificate", "handshake", "ssl", "tls", "peer name")


@dataclass(eq=False)
class Sent:
    """An image under way.

    Attributes
    ----------
    rung, frames
        What is sent.
    expires
        When the caller gives up, by `time.monotonic`.
    output
        Gets the output, or the error.
    tries
        How often it was sent.
    started
        When it was sent the last time.
    seconds, fixed
        From then to its output, or from the output before it where that came later; and what of it does not depend on
        its size: the server's part, and the round trip where the image was alone under way.
    """

    rung: int
    frames: Sequence[bytes]
    expires: float | None
    output: Future[Sequence[bytes]] = field(default_factory=Future)
    tries: int = 0
    started: float = 0.0
    seconds: float = 0.0
    fixed: float = 0.0

    @property
    def size(self) -> int:
        """Bytes of its frames."""
        return sum(map(len, self.frames))


class Link:
    """Keeps a stream open while images are under way.

    What is asked of a server changes nothing there, so an image whose stream broke is sent again.

    Parameters
    ----------
    channel
        To the server.
    split
        Hash of the manifest.
    metadata
        Sent with each stream.
    retries
        How often a stream is opened anew without an output in between, and an image sent again.
    answered
        Called with each image that got its output, before its caller has it.
    """

    def __init__(
        self,
        channel: Any,
        split: str,
        metadata: Sequence[tuple[str, str]],
        retries: int,
        answered: Callable[[Sent], None],
    ) -> None:
        self._open = channel.stream_stream(
            METHOD, request_serializer=wire.Request.SerializeToString, response_deserializer=wire.Reply.FromString
        )
        self._split, self._metadata, self._retries, self._answered = split, metadata, retries, answered
        self._changed = threading.Condition()
        self._waiting: deque[Sent] = deque()
        self._under_way: dict[int, Sent] = {}
        self._number = self._window = 0
        self._last_output = self._asked = 0.0
        self.round_trip = 0.0
        self._call: Any = None
        self._closed = False
        self.streams = 0
        self._threads = [
            threading.Thread(target=target, name=f"fmapzip-{name}", daemon=True)
            for target, name in ((self._keep_open, "link"), (self._watch_deadlines, "deadlines"))
        ]
        for thread in self._threads:
            thread.start()

    def send(self, image: Sent) -> None:
        """Put an image on its way; waits while as many are waiting as may be under way.

        Raises
        ------
        DeadlineExceeded
            There was no room in time.
        ServiceError
            The link is closed.
        """
        with self._changed:
            room = self._changed.wait_for(
                lambda: self._closed or len(self._waiting) < max(1, self._window), _left(image.expires)
            )
            if self._closed:
                raise ServiceError("the client is closed")
            if not room:
                raise DeadlineExceeded("no image could be sent in time")
            self._waiting.append(image)
            self._changed.notify_all()

    def close(self) -> None:
        """End the stream; what is still under way fails."""
        with self._changed:
            self._closed = True
            call = self._call
            self._changed.notify_all()
        if call is not None:
            call.cancel()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()
        self._fail_all(ServiceError("the client was closed"))

    def _keep_open(self) -> None:
        failures = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._waiting or self._under_way)
                if self._closed:
                    return
            outputs, error = self._stream()
            failures = 1 if outputs else failures + 1
            with self._changed:
                if self._closed:
                    return
                self._send_again()
            final = _final(error)
            if final is None and failures > self._retries:
                final = Unreachable(f"the server is out of reach: {_words(error)}")
            if final is not None:
                self._fail_all(final)
                failures = 0
            elif error is not None or not outputs:
                pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (failures - 1)) * random.uniform(0.5, 1.5)
                with self._changed:
                    self._changed.wait_for(lambda: self._closed, pause)

    def _stream(self) -> tuple[int, Any]:
        """Run one stream to its end; how many outputs came, and its error or None."""
        outputs = 0
        self.streams += 1
        ended = threading.Event()
        call = self._open(self._requests(ended), metadata=self._metadata)
        with self._changed:
            self._call, self._window = call, 0
        try:
            for reply in call:
                outputs += self._take(reply)
            return outputs, None
        except grpc.RpcError as error:
            return outputs, error
        finally:
            ended.set()
            with self._changed:
                self._call = None
                self._changed.notify_all()

    def _requests(self, ended: threading.Event) -> Iterator[wire.Request]:
        hello = wire.Request(hello=wire.Hello(split=self._split))
        yield hello
        with self._changed:
            self._changed.wait_for(lambda: ended.is_set() or self._closed or self._window)
            self._asked = monotonic()
        yield hello  # the first one waited for the connection too
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: (
                        ended.is_set() or self._closed or (bool(self._waiting) and len(self._under_way) < self._window)
                    )
                )
                if ended.is_set() or self._closed:
                    return
                image = self._waiting.popleft()
                self._number += 1
                number = self._number
                self._under_way[number] = image
                image.tries += 1
                image.started = monotonic()
                self._changed.notify_all()
            left = _left(image.expires)
            patience = 0 if left is None else max(1, round(left * 1000))
            yield wire.Request(image=wire.Image(id=number, rung=image.rung, frames=image.frames, patience_ms=patience))

    def _take(self, reply: wire.Reply) -> int:
        """Handle a reply; 1 if it answers an image."""
        kind = reply.WhichOneof("kind")
        now = monotonic()
        if kind == "welcome":
            with self._changed:
                if self._window:
                    self.round_trip = now - self._asked
                self._window = max(1, reply.welcome.window)
                self._changed.notify_all()
            return 0
        with self._changed:
            answer = reply.output if kind == "output" else reply.failure
            image = self._under_way.pop(answer.id, None)
            self._changed.notify_all()
        if image is None:
            return 0
        if kind == "output":
            image.seconds = now - max(image.started, self._last_output)
            image.fixed = (reply.output.waited_us + reply.output.run_us) / 1e6
            if image.started >= self._last_output:  # no other was before it on the way
                self.round_trip = max(0.0, min(self.round_trip, image.seconds - image.fixed))
                image.fixed += self.round_trip
            self._last_output = now
            self._answered(image)
            _resolve(image, list(reply.output.tensors))
        else:
            _reject(image, _failure(reply.failure))
        return 1

    def _send_again(self) -> None:
        """Let what was under way wait again, in its order; what was sent often enough fails."""
        images = list(self._under_way.values())
        self._under_way.clear()
        for image in reversed(images):
            if image.tries > self._retries:
                _reject(image, Unreachable(f"its stream broke {image.tries} times"))
            else:
                self._waiting.appendleft(image)

    def _fail_all(self, error: Exception) -> None:
        with self._changed:
            images = [*self._under_way.values(), *self._waiting]
            self._under_way.clear()
            self._waiting.clear()
            self._changed.notify_all()
        for image in images:
            _reject(image, error)

    def _watch_deadlines(self) -> None:
        """Fail what is late, and give up a stream that does not answer in time: it may be half open."""
        with self._changed:
            while not self._closed:
                images = [*self._under_way.values(), *self._waiting]
                soonest = min((image.expires for image in images if image.expires is not None), default=None)
                if soonest is None or soonest > monotonic():
                    self._changed.wait(_left(soonest))
                    continue
                stuck = self._drop_late()
                if stuck and self._call is not None:
                    self._call.cancel()

    def _drop_late(self) -> bool:
        """Fail what is late; whether something of it was under way."""
        now = monotonic()
        late = [number for number, image in self._under_way.items() if _is_late(image, now)]
        gone = [self._under_way.pop(number) for number in late]
        for image in [image for image in self._waiting if _is_late(image, now)]:
            self._waiting.remove(image)
            gone.append(image)
        for image in gone:
            _reject(image, DeadlineExceeded("no output came in time"))
        self._changed.notify_all()
        return bool(late)


def _is_late(image: Sent, now: float) -> bool:
    return image.expires is not None and image.expires <= now


def _left(expires: float | None) -> float | None:
    return None if expires is None else max(0.0, expires - monotonic())


def _resolve(image: Sent, tensors: Sequence[bytes]) -> None:
    with suppress(Exception):  # its caller has given it up
        image.output.set_result(tensors)


def _reject(image: Sent, error: Exception) -> None:
    with suppress(Exception):
        image.output.set_exception(error)


def _failure(failure: wire.Failure) -> Exception:
    if failure.kind == wire.Failure.BAD_FRAME:
        return CorruptFrame(f"the server refuses a frame: {failure.text}")
    if failure.kind == wire.Failure.LATE:
        return DeadlineExceeded(f"the server was too late: {failure.text}")
    return ServiceError(f"the server failed: {failure.text}")


def _final(error: Any) -> Exception | None:
    """What a stream's error means where trying again cannot help; else None."""
    if error is None:
        return None
    kind = _FINAL.get(error.code())
    if kind is not None:
        return kind(f"the server refuses: {_words(error)}")
    words = _words(error)
    if error.code() == grpc.StatusCode.UNAVAILABLE and any(word in words.lower() for word in _TLS_WORDS):
        return Unreachable(f"no secure connection: {words}")
    return None


def _words(error: Any) -> str:
    return "it ended the stream" if error is None else f"{error.code().name}: {error.details()}"
