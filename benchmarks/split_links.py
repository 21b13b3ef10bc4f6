"""Latency of split networks over links, from an image to its output, against sending the image and running all here.

    python benchmarks/split_links.py path/to/nets.py:squeezenet1_1 path/to/imagenet200 --at features.3.expand1x1 \
        --work runs/squeezenet1_1 --json benchmarks/results/split_links_squeezenet1_1.json

Servers are in a network namespace of their own, behind a link of packets (`tests/split/packet_link.py`) over which the
kernel's TCP, TLS and gRPC run: for Linux, as root. Every output of a split is held against that of one place. What is
done stays in the folder `--work`; `--until` ends after so many seconds, to be started again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import grpc
import torch
from common import write_result
from picture_server import METHOD
from split_ways import OTHERS, OURS, Encode, Prepared, accuracy, fair_qualities, pillow, prepare

from fmapzip.eval.environment import OtherPrograms
from fmapzip.eval.input_options import InputOptions
from fmapzip.eval.request import Request, load
from fmapzip.measurements import MeasurementCache
from fmapzip.split import Client

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "split"))
from certificates import authority, certificate  # the tests' own
from packet_link import Conditions, PacketLink

from serving import ServerProcess

STEADY = {f"{rate:g}, {trip:g}": Conditions(rate * 1e6, trip / 2000) for rate in (1, 10, 100) for trip in (20, 100)}
UNSTEADY = {
    "10, 20, 1 % lost": Conditions(10e6, 0.01, loss=0.01),
    "10, 20 ± 10": Conditions(10e6, 0.01, jitter=0.005),
}
"""Mbit/s, and milliseconds of a round trip."""
CHANGING = (10e6, 1e6, 10e6)
PHASE, TARGET = 12, 0.15
"""Images in each phase of a link that changes; what an image may take there, seconds."""
TOKEN = "0123456789abcdef"
TRIES, MOST_TRIES = 2, 40
"""Of which the least counts: over slow links, and of what is timed alone."""


@dataclass(frozen=True)
class Way:
    """One way: runs a picture, and ends where its output is wrong; codes one for the link, after a head or without."""

    name: str
    ask: Callable[[int], None]
    code: Callable[[int], object]
    head: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--at", required=True, action="append")
    parser.add_argument("--resize", help="where the model brings none")
    parser.add_argument("--crop")
    parser.add_argument("--limit", type=int, help="rows of the data")
    parser.add_argument("--noise", action="store_true", help="the output is no class scores")
    parser.add_argument("--sent", type=int, default=6, help="images sent over each link")
    parser.add_argument("--tries", type=int, default=6, help="over fast links, of which the least counts")
    parser.add_argument("--many", type=int, default=30, help="images in a row over unsteady links")
    parser.add_argument("--ways", nargs="+", default=[*OTHERS, *OURS], help="of what crosses, what goes over links")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--until", type=float, default=float("inf"), help="seconds")
    parser.add_argument("--json", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.work.mkdir(parents=True, exist_ok=True)
    request = Request(
        given.model, given.data, limit=given.limit, input=InputOptions(resize=given.resize, crop=given.crop)
    )
    inputs = load(request)
    prepared = prepare(request, inputs, given.at, not given.noise, given.work)
    cache = Unhurried(given.work / "measured", vars_of(given), time.monotonic() + given.until)
    found = accuracy(prepared, cache)
    shown = [*given.ways, "PNG", *(f"JPEG {quality}" for quality in fair_qualities(found, prepared.classes))]
    others = OtherPrograms()
    links = over_links(prepared, shown, given, cache)
    here = cache.get("network", partial(best, partial(run_here, prepared), range(given.sent), MOST_TRIES))
    split = prepared.splits["ours"]
    result = {
        "model": given.model.rpartition(":")[2].rpartition("/")[2],
        "at": given.at,
        "crossing": [list(each.shape) for each in split.manifest.maps],
        "input": list(split.manifest.input_shape),
        "images": len(prepared.pictures),
        "classes": prepared.classes,
        "float": found["float"],
        "sent": given.sent,
        "in_a_row": given.many,
        "others_cpu": others.share(),
        "here_ms": 1000 * here,
        "ways": [{"way": name, **found[name], **links[name]} for name in shown],
        "changing": links["changing"],
    }
    write_result(given.json, "split_links", result)


def vars_of(given: argparse.Namespace) -> dict[str, Any]:
    return {
        name: str(value)
        for name, value in vars(given).items()
        if name not in ("until", "json", "work", "tries", "many", "ways")
    }


class Unhurried(MeasurementCache):
    """Ends the program once its time is over, since what is measured stays."""

    def __init__(self, file: Path, conditions: object, until: float) -> None:
        super().__init__(file, "split_links", conditions)
        self._until = until

    def get(self, name: str, measure: Callable[[], Any]) -> Any:
        """As of `MeasurementCache`."""
        if name not in self and time.monotonic() > self._until:
            raise SystemExit(f"{name} is next: start again to go on")
        known = name in self
        found = super().get(name, measure)
        if not known:
            print(name, found, flush=True)
        return found


def over_links(prepared: Prepared, names: Sequence[str], given: argparse.Namespace, cache: Unhurried) -> dict[str, Any]:
    """Seconds of each way at each link."""
    sent, places = given.sent, [share * given.many // 10 for share in (5, 9)]
    found: dict[str, Any] = {name: {} for name in names}
    with ExitStack() as stack:
        link = stack.enter_context(PacketLink(Conditions()))
        ways = {way.name: way for way in stack.enter_context(served(prepared, names, link, given.work))}
        head = cache.get("head", partial(best, partial(run_head, prepared), range(sent), MOST_TRIES))
        for name, way in ((name, ways[name]) for name in names):
            way.ask(0)
            coding = cache.get(f"coding {name}", partial(best, way.code, range(sent), MOST_TRIES))
            found[name]["device_ms"] = 1000 * (coding + (head if way.head else 0))
            for place, conditions in STEADY.items():
                link.set(conditions)
                tries = TRIES if conditions.rate == 1e6 else given.tries
                seconds = cache.get(f"{place} {name}, of {tries}", partial(best, way.ask, range(sent), tries))
                found[name][place] = round(1000 * seconds, 1)
            for place, conditions in UNSTEADY.items():
                link.set(conditions)
                times = cache.get(f"{place} {name}", partial(each, way.ask, [i % sent for i in range(given.many)]))
                found[name][place] = [round(1000 * sorted(times)[i], 1) for i in places]
        changing = {name: ways[name] for name in ("raw", "context-rans", names[-1], "ladder")}
        found["changing"] = []
        for name, way in changing.items():
            phases = cache.get(f"changing {name}", partial(phased, way, link, sent))
            found["changing"].append({"way": name, "ms": [round(1000 * median(times), 1) for times in phases]})
    return found


@contextmanager
def served(prepared: Prepared, names: Sequence[str], link: PacketLink, work: Path) -> Iterator[list[Way]]:
    """All ways, with servers for them at the link's other end."""
    authority(work, "ca")
    certificate(work, "server", places=[link.address])
    (work / "tokens").write_text(f"camera {TOKEN}\n")
    pair = ["--cert", work / "server.pem", "--key", work / "server.key"]
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import zstd_codec; "
    program = ("-c", code + "from fmapzip.__main__ import main; main()")
    ways = []
    with ExitStack() as stack:
        for name, codecs in (("ours", OURS), ("others", OTHERS)):
            options = [*pair, "--tokens", work / "tokens", "--host", link.address]
            server = stack.enter_context(
                ServerProcess(prepared.folders[name], *options, insecure=False, within=link.within, program=program)
            )
            split = prepared.splits[name]
            asking = partial(Client, server.address, split, ca=work / "ca.pem", token=TOKEN)
            for rung, codec in enumerate(codecs):
                client = stack.enter_context(asking(rung=rung))
                ways.append(split_way(codec, prepared, name, client, rung))
            if name == "ours":
                ways.append(split_way("ladder", prepared, name, stack.enter_context(asking(target=TARGET)), None))
        ask = stack.enter_context(picture_server(prepared, link, work))
        for name in names:
            kind, _, quality = name.partition(" ")
            if kind in ("PNG", "JPEG"):
                encode = pillow(kind, **({"quality": int(quality)} if quality else {}))
                ways.append(picture_way(name, prepared, encode, ask))
        yield ways


