"""A split in a folder: both halves as programs, plans of what crosses, and the manifest that both sides agree on."""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

import fmapzip
from fmapzip import registry
from fmapzip.codecs.base import Codec
from fmapzip.errors import InvalidInput, MissingExtra, UnsupportedModel
from fmapzip.plan import Plan
from fmapzip.quantize import DEFAULT_CALIBRATOR
from fmapzip.split import manifest as manifests
from fmapzip.split.codec import CrossingCodec
from fmapzip.split.halves import Cut, Tail
from fmapzip.split.manifest import CrossingMap, Dtype, File, ImageInput, Manifest, Output, Rung
from fmapzip.torch.batches import Batches, Progress, ignore_progress
from fmapzip.torch.calibrate import Calibration, calibrate
from fmapzip.torch.inputs import doubled, first_sample

if TYPE_CHECKING:
    from fmapzip.planner.budget import Budget
    from fmapzip.torch.metrics import MetricsChoice

HEAD, TAIL = "head.pt2", "tail.pt2"
ONNX_HEAD, ONNX_TAIL = "head.onnx", "tail.onnx"


@dataclass(frozen=True)
class Split:
    """A split that was read from its folder.

    Attributes
    ----------
    head
        From a batch of inputs to a tuple of what crosses.
    tail
        From what crosses to the network's output.
    codec
        What crosses to bytes and back.
    manifest
        What it is.
    """

    head: nn.Module
    tail: Tail
    codec: CrossingCodec
    manifest: Manifest

    def __call__(self, x: Tensor, rung: int = 0) -> Any:
        """Run it in one place: the output that a server would give for each image."""
        with torch.inference_mode():
            codec = self.codec
            return self.tail(*codec.decode(codec.encode(self.head(x), rung), rung))


def save_split(
    cut: Cut,
    folder: str | os.PathLike[str],
    calibration: Any,
    codecs: Sequence[Codec | str] | None = None,
    quantizer: str = DEFAULT_CALIBRATOR,
    *,
    budgets: Sequence[Budget] = (),
    metrics: MetricsChoice = "auto",
    model: str = "",
    preprocess: ImageInput | None = None,
    progress: Progress = ignore_progress,
) -> Manifest:
    """Calibrate a plan for each codec, export both halves, and write the folder.

    Halves are ``torch.export`` programs; of a network that `fmapzip.onnx.load_onnx` made, ONNX files, which
    ONNX Runtime computes. Where that cannot be, they are programs too, and a warning says why.

    Parameters
    ----------
    cut : Cut
    folder : path
        Made whole or not at all; a split that is there is replaced, anything else is left alone.
    calibration : Tensor, or iterable of batches
        Images to calibrate on, gone through several times.
    codecs : sequence of Codec or str
        A rung of the ladder each, by default one of ``context-rans``. They are put in order, most bytes first, and one
        that takes more bytes than a lossless one is left out. With `budgets`, what their plans choose from, by default
        every built-in codec.
    quantizer : str
        Calibrator, as in `fmapzip.quantize.make_observer`; plans for budgets find their own grids.
    budgets : sequence of Budget
        Of distortion: a rung for each, the plan of what crosses that takes the fewest bytes within it
        (`fmapzip.planner`). One that saves nothing over a stricter one is left out.
    metrics : {"auto", "classes", "output"}
        Whether the output is class scores, for `budgets`.
    model : str
    preprocess : ImageInput, optional
        What the manifest says of where the network and its inputs come from.
    progress : callable

    Returns
    -------
    Manifest

    Raises
    ------
    InvalidInput
        There is something else than a split at `folder`, no calibration image, or no plan that keeps to a budget.
    """
    target = Path(folder)
    _check_target(target)
    batches = Batches(calibration, "calibration")
    example = first_sample(batches.first())
    if not isinstance(example, Tensor):
        raise InvalidInput("a split's network takes one tensor")
    if budgets:
        ladder = _within(cut, batches, budgets, codecs or ("auto",), metrics, progress)
    else:
        found = calibrate(cut.whole, cut.taps, batches, quantizer, progress)
        found = replace(found, metadata={**found.metadata, "skipped": list(cut.others)})
        ladder = _descending([_rung(found, registry.make(codec), progress) for codec in codecs or ("context-rans",)])
    with _replacing(target) as temporary:
        with torch.inference_mode(False), torch.no_grad():
            head, tail, layouts, outputs = _programs(cut, example, temporary)
        rungs = []
        for i, (plan, size) in enumerate(ladder):
            data = plan.to_bytes()
            file = File(f"rung-{i}.fmzp", hashlib.sha256(data).hexdigest())
            (temporary / file.name).write_bytes(data)
            rungs.append(Rung(file, size))
        crossing = zip(cut.taps, layouts, strict=True)
        written = Manifest(
            schema=1,
            kind="split",
            model=model,
            at=cut.at,
            input_shape=tuple(example.shape[1:]),
            input_dtype=_dtype(example),
            preprocess=preprocess,
            maps=tuple(CrossingMap(tap.name, tap.shape, tap.axis, layout) for tap, layout in crossing),  # type: ignore[arg-type]
            outputs=tuple(Output(tuple(x.shape[1:]), _dtype(x)) for x in outputs),
            structure=pytree.treespec_dumps(cut.tail.structure),
            head=head,
            tail=tail,
            ladder=tuple(rungs),
        )
        (temporary / manifests.NAME).write_bytes(written.to_bytes())
    return written


