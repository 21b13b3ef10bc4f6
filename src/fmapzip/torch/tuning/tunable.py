"""A network whose feature maps are stored differentiably, for training loops."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from math import prod
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from fmapzip import registry
from fmapzip.codecs.base import Codec, IntegerMap
from fmapzip.errors import InvalidInput
from fmapzip.fitting import train_taps, within_share
from fmapzip.plan import Plan, TapPlan
from fmapzip.quantize import DEFAULT_CALIBRATOR, QuantParams
from fmapzip.torch.batches import Batches, Progress, ignore_progress
from fmapzip.torch.calibrate import TRAINING_IMAGES, calibrate, spread
from fmapzip.torch.capture import METHODS, Captured, Tap, capture, select
from fmapzip.torch.fit import fitted_taps
from fmapzip.torch.inputs import batch_size, call, first_sample, map_tensors, sample_shapes
from fmapzip.torch.network_hash import network_hash
from fmapzip.torch.tuning.fit import settled
from fmapzip.torch.tuning.tap import Band, TapBits, TunedTap


class TunableModel(nn.Module):
    """A network that trains with its feature maps stored; made by :func:`tunable`.

    Its forward pass hands on what would be read back of every map; gradients pass. It is trained by any loop:
    its parameters are the network's and a scale for each quantizer. Batch norms keep their statistics unless asked not
    to, and dropout stays off. Its state dict names each weight once, under `original`.

    Attributes
    ----------
    original : nn.Module
        The network without the taps, whose parameters are the ones that train.
    """

    def __init__(
        self,
        original: nn.Module,
        captured: Captured,
        taps: Sequence[TunedTap],
        batch_norms: bool,
    ) -> None:
        super().__init__()
        self.original, self.network, self._taps = original, captured.module, nn.ModuleList(taps)
        self._batch_norms = batch_norms
        self._input_shapes = captured.input_shapes
        by_name = {each.tap.name: each for each in taps}
        self._skipped = [tap.name for tap in captured.taps if tap.name not in by_name]
        for slot in captured.slots:
            tuned = by_name.get(slot.name)
            slot.action = None if tuned is None else tuned.forward
        # Under these names PyTorch 2.4 has hooks too; the public ones came after it.
        self._register_state_dict_hook(_named_once)  # type: ignore[no-untyped-call]
        self._register_load_state_dict_pre_hook(_named_twice, with_module=True)  # type: ignore[no-untyped-call]
        self.train()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the network."""
        return self.network(*args, **kwargs)

    def train(self, mode: bool = True) -> Self:
        """Set the mode: only batch norms, where they are to train, look at it."""
        self.training = mode
        for module in self.network.modules():
            if isinstance(module, _BatchNorm):
                module.training = mode and self._batch_norms
        return self

    def refresh(self, images: Any) -> Plan:
        """Fit tables, points and the scale of the bits to the maps as they are now, and return the plan they make.

        The plan is of what stands for codecs while a network trains: for ``context-rans``, level ``default`` with
        weights that channels share.

        Parameters
        ----------
        images : Tensor, or iterable of batches
            As for `fmapzip.torch.compress_model`; at most 64 of them, evenly spread, are used.
        """
        return self._fit(images)[0]

    def finish(self, images: Any) -> tuple[Plan, Plan]:
        """As `refresh`; return its plan, and that of the codecs themselves, which reads back the same."""
        plan, maps = self._fit(images)
        return plan, self._planned(maps, plan.metadata["calibration_images"], plan)

    def _fit(self, images: Any) -> tuple[Plan, list[IntegerMap]]:
        self._refit(images)
        maps, count = self._maps(images)
        planned = [tap.planned(each) for tap, each in zip(self.taps, maps, strict=True)]
        for tap, each, plan in zip(self.taps, maps, planned, strict=True):
            tap.fit(each, plan)
        return Plan(tuple(planned), self._metadata(count)), maps

    def settle(self, images: Any) -> None:
        """Let codecs choose their paths and orders of channels by the maps as they are now, to stay."""
        maps, _ = self._maps(images)
        for tap, each in zip(self.taps, maps, strict=True):
            tap.codec = settled(tap.codec, each)

    def take(self, plan: Plan, images: Any) -> None:
        """Begin anew with the quantizers and codecs of a plan; `log_scale` of each tap becomes another parameter."""
        for tap in self.taps:
            planned = plan[tap.tap.name]
            tap.take(planned.quantizer, tap.meant.in_place_of(planned.codec))
        self.settle(images)

    def plan(self, calibration: Any) -> Plan:
        """Return the plan that stores the maps as they are now, tables trained on calibration images.

        Parameters
        ----------
        calibration : Tensor, or iterable of batches
        """
        return self._planned(*self._maps(calibration))

    def compare(self, images: Any, plan: Plan) -> list[TapBits]:
        """Return what the maps of at most 64 images take, by the differentiable rate and in frames of `plan`."""
        maps, _ = self._maps(images)
        return [tap.compare(each, plan[tap.tap.name]) for tap, each in zip(self.taps, maps, strict=True)]

    def check(self, images: Any) -> None:
        """Refuse images that are not of the shape of those that the feature maps were found with.

        Raises
        ------
        InvalidInput
        """
        found = sample_shapes(Batches(images, "calibration").first())
        if found != self._input_shapes:
            raise InvalidInput(f"calibration: images of {found}, and those to tune on are of {self._input_shapes}")

    @property
    def values(self) -> int:
        """Values of all maps of an image."""
        return sum(prod(each.tap.shape) for each in self.taps)

    @property
    def taps(self) -> list[TunedTap]:
        """What happens to each feature map that is stored."""
        return list(self._taps)  # type: ignore[arg-type]

    def _planned(self, maps: Sequence[IntegerMap], count: int, drafts: Plan | None = None) -> Plan:
        """The plan of codecs as they are meant, for maps of so many images; `drafts` holds what is trained already."""
        codecs, quantizers = [tap.meant for tap in self.taps], [tap.quantizer for tap in self.taps]

        def train(i: int, codec: Codec) -> bytes:
            if drafts is not None and drafts[i].codec == codec:
                return drafts[i].parameters
            return codec.train_for(maps[i], quantizers[i])

        trained = train_taps(codecs, quantizers, lambda i: maps[i], train)
        planned = [
            TapPlan(tap.tap.name, tap.tap.shape, quantizer, codec, *found)
            for tap, quantizer, codec, found in zip(self.taps, quantizers, codecs, trained, strict=True)
        ]
        map_bytes = [count * prod(tap.shape) for tap in planned]
        metadata = {**self._metadata(count), "weights": network_hash(self.original)}
        return Plan(tuple(within_share(planned, map_bytes, train)), metadata)

    def _refit(self, images: Any) -> None:
        """Fit what codecs read back, a map's points to what is read back of those before it; no history counts."""
        for tap in self.taps:
            tap.forget()
        maps, _ = self._maps(images)
        for tap, each in zip(self.taps, maps, strict=True):
            tap.fit_coding(each)

    def _maps(self, images: Any) -> tuple[list[Any], int]:
        """Each tap's integer maps of at most 64 images in the network as it is, and how many images there are."""
        batches = Batches(images, "images")
        count = sum(batch_size(inputs) for inputs, _ in batches)
        if not count:
            raise InvalidInput("images: there are none")
        device = _device_of(self.original)
        kept, first = spread(count, TRAINING_IMAGES), 0
        with measuring(self):
            for tap in self.taps:
                tap.keep()
            for inputs, _ in batches:
                rows = [i for i in range(batch_size(inputs)) if first + i in kept]
                first += batch_size(inputs)
                if rows:
                    call(self, map_tensors(partial(_rows_on, rows, device), inputs))
            return [tap.kept() for tap in self.taps], count

    def _metadata(self, images: int) -> dict[str, Any]:
        return {
            "calibrator": "tuned",
            "calibration_images": images,
            "inputs": self._input_shapes,
            "skipped": self._skipped,
        }


