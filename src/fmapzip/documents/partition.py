"""What ``fmapzip split`` chose a cut from."""

from __future__ import annotations

from typing import Annotated, Literal

from fmapzip.documents.document import Document, Environment, Part, says

Seconds = Annotated[list[float], says("at each of `bandwidths`")]


class Conditions(Part):
    """The link and the device.

    As they were given.
    """

    bandwidth: Annotated[float, says("bits a second")]
    round_trip: Annotated[float, says("seconds")]
    client_slower: Annotated[float, says("how many times longer the device takes than this machine")]
    device_watts: Annotated[float | None, says("what the device takes while it computes")]
    radio_watts: Annotated[float | None, says("what it takes while it sends or receives")]


class BreakEven(Part):
    """Below which bandwidth coding pays.

    Bits a second, against plain 8-bit integers at the same cut; `null` where it pays at any.
    """

    latency: float | None
    interval: Annotated[float | None, says("where device, link and server work at once")]


class Way(Part):
    """One way to run the network.

    Times are seconds of one image.
    """

    name: str
    at: Annotated[list[str], says("the taps of the cut; empty where there is none")]
    codec: Annotated[str, says("of what crosses; empty where nothing does")]
    device: Annotated[float, says("on this machine")]
    server: float
    sent: Annotated[float, says("bytes up, mean over the images")]
    returned: Annotated[float, says("bytes down")]
    uncoded: Annotated[float, says("bytes of what crosses as plain 8-bit integers")]
    distortion: float
    reduction: Annotated[
        Literal["none", "weighted", "3/4", "1/2", "1/4"],
        says("of channels: steps of their own, or a share of them"),
    ]
    allowed: Annotated[bool, says("whether it keeps to `most_distortion`")]
    latency: Annotated[float, says("at `conditions`")]
    interval: Annotated[float, says("from one output to the next at `conditions`")]
    energy: Annotated[float | None, says("joules of the device; `null` without its watts")]
    break_even: Annotated[BreakEven | None, says("`null` without a cut")]
    latencies: Seconds
    intervals: Seconds


class Partition(Part):
    """Report."""

    schema: Literal[1]
    kind: Literal["partition"]
    model: str
    data: str
    environment: Environment
    conditions: Conditions
    goal: Literal["latency", "images", "energy"]
    most_distortion: float | None
    distortion: Annotated[
        Literal["kl", "noise"], says("against the float network: KL in nats, or squared error over energy")
    ]
    images: Annotated[int, says("that were measured")]
    cuts: Annotated[int, says("of the network")]
    measured_cuts: Annotated[int, says("that can be the best: fewer values than every cut whose head takes less time")]
    bandwidths: Annotated[list[float], says("bits a second")]
    ways: Annotated[list[Way], says("the best at `conditions` first")]


PARTITION = Document(title="What `fmapzip split` chose a cut from", command="fmapzip split", root=Partition)
