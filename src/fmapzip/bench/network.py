"""The maps that a network makes of images, calibrated as for ``fmapzip eval``, and what losing some of them does."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fmapzip import registry
from fmapzip.archive import Archive, ArchiveWriter
from fmapzip.bench.source import Outputs, Tap
from fmapzip.codecs.base import Codec, IntegerMap
from fmapzip.eval.request import Inputs, Progress, Request, load, require_torch
from fmapzip.eval.shard_rows import shard_rows
from fmapzip.plan import Plan


class NetworkSource:
    """The taps of a network on images; their maps lie in a temporary archive until `close`.

    Parameters
    ----------
    request
        The model, the images, and how to run them.
    progress
        Told how far each stage has come.
    inputs
        What was loaded of the request; None: loaded here.
    part
        ``(i, n)``: of `n` shards of the images the one of index `i`.

    Attributes
    ----------
    images
        How many images the maps are of.
    """

    def __init__(
        self, request: Request, progress: Progress, inputs: Inputs | None = None, part: tuple[int, int] = (0, 1)
    ) -> None:
        require_torch()
        from fmapzip.eval.capture import prepare_loaded

        inputs = inputs or load(request)
        self._request, self._all = request, len(inputs.parts.images)
        inputs = _only(inputs, part)
        self.images = len(inputs.parts.images)
        self._folder = tempfile.TemporaryDirectory(prefix="fmapzip-bench-")
        try:
            self._ready = prepare_loaded(request, inputs, progress)
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
            "images": self._all,
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

    def outputs(self, plans: Sequence[Plan]) -> Outputs:
        """Run the network in 8 bits, and with its maps stored by each plan."""
        from fmapzip.torch.batches import Batches
        from fmapzip.torch.compare import Comparison
        from fmapzip.torch.passes import CodedPass, Int8Pass

        ready = self._ready
        taps, calibration = ready.calibration.taps, ready.calibration
        exact = Int8Pass(ready.captured, taps, calibration.quantizers)
        coded = [CodedPass(ready.captured, taps, plan, self._request.threads) for plan in plans]
        given = (calibration.calibrator, calibration.images)
        comparison = Comparison(ready.inputs.model, ready.captured, exact, coded, self._classes, *given)
        comparison.run(Batches(ready.inputs.images, "images", repeatable=False).with_targets(), ready.progress)
        tally = comparison.tally
        return Outputs(self._classes, tally.int8.sums(), [one.sums() for one in tally.coded])

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
        samples = len(self._archive.samples(name)) if name in self._archive.names else 0
        return Tap(name, samples, lambda i: self._archive.read(name, i), training, quantizer)


def _only(inputs: Inputs, part: tuple[int, int]) -> Inputs:
    """The inputs with the images of one shard."""
    from fmapzip.eval.loading import Batches

    rows, _ = shard_rows(len(inputs.parts.images), inputs.batch, part)
    images = inputs.parts.images.select(rows)
    return replace(inputs, parts=replace(inputs.parts, images=images), images=Batches(images, inputs.batch))
