"""The maps that a network makes of images, calibrated as for ``fmapzip eval``, and what losing some of them does."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fmapzip import registry
from fmapzip.archive import Archive, ArchiveWriter
from fmapzip.bench.source import Tap
from fmapzip.codecs.base import Codec, IntegerMap
from fmapzip.errors import MissingExtra
from fmapzip.eval.request import Progress, Request
from fmapzip.plan import Plan

DISTORTION = (
    "top1",
    "top5",
    "changed_vs_int8",
    "changed_vs_float",
    "kl_vs_float",
    "kl_vs_int8",
    "output_sqnr_db",
)


class NetworkSource:
    """The taps of a network on images; their maps lie in a temporary archive until `close`.

    Parameters
    ----------
    request
        The model, the images, and how to run them.
    progress
        Told how far each stage has come.
    """

    def __init__(self, request: Request, progress: Progress) -> None:
        try:
            from fmapzip.eval.capture import prepare
        except ImportError as error:
            raise MissingExtra("running a network needs PyTorch: pip install 'fmapzip[torch]'") from error
        self._request, self._progress = request, progress
        self._folder = tempfile.TemporaryDirectory(prefix="fmapzip-bench-")
        try:
            self._ready = prepare(request, progress)
            self._archive = self._stored(Path(self._folder.name) / "maps.fmz")
        except BaseException:
            self._folder.cleanup()
            raise
        names = [tap.name for tap in self._ready.calibration.taps]
        self.taps: Sequence[Tap] = [self._tap(i, name) for i, name in enumerate(names)]

    @property
    def description(self) -> dict[str, Any]:
        """Model, data and protocol."""
        request = self._request
        return {
            "files": None,
            "model": request.model,
            "data": request.data,
            "quantizer": request.quantizer,
            "calibration_images": self._ready.calibration.images,
            "images": len(self._ready.inputs.parts.images),
            "protocol": {
                "calib": request.calib,
                "preprocess": request.preprocess,
                "input": self._ready.inputs.described,
                "taps": None if request.taps is None else list(request.taps),
                "limit": request.limit,
                "images": request.images,
            },
        }

    def plan(self, codec: Codec) -> Plan | None:
        """The plan that calibration makes for a codec, its settings chosen where it has candidates."""
        from fmapzip.torch.choose import DEFAULT_LIMIT, choose

        ready, classes = self._ready, self._classes
        choice = choose(ready.captured, ready.batches, ready.calibration, codec, classes, DEFAULT_LIMIT, ready.progress)
        return choice.plan

    def distortion(self, plans: Sequence[Plan]) -> list[dict[str, Any]] | None:
        """The figures of docs/EVAL_JSON.md for each plan, and last those of the 8-bit network."""
        from fmapzip.torch.batches import Batches
        from fmapzip.torch.compare import Comparison
        from fmapzip.torch.passes import CodedPass, Int8Pass

        ready = self._ready
        taps, calibration = ready.calibration.taps, ready.calibration
        exact = Int8Pass(ready.captured, taps, calibration.quantizers)
        coded = [CodedPass(ready.captured, taps, plan, self._request.threads) for plan in plans]
        given = (calibration.calibrator, calibration.images)
        comparison = Comparison(ready.inputs.model, ready.captured, exact, coded, self._classes, *given)
        comparison.run(Batches(ready.inputs.images, "images").with_targets(), ready.progress)
        found = comparison.evaluation()
        return [*map(_figures, map(asdict, found.codecs)), _figures(asdict(found.int8_baseline))]

    @property
    def _classes(self) -> bool:
        metrics = self._request.metrics
        return self._ready.calibration.class_scores if metrics == "auto" else metrics == "classes"

    def close(self) -> None:
        """Remove the maps."""
        self._archive.close()
        self._folder.cleanup()

    def _stored(self, path: Path) -> Archive:
        plan = self._ready.calibration.plan(registry.make("zvc"))
        with ArchiveWriter(path, plan=plan) as archive:
            self._ready.store(archive, plan)
        return Archive(path)

    def _tap(self, place: int, name: str) -> Tap:
        def training() -> IntegerMap:
            return self._ready.calibration.maps(place)

        quantizer = self._ready.calibration.quantizers[place]
        return Tap(name, len(self._archive.samples(name)), lambda i: self._archive.read(name, i), training, quantizer)


def _figures(found: dict[str, Any]) -> dict[str, Any]:
    return {name: found[name] for name in DISTORTION if name in found}
