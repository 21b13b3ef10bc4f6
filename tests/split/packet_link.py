"""A link of packets to another network namespace, whose rate, delay, jitter and loss a test sets.

What ``tc netem`` does, without that module of the kernel: a process passes packets between two TUN devices, of which
one is in a namespace of its own. What goes over it are real connections, with the kernel's retransmissions. Needs
Linux, root and ``ip``.
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import json
import os
import random
import select
import struct
import subprocess
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass
from itertools import count
from typing import Self

_TUNSETIFF, _TUN_WITHOUT_HEADER = 0x400454CA, 0x1001
_QUEUE = 1000
"""Packets that wait for their turn on the link; more are dropped, as by netem."""
_AT_ONCE = 32
"""Packets that are taken before others are delivered."""
_NUMBERS = count()


class NotAllowed(Exception):
    """This machine lets nobody make namespaces or devices; it says why."""


@dataclass(frozen=True)
class Conditions:
    """What a link is like, each way.

    Attributes
    ----------
    rate
        Bits a second; None: as they come.
    delay, jitter
        Seconds one way, and the standard deviation of it; packets keep their order.
    loss
        Share of packets that are lost.
    """

    rate: float | None = None
    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0


class PacketLink:
    """``address`` is that of the other end; ``within`` before a command runs it there.

    Raises
    ------
    NotAllowed
        This machine does not let us.
    """

    def __init__(self, conditions: Conditions) -> None:
        self._conditions = conditions
        place = f"{os.getpid() % 10_000}x{next(_NUMBERS)}"
        self._near, self._far, self._namespace = f"fz{place}a", f"fz{place}b", f"fmapzip-{place}"
        self.address = f"198.18.{os.getpid() % 250}.2"  # of the block for benchmarks of networks
        self.within = ("ip", "netns", "exec", self._namespace)

    def __enter__(self) -> Self:
        try:
            ends = _device(self._near), _device(self._far)
        except OSError as error:
            raise NotAllowed(f"no TUN device: {error}") from error
        try:
            self._make_namespace()
            command = [sys.executable, __file__, *map(str, ends)]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=ends, text=True)
        finally:
            for end in ends:
                os.close(end)
        self.set(self._conditions)
        return self

    def _make_namespace(self) -> None:
        near = self.address.rpartition(".")[0] + ".1"
        _ip("netns", "add", self._namespace)
        _ip("link", "set", self._far, "netns", self._namespace)
        for where, device, address in (((), self._near, near), (("-n", self._namespace), self._far, self.address)):
            _ip(*where, "address", "add", f"{address}/30", "dev", device)
            _ip(*where, "link", "set", device, "up")
        _ip("-n", self._namespace, "link", "set", "lo", "up")

    def set(self, conditions: Conditions) -> None:
        """Change the link; what is on its way arrives as before."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(conditions)) + "\n")
        self._process.stdin.flush()

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)  # with it both devices go
        _ip("netns", "delete", self._namespace)


def _ip(*arguments: str) -> None:
    try:
        done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    except OSError as error:
        raise NotAllowed(f"no iproute2: {error}") from error
    if done.returncode:
        raise NotAllowed(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def _device(name: str) -> int:
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    try:
        fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _TUN_WITHOUT_HEADER))
    except OSError:
        os.close(device)
        raise
    return device


class _Way:
    """Packets on their way to one end."""

    def __init__(self, end: int) -> None:
        self._end, self._free_at, self._latest = end, 0.0, 0.0
        self._turns: deque[float] = deque()
        self._arriving: list[tuple[float, int, bytes]] = []

    def take(self, packet: bytes, now: float, link: Conditions) -> None:
        """Put a packet on its way, or lose it."""
        while self._turns and self._turns[0] <= now:
            self._turns.popleft()
        if len(self._turns) >= _QUEUE or random.random() < link.loss:
            return
        if link.rate is not None:
            self._free_at = max(self._free_at, now) + 8 * len(packet) / link.rate
            self._turns.append(self._free_at)
            now = self._free_at
        self._latest = max(self._latest, now + max(0.0, random.gauss(link.delay, link.jitter)))
        heapq.heappush(self._arriving, (self._latest, next(_NUMBERS), packet))

    def deliver(self, now: float) -> float | None:
        """Hand over what is due; when the next packet will be."""
        while self._arriving and self._arriving[0][0] <= now:
            packet = heapq.heappop(self._arriving)[2]
            try:
                os.write(self._end, packet)
            except OSError:
                continue  # the device's own queue is full, or it goes down
        return self._arriving[0][0] if self._arriving else None


def _pass_packets(near: int, far: int) -> None:
    """Until stdin ends, a line of which sets the link's conditions."""
    link = Conditions()
    ways = {near: _Way(far), far: _Way(near)}
    while True:
        now = time.monotonic()
        due = [when for when in (way.deliver(now) for way in ways.values()) if when is not None]
        ready, _, _ = select.select([near, far, 0], [], [], max(0.0, min(due) - time.monotonic()) if due else None)
        if 0 in ready:
            line = os.read(0, 1 << 16).decode()
            if not line:
                return
            link = Conditions(**json.loads(line.splitlines()[-1]))
        for end in (end for end in ready if end in ways):
            with contextlib.suppress(BlockingIOError):
                for _ in range(_AT_ONCE):
                    ways[end].take(os.read(end, 1 << 16), time.monotonic(), link)


if __name__ == "__main__":
    _pass_packets(*map(int, sys.argv[1:]))