def split_way(name: str, prepared: Prepared, which: str, client: Client, rung: int | None) -> Way:
    """With a fixed rung, outputs are held against those of one place."""
    split, known, crossing = prepared.splits[which], {}, {}

    def ask(i: int) -> None:
        x = prepared.input(prepared.pictures[i])
        output = client(x)
        if rung is None:
            return
        if i not in known:
            known[i] = split(x, rung)
        if not torch.equal(output, known[i]):
            raise SystemExit("another output than in one place")

    def code(i: int) -> object:
        if i not in crossing:
            with torch.inference_mode():
                crossing[i] = split.head(prepared.input(prepared.pictures[i]))
        return split.codec.encode(crossing[i], rung or 0)

    return Way(name, ask, code, head=True)


def picture_way(name: str, prepared: Prepared, encode: Encode, send: Callable[[bytes], bytes]) -> Way:
    def ask(i: int) -> None:
        send(encode(prepared.pictures[i]))

    return Way(name, ask, lambda i: encode(prepared.pictures[i]), head=False)


@contextmanager
def picture_server(prepared: Prepared, link: PacketLink, work: Path) -> Iterator[Callable[[bytes], bytes]]:
    address = f"{link.address}:7000"
    script = Path(__file__).with_name("picture_server.py")
    files = [prepared.program, work / "declared.json", address, work / "server.pem", work / "server.key"]
    command = [*link.within, sys.executable, str(script), *map(str, files)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            trusted = grpc.ssl_channel_credentials((work / "ca.pem").read_bytes())
            with grpc.secure_channel(address, trusted) as channel:
                yield channel.unary_unary(METHOD)
        finally:
            process.terminate()


def run_here(prepared: Prepared, i: int) -> None:
    with torch.inference_mode():
        prepared.inputs.model(prepared.input(prepared.pictures[i]))


def run_head(prepared: Prepared, i: int) -> None:
    with torch.inference_mode():
        prepared.splits["ours"].head(prepared.input(prepared.pictures[i]))


def phased(way: Way, link: PacketLink, sent: int) -> list[list[float]]:
    """Seconds of images in a row while the link changes."""
    found = []
    for rate in CHANGING:
        link.set(Conditions(rate, 0.01))
        found.append(each(way.ask, [i % sent for i in range(PHASE)]))
    return found


def best(work: Callable[[int], object], images: Sequence[int], tries: int) -> float:
    """Median over images of the least seconds of some tries."""
    return median(map(min, zip(*(each(work, images) for _ in range(tries)), strict=True)))


def each(work: Callable[[int], object], images: Sequence[int]) -> list[float]:
    found = []
    for i in images:
        start = time.perf_counter()
        work(i)
        found.append(time.perf_counter() - start)
    return found


if __name__ == "__main__":
    main()