def tunable(
    model: nn.Module,
    plan_or_codec: Plan | Codec | str,
    calibration: Any,
    taps: Sequence[str] | str | None = None,
    quantizer: str = DEFAULT_CALIBRATOR,
    *,
    rate: str = "codec",
    batch_norms: bool = False,
    methods: Sequence[str] = METHODS,
    progress: Progress = ignore_progress,
) -> TunableModel:
    """Return a copy of a network whose feature maps are stored differentiably, to train in a loop of one's own.

    Parameters
    ----------
    model : nn.Module
        Copied, in eval mode; the original is untouched.
    plan_or_codec : Plan, Codec or str
        How maps will be stored. A plan says it for each map, and where the scales begin.
    calibration : Tensor, or iterable of batches
        Images to begin with: quantizers where there is no plan, tables and points.
    taps, quantizer : optional
        Feature maps and calibrator, as for `fmapzip.torch.compress_model`. A plan has its own.
    rate : str
        What bits are counted by. ``codec``: what the codec takes, its own code lengths for ``context-rans`` above level
        ``fast`` and ``dct-cm`` with rANS, else ``logarithm``. ``logarithm``, ``l1``, ``hoyer``, ``transformed-l1`` or
        ``histogram`` whatever the codec; their scale comes from its bytes.
    batch_norms : bool
        Whether batch norms train their statistics.
    methods, progress
        As for `fmapzip.torch.compress_model`.

    Raises
    ------
    CaptureError, PlanMismatch, UnknownCodec, InvalidInput

    Examples
    --------
    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Conv2d(8, 4, 1))
    >>> images = torch.rand(4, 3, 8, 8)
    >>> tuned = tunable(net, "context-rans", images)
    >>> loss = (tuned(images) - net(images)).square().mean() + 0.1 * rate_loss(tuned)
    >>> loss.backward()
    >>> bool(tuned.original[0].weight.grad.abs().sum() > 0)
    True
    """
    if not isinstance(model, nn.Module):
        raise InvalidInput(f"expected a torch.nn.Module, got {type(model).__name__}")
    copied = copy.deepcopy(model).eval()
    for parameter in copied.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    batches = Batches(calibration, "calibration")
    captured = capture(copied, first_sample(batches.first()), methods)
    if batch_norms and not any(isinstance(each, _BatchNorm) for each in captured.module.modules()):
        raise InvalidInput(f"batch_norms: the network, captured by {captured.method}, has none whose statistics train")
    chosen: Sequence[Tap]
    quantizers: Sequence[QuantParams]
    codecs: Sequence[Codec]
    if isinstance(plan_or_codec, Plan):
        if taps is not None:
            raise InvalidInput("a plan has its own taps; taps= goes with a codec")
        chosen = fitted_taps(plan_or_codec, captured)
        quantizers = [tap.quantizer for tap in plan_or_codec]
        codecs = [tap.codec for tap in plan_or_codec]
    else:
        chosen = select(captured.taps, taps)
        quantizers = calibrate(captured, chosen, batches, quantizer, progress).quantizers
        codecs = [registry.make(plan_or_codec)] * len(chosen)
    tuned = [TunedTap(*each, rate) for each in zip(chosen, quantizers, codecs, strict=True)]
    made = TunableModel(copied, captured, tuned, batch_norms)
    for tap in tuned:
        tap.to(_device_of(copied))
    made.settle(batches)
    made.refresh(batches)
    return made


