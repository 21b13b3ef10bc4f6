"""``fmapzip send``: images through a split, the head here and the tail on a server."""

from __future__ import annotations

import json
import time
from collections import deque
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fmapzip.atomic import check_writable, write_atomically
from fmapzip.cli import options
from fmapzip.cli.app import app
from fmapzip.cli.help import Command
from fmapzip.cli.service import WHERE, WHO, file_option, require_grpc
from fmapzip.errors import InvalidInput

if TYPE_CHECKING:
    from rich.console import RenderableType

    from fmapzip.eval.data import Dataset
    from fmapzip.eval.preprocess import Preprocessing
    from fmapzip.split import Client, Split

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="What split wrote; the server has the same.")]
To = Annotated[str, typer.Option("--to", metavar="HOST:PORT", help="The server.", rich_help_panel=WHERE)]
TokenFile = Annotated[Path | None, file_option("--token-file", "The bearer token.")]
Ca = Annotated[Path | None, file_option("--ca", "Who signs the server's certificate, PEM.", "the system's authorities")]
Certificate = Annotated[Path | None, file_option("--cert", "The client's own chain, PEM.")]
Key = Annotated[Path | None, file_option("--key", "Its private key, PEM.")]
Insecure = Annotated[bool, typer.Option("--insecure", help="Without TLS.", rich_help_panel=WHO)]
Target = Annotated[
    float | None,
    typer.Option(
        min=0.001, metavar="MS", help="What an image may take: slower, the ladder's smaller rungs are used.",
        show_default="none: the first rung", rich_help_panel=options.RUNNING,
    ),
]  # fmt: skip
Ahead = Annotated[
    int, typer.Option(min=1, metavar="N", help="Images under way at once.", rich_help_panel=options.RUNNING)
]
Timeout = Annotated[
    float, typer.Option(min=0.001, metavar="SECONDS", help="For each image.", rich_help_panel=options.RUNNING)
]
Retries = Annotated[
    int,
    typer.Option(min=0, metavar="N", help="How often a broken stream is opened again.",
                 rich_help_panel=options.RUNNING),
]  # fmt: skip
Json = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", help="Write the figures as JSON too.", rich_help_panel=options.REPORTS),
]


@app.command("send", cls=Command)
def send(
    folder: Folder,
    data: options.Data,
    to: To,
    token_file: TokenFile = None,
    ca: Ca = None,
    cert: Certificate = None,
    key: Key = None,
    insecure: Insecure = False,
    target: Target = None,
    ahead: Ahead = 1,
    timeout: Timeout = 60.0,
    retries: Retries = 5,
    limit: options.Limit = None,
    torch_threads: options.TorchThreads = None,
    json_file: Json = None,
) -> None:
    """Send DATA's images through a split, one by one, and print latency, bytes and the rungs that were used.

    Accuracy too, where DATA has labels and the output is class scores.
    """
    require_grpc()
    check_writable(json_file)
    import torch

    from fmapzip.cli.console import stdout
    from fmapzip.eval.data import load_data
    from fmapzip.split import Client, load

    if torch_threads is not None:
        torch.set_num_threads(torch_threads)
    split = load(folder)
    images = load_data(data, _preprocessing(split, data))
    images = images.select(range(len(images))[:limit])
    with Client(
        to,
        split,
        token=None if token_file is None else _token(token_file),
        ca=ca,
        certificate=cert,
        key=key,
        insecure=insecure,
        timeout=timeout,
        retries=retries,
        target=None if target is None else target / 1000,
    ) as client:
        figures = _run(client, images, ahead)
    if json_file is not None:
        write_atomically(json_file, (json.dumps(figures, indent=1) + "\n").encode())
    stdout().print(_table(figures))


def _preprocessing(split: Split, data: str) -> Preprocessing | None:
    from msgspec.structs import asdict

    from fmapzip.eval.data import DEMO_PARTS
    from fmapzip.eval.preprocess import Preprocessing

    declared = split.manifest.preprocess
    if data in DEMO_PARTS:
        return None
    if declared is None:
        raise InvalidInput("the split does not say how an image becomes its input; only the demo's data are known")
    return Preprocessing(**asdict(declared))


def _run(client: Client, images: Dataset, ahead: int) -> dict[str, Any]:
    """Send every image, at most `ahead` under way; the figures."""
    import torch

    under_way: deque[tuple[int, float, Future[Any]]] = deque()
    seconds: list[float] = []
    hits = labelled = 0

    def finish() -> None:
        nonlocal hits, labelled
        index, start, future = under_way.popleft()
        output = future.result()
        seconds.append(ended[index] - start)
        if images.labels is not None and isinstance(output, torch.Tensor) and output.ndim == 2:
            labelled += 1
            hits += int(output.argmax(1).item() == images.labels[index])

    ended: dict[int, float] = {}
    began = time.monotonic()
    for index in range(len(images)):
        while len(under_way) >= ahead:
            finish()
        pixels = torch.from_numpy(images.read(index)[None])
        start = time.monotonic()
        future = client.submit(pixels)
        future.add_done_callback(partial(_note_end, ended, index))
        under_way.append((index, start, future))
    while under_way:
        finish()
    took, report = time.monotonic() - began, client.report()
    seconds.sort()
    return {
        "images": report.images,
        "images_per_second": report.images / took,
        "seconds": {str(p): seconds[min(len(seconds) - 1, len(seconds) * p // 100)] for p in (50, 90, 99)},
        "bytes_per_image": report.bytes / max(1, report.images),
        "link_bytes_per_second": report.bytes_per_second,
        "round_trip_seconds": report.round_trip,
        "rungs": {str(rung): count for rung, count in sorted(report.rungs.items())},
        "sent_again": report.again,
        "streams": report.streams,
        "top1": hits / labelled if labelled else None,
    }


def _note_end(ended: dict[int, float], index: int, _: Future[Any]) -> None:
    ended[index] = time.monotonic()


def _table(figures: dict[str, Any]) -> RenderableType:
    from fmapzip.tables import Figures, number, size

    table = Figures(["images", "a second", "p50 ms", "p90 ms", "p99 ms", "bytes", "rungs", "again", "streams", "top-1"])
    p50, p90, p99 = (number(figures["seconds"][p], 1, 1000) for p in ("50", "90", "99"))
    rungs = ", ".join(f"{rung}: {count}" for rung, count in figures["rungs"].items())
    table.rows.append(
        [
            str(figures["images"]),
            number(figures["images_per_second"], 1),
            p50,
            p90,
            p99,
            size(figures["bytes_per_image"]),
            rungs,
            str(figures["sent_again"]),
            str(figures["streams"]),
            number(figures["top1"], 1, 100),
        ]
    )
    return table


def _token(file: Path) -> str:
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file}: {error}") from error
