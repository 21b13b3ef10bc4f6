"""What keeping maps costs a pass: `capture` into a store against the network's own pass over the same images.

    python benchmarks/capture.py path/to/nets.py:squeezenet1_1 path/to/images --json benchmarks/results/capture.json

Both run on the same batches, in turns. Capturing is what `fmapzip capture MODEL DATA -o store/ --plan` does with images
that are in memory: the pass, quantizing, encoding every chosen map, and writing. One thread, whose processor time is
measured: what other programs do does not count.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from common import write_result
from torch import nn

from fmapzip.archive import StoreWriter
from fmapzip.eval.codec_spec import parse_codec
from fmapzip.eval.environment import OtherPrograms
from fmapzip.eval.request import Request, load
from fmapzip.plan import Plan
from fmapzip.quantize import DEFAULT_CALIBRATOR
from fmapzip.torch.batches import Batches as Loaded
from fmapzip.torch.batches import ignore_progress
from fmapzip.torch.calibrate import calibrate
from fmapzip.torch.capture import Captured, Tap, capture, select
from fmapzip.torch.keeping import kept

CODECS = ("zvc", "context-rans:level=fast", "context-rans")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--taps", action="append", help="besides all of them, these")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--repeat", type=int, default=6)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    inputs = load(Request(given.model, given.data, limit=2 * given.images, calib=f"first:{given.images}"))
    batches = [batch for batch, _ in inputs.images]
    captured = capture(inputs.model, batches[0][:1])
    others, rows = OtherPrograms(), []
    for names in (None, *([given.taps] if given.taps else [])):
        taps = select(captured.taps, names)
        found = calibrate(
            captured, taps, Loaded(inputs.calibration, "calibration"), DEFAULT_CALIBRATOR, ignore_progress
        )
        plans = {codec: found.plan(parse_codec(codec)) for codec in CODECS}
        seconds = in_turns(inputs.model, captured, taps, plans, batches, given.repeat)
        own = seconds.pop("own")
        for codec, (took, size) in seconds.items():
            rows.append({"taps": len(taps), "codec": codec, "own_ms": own[0], "capture_ms": took, "bytes": size})
            print(rows[-1])
    result = {
        "model": given.model.rpartition(":")[2],
        "images": given.images,
        "others_cpu": others.share(),
        "rows": rows,
    }
    if given.json is not None:
        write_result(given.json, "capture", result)


def in_turns(
    model: nn.Module,
    captured: Captured,
    taps: tuple[Tap, ...],
    plans: dict[str, Plan],
    batches: list[torch.Tensor],
    repeat: int,
) -> dict[str, tuple[float, int]]:
    """The least milliseconds an image of the network's own pass and of capturing by each plan, and bytes of a store."""
    works: dict[str, Any] = {"own": partial(own_pass, model, batches)}
    works |= {codec: partial(store, captured, taps, plan, batches) for codec, plan in plans.items()}
    images = sum(map(len, batches))
    least: dict[str, float] = {}
    size: dict[str, int] = {}
    for _ in range(repeat):
        for name, work in works.items():
            start = time.process_time()
            size[name] = work()
            took = 1000 * (time.process_time() - start) / images
            least[name] = min(took, least.get(name, took))
    return {name: (least[name], size[name]) for name in works}


def own_pass(model: nn.Module, batches: list[torch.Tensor]) -> int:
    with torch.inference_mode():
        for batch in batches:
            model(batch)
    return 0


def store(captured: Captured, taps: tuple[Tap, ...], plan: Plan, batches: list[torch.Tensor]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        with StoreWriter(folder, plan=plan) as out:
            number = 0
            for samples in kept(captured, taps, plan, batches, 1):
                for frames in samples:
                    out.add(str(number), {name: each[0] for name, each in frames.items()})
                    number += 1
        return sum(path.stat().st_size for path in Path(folder).glob("*.fmz"))


if __name__ == "__main__":
    main()