def load(folder: str | os.PathLike[str]) -> Split:
    """Read a split.

    It holds programs, which are run: read only those of people whom you trust, as with a model file.

    Parameters
    ----------
    folder : path
        What ``fmapzip split`` or `save_split` wrote.

    Raises
    ------
    InvalidInput
        A file is missing, is not the one that the manifest names, or is no program.
    InvalidPlan, UnsupportedVersion, UnknownCodec
        As of `Plan.load`.
    """
    root = Path(folder)
    manifest = manifests.read(root / manifests.NAME)
    plans = [Plan.from_bytes(_verified(root, rung.plan)) for rung in manifest.ladder]
    codec = CrossingCodec(manifest.maps, plans)
    structure = _structure(manifest)
    head, flat = (_program(root, file) for file in (manifest.head, manifest.tail))
    return Split(head, Tail(flat, structure), codec, manifest)


def _rung(found: Calibration, codec: Codec, progress: Progress) -> tuple[Plan, Codec, float]:
    """A plan of `codec`, and the mean bytes of an image's frames, of the images that trained it."""
    plan = found.plan(codec, progress)
    total = images = 0
    for i in range(len(found.taps)):
        frames = fmapzip.encode_batch(found.maps(i), plan=plan, tap=i)
        total, images = total + sum(map(len, frames)), len(frames)
    return plan, codec, total / images


def _descending(made: Sequence[tuple[Plan, Codec, float]]) -> list[tuple[Plan, float]]:
    """The ladder: most bytes first, without what loses more and saves nothing."""
    lossless = min((size for _, codec, size in made if codec.lossless), default=float("inf"))
    kept = [(plan, size) for plan, _, size in made if size <= lossless]
    return sorted(kept, key=lambda each: -each[1])


def _within(
    cut: Cut,
    batches: Batches,
    budgets: Sequence[Budget],
    codecs: Sequence[Codec | str],
    metrics: MetricsChoice,
    progress: Progress,
) -> list[tuple[Plan, float]]:
    """The ladder of plans within budgets of distortion, the strictest first, without what saves nothing."""
    from fmapzip.planner.planner import plans_of

    if any(budget.kind not in ("kl", "sqnr") for budget in budgets) or len({budget.kind for budget in budgets}) > 1:
        raise InvalidInput("the ladder's budgets are all of KL or all of SQNR")
    strict = sorted(budgets, key=lambda budget: -budget.value if budget.kind == "sqnr" else budget.value)
    ladder: list[tuple[Plan, float]] = []
    for planned in plans_of(cut.whole, batches, strict, codecs, metrics=metrics, progress=progress):
        if not planned.met:
            raise InvalidInput(f"no plan of what crosses keeps to {planned.budget}")
        size = planned.choosing.outcome.bytes
        if not ladder or size < ladder[-1][1]:
            ladder.append((planned.plan, size))
    return ladder


def _export(module: nn.Module, example: tuple[Tensor, ...], file: Path) -> File:
    batch = torch.export.Dim("batch", min=1)
    inputs = tuple(doubled(x) for x in example)  # of 2: torch.export takes a size of 1 for a constant
    program = torch.export.export(module, inputs, dynamic_shapes=({0: batch},) * len(inputs))
    torch.export.save(program, file)
    return File(file.name, hashlib.sha256(file.read_bytes()).hexdigest())