def rate_loss(
    model: TunableModel, samples: int | None = None, bands: int = 1, generator: torch.Generator | None = None
) -> Tensor:
    """Return the bits a value that the last batch takes, to add to a loss; 8 is what 8-bit maps take.

    Parameters
    ----------
    model : TunableModel
    samples : int, optional
        Of the first so many samples of the batch only, which takes less time.
    bands : int
        Each map's rows are cut into so many bands, and one of them, drawn at random, stands for all: an estimate
        without bias, in its value and its gradients. Rates that are no sum over rows count them all.
    generator : torch.Generator, optional
        Draws the bands; by default PyTorch's own.

    Raises
    ------
    InvalidInput
        The network has not run yet, or no sample or band is asked for.
    """
    if bands < 1 or (samples is not None and samples < 1):
        raise InvalidInput(f"bits are counted of at least one sample and band, not of {samples} and {bands}")
    drawn = torch.rand(len(model.taps), generator=generator).tolist()
    found = [tap.bits(samples, _band(tap.bands(bands), u)).mean() for tap, u in zip(model.taps, drawn, strict=True)]
    return torch.stack(found).sum() / model.values


def _band(count: int, drawn: float) -> Band:
    return Band(int(drawn * count), count)


@contextmanager
def measuring(model: TunableModel) -> Iterator[None]:
    """Run a block in eval mode and without gradients."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)


def _named_once(module: TunableModel, state: dict[str, Any], prefix: str, metadata: Any) -> None:
    """Leave out of a state dict what `network` shares with `original`: files of weights refuse it."""
    del metadata
    for name in [name for name in state if name.startswith(f"{prefix}network.")]:
        del state[name]


def _named_twice(module: TunableModel, state: dict[str, Any], prefix: str, *others: Any) -> None:
    """Put back what `_named_once` left out."""
    del others
    names = {id(value): name for name, value in module.original.state_dict(keep_vars=True).items()}
    for name, value in module.network.state_dict(keep_vars=True).items():
        state[f"{prefix}network.{name}"] = state.get(f"{prefix}original.{names.get(id(value))}", value)


def _device_of(model: nn.Module) -> torch.device:
    first = next(chain(model.parameters(), model.buffers()), None)
    return torch.device("cpu") if first is None else first.device


def _rows_on(rows: Sequence[int], device: torch.device, x: Tensor) -> Tensor:
    return x[list(rows)].to(device)
