"""A link between a client and a server whose rate and delay a test sets, and that can be cut or frozen."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Self


class ShapedLink:
    """Forwards TCP connections from ``address`` to a server.

    Parameters
    ----------
    target
        The server's address.
    rate
        Bytes a second each way; None: as they come.
    delay
        Seconds one way.
    """

    def __init__(self, target: str, rate: float | None = None, delay: float = 0.0) -> None:
        self.target, self.rate, self.delay = target, rate, delay
        self.frozen = False
        self.forwarded = 0
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._connection, "127.0.0.1", 0, limit=1 << 14))
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._server.close)
        self.cut()
        self._run(asyncio.sleep(0.05))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def cut(self) -> None:
        """Break every connection."""
        self._run(self._cut())

    async def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def _run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self.target.rpartition(":")
        try:
            far_reader, far_writer = await asyncio.open_connection(host, int(port), limit=1 << 14)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        self._writers -= {writer, far_writer}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read at the link's rate; what was read arrives a delay later."""
        arriving: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        delivery = asyncio.create_task(self._deliver(arriving, writer))
        free_at = 0.0
        with contextlib.suppress(OSError):
            while data := await reader.read(4096):
                now = self._loop.time()
                if self.rate is not None:
                    free_at = max(free_at, now) + len(data) / self.rate
                    await asyncio.sleep(free_at - now)
                self.forwarded += len(data)
                arriving.put_nowait((self._loop.time() + self.delay, data))
        arriving.put_nowait((self._loop.time() + self.delay, b""))
        await delivery

    async def _deliver(self, arriving: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while True:
                due, data = await arriving.get()
                await asyncio.sleep(max(0.0, due - self._loop.time()))
                while self.frozen:
                    await asyncio.sleep(0.02)
                if not data:
                    break
                writer.write(data)
                await writer.drain()
        writer.close()