def _programs(cut: Cut, example: Tensor, folder: Path) -> tuple[File, File, tuple[str, ...], tuple[Tensor, ...]]:
    """Write both halves; with what they make of the example, and the memory orders of what crosses."""
    if cut.onnx is not None:
        try:
            return _onnx_programs(cut, cut.onnx, example, folder)
        except UnsupportedModel as error:
            warnings.warn(f"both halves are torch.export programs, not ONNX: {error}", stacklevel=3)
    maps = cut.head(example.clone())
    head = _export(cut.head, (example,), folder / HEAD)
    tail = _export(cut.tail.flat, maps, folder / TAIL)
    return head, tail, cut.layouts, cut.tail.flat(*maps)


def _onnx_programs(
    cut: Cut, network: fx.GraphModule, example: Tensor, folder: Path
) -> tuple[File, File, tuple[str, ...], tuple[Tensor, ...]]:
    from fmapzip.onnx.halves import Half, agree, halves
    from fmapzip.split.onnx_reduction import onnx_reductions

    data = halves(network, example, [tap.name for tap in cut.taps], onnx_reductions(cut))
    head, tail = Half(data[0], reads_images=True), Half(data[1], reads_images=False)
    agree(network, example, (head, tail), (cut.head, cut.tail.flat))
    files = []
    for name, each in zip((ONNX_HEAD, ONNX_TAIL), data, strict=True):
        (folder / name).write_bytes(each)
        files.append(File(name, hashlib.sha256(each).hexdigest()))
    return files[0], files[1], ("contiguous",) * len(cut.taps), tail(*head(example))


def _program(root: Path, file: File) -> nn.Module:
    data = _verified(root, file)
    if file.name in (ONNX_HEAD, ONNX_TAIL):
        return _onnx_half(data, root / file.name)
    try:
        return torch.export.load(io.BytesIO(data)).module()
    except Exception as error:  # of many kinds, for a file may be damaged in any way
        raise InvalidInput(f"{root / file.name} is no program that PyTorch can load: {_line(error)}") from error


def _onnx_half(data: bytes, place: Path) -> nn.Module:
    try:
        from fmapzip.onnx.halves import Half
    except ImportError as error:
        raise MissingExtra("this split's halves are ONNX files: pip install 'fmapzip[onnx]'") from error
    try:
        return Half(data, reads_images=place.name == ONNX_HEAD)
    except Exception as error:
        raise InvalidInput(f"{place} is no file that ONNX Runtime can load: {_line(error)}") from error


def _structure(manifest: Manifest) -> pytree.TreeSpec:
    """How the tail's tensors make the network's output."""
    try:
        structure = pytree.treespec_loads(manifest.structure)
    except Exception as error:  # PyTorch checks nothing
        raise InvalidInput(f"{manifests.NAME}: no structure of an output: {_line(error)}") from error
    if structure.num_leaves != len(manifest.outputs):
        raise InvalidInput(f"{manifests.NAME}: {len(manifest.outputs)} outputs do not make its structure")
    return structure


def _line(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:300]


def _verified(root: Path, file: File) -> bytes:
    try:
        data = (root / file.name).read_bytes()
    except OSError as error:
        raise InvalidInput(f"{root / file.name}: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise InvalidInput(f"{root / file.name} is not the file that {manifests.NAME} names")
    return data


def _dtype(x: Tensor) -> Dtype:
    name = str(x.dtype).removeprefix("torch.")
    try:
        found: Dtype = msgspec.convert(name, Dtype)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"a split takes and gives no tensors of {name}") from error
    return found


def _check_target(target: Path) -> None:
    if not target.exists():
        if not target.absolute().parent.is_dir():
            raise InvalidInput(f"{target}: no such directory: {target.absolute().parent}")
    elif not target.is_dir() or (any(target.iterdir()) and not (target / manifests.NAME).is_file()):
        raise InvalidInput(f"{target} is there and is no split: it is left alone")


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A folder to write into that takes the name `target` when the block ends without an error.

    Where that is a link to a folder, the folder is replaced.
    """
    target = target.resolve()
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    temporary.mkdir()
    try:
        yield temporary
        former = temporary.with_suffix(".old")
        if target.exists():
            target.rename(former)
        temporary.rename(target)
        shutil.rmtree(former, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
