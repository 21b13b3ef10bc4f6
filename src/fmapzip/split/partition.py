"""What a link makes of the ways to run a network: here, on a server, or cut between the two."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fmapzip.errors import InvalidInput


@dataclass(frozen=True)
class Conditions:
    """Where and how fast.

    Attributes
    ----------
    bandwidth
        Of the link, bits a second.
    round_trip
        Of the link, seconds.
    client_slower
        How many times longer the device takes than this machine; the server is as fast as this machine.
    device_watts, radio_watts
        What the device takes while it computes, and while it sends or receives; None where energy is not asked for.
    """

    bandwidth: float
    round_trip: float
    client_slower: float = 1.0
    device_watts: float | None = None
    radio_watts: float | None = None

    def __post_init__(self) -> None:
        if (self.device_watts is None) != (self.radio_watts is None):
            raise InvalidInput("energy needs both: the watts of the device and of its radio")
        if not (self.bandwidth > 0 and self.round_trip >= 0 and self.client_slower > 0):
            raise InvalidInput("a link has a bandwidth above 0 and a round trip of at least 0; a client some speed")


@dataclass(frozen=True)
class Way:
    """A way to run a network, as it was measured here for one image.

    Attributes
    ----------
    name
        In words.
    at, codec
        The cut and how what crosses is stored; empty where there is no cut.
    device, server
        Seconds on this machine of what either side does, coding included.
    sent, returned
        Bytes up and down; 0 where nothing is sent.
    uncoded
        Bytes of what crosses as plain 8-bit integers; 0 without a cut.
    distortion
        Against the float network: mean KL of class scores in nats, else squared error of the output over its energy.
    reduction
        Of what crosses, of `fmapzip.split.reduction.REDUCTIONS`.
    """

    name: str
    at: tuple[str, ...]
    codec: str
    device: float
    server: float
    sent: float
    returned: float
    uncoded: float
    distortion: float
    reduction: str = "none"

    def latency(self, conditions: Conditions) -> float:
        """Seconds from an image to its output."""
        if not self.sent:
            return conditions.client_slower * self.device
        return conditions.client_slower * self.device + conditions.round_trip + self._transfer(conditions) + self.server

    def interval(self, conditions: Conditions) -> float:
        """Seconds from one output to the next where device, link and server work at once on images that follow."""
        link = 8 * max(self.sent, self.returned) / conditions.bandwidth
        return max(conditions.client_slower * self.device, link, self.server)

    def energy(self, conditions: Conditions) -> float | None:
        """Joules that the device spends on an image, on computing and on the link; None where its watts are not known.

        Waiting for the server costs nothing here.
        """
        if conditions.device_watts is None or conditions.radio_watts is None:
            return None
        computing = conditions.client_slower * self.device * conditions.device_watts
        return computing + self._transfer(conditions) * conditions.radio_watts

    def _transfer(self, conditions: Conditions) -> float:
        return 8 * (self.sent + self.returned) / conditions.bandwidth


@dataclass(frozen=True)
class BreakEven:
    """The bandwidths, bits a second, below which a way is better than plain 8-bit integers at the same cut.

    Attributes
    ----------
    latency
        Where one image is under way at a time.
    interval
        Where device, link and server work at once.
    """

    latency: float
    interval: float


def break_even(way: Way, plain: Way, client_slower: float) -> BreakEven:
    """Below which bandwidth coding pays.

    Examples
    --------
    >>> plain = Way("raw", ("a",), "raw", 0.010, 0.010, 100_000, 0, 100_000, 0.0)
    >>> coded = Way("coded", ("a",), "coded", 0.014, 0.012, 40_000, 0, 100_000, 0.0)
    >>> round(break_even(coded, plain, 1.0).latency / 1e6), round(break_even(coded, plain, 1.0).interval / 1e6)
    (80, 57)
    """
    saved = 8 * (plain.sent - way.sent)
    if saved <= 0:
        return BreakEven(0.0, 0.0)
    more = client_slower * (way.device - plain.device) + way.server - plain.server
    slowest = max(client_slower * way.device, way.server)
    plainest = max(client_slower * plain.device, plain.server)
    overlapped = 8 * plain.sent / slowest if slowest > plainest else math.inf
    return BreakEven(saved / more if more > 0 else math.inf, overlapped)


def best(ways: Sequence[Way], conditions: Conditions, goal: str, most_distortion: float | None) -> list[Way]:
    """The ways that keep to the distortion, the best first.

    Parameters
    ----------
    goal
        The least ``latency``, the most ``images`` a second, or the least ``energy`` of the device.

    Raises
    ------
    InvalidInput
        The goal is energy, and the device's watts are not known.
    """
    kept = [way for way in ways if most_distortion is None or way.distortion <= most_distortion]
    if goal == "images":
        return sorted(kept, key=lambda way: (way.interval(conditions), way.latency(conditions)))
    if goal == "energy":
        if conditions.device_watts is None:
            raise InvalidInput("the least energy is found for a device whose watts are given")
        return sorted(kept, key=lambda way: (way.energy(conditions) or 0.0, way.latency(conditions)))
    return sorted(kept, key=lambda way: way.latency(conditions))
