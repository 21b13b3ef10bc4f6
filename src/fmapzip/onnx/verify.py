"""Holding an imported network against ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import torch
from onnxruntime import InferenceSession
from torch import Tensor, fx, nn

from fmapzip.errors import UnsupportedModel
from fmapzip.onnx.fold import session
from fmapzip.onnx.inputs import GraphInput
from fmapzip.onnx.integers import is_quantized, run_on_equal_integers
from fmapzip.onnx.values import Array

EXACT, HALF, QUANTIZED = 2e-4, 2e-2, 5e-2
"""Difference that is allowed in any case, as a part of the largest magnitude of the output: float32 networks of a
hundred layers differ by 1e-5 where sums are formed in another order; ONNX Runtime rounds to half precision between
layers; and in a quantized network such a difference may move a value by one step of its grid."""
NOISE, MOST = 16, 0.1
"""A sensitive network is allowed this many times what ONNX Runtime's own output moves by where its graph optimizations
are off, or the input moves by its last bits, and never more than this part of the output's magnitude."""
_LAST_BITS = 2.0**-20


@dataclass(frozen=True)
class Agreement:
    """How far an output is from ONNX Runtime's.

    Parameters
    ----------
    output : str
    difference : float
        The largest one.
    magnitude : float
        The largest magnitude of ONNX Runtime's values.
    tolerance : float
        Largest difference that is allowed.
    """

    output: str
    difference: float
    magnitude: float
    tolerance: float


def tolerance(model: onnx.ModelProto) -> float:
    """Return how large a part of an output's magnitude a difference may be."""
    return QUANTIZED if is_quantized(model) else _of_floats(model)


def _of_floats(model: onnx.ModelProto) -> float:
    """Return the tolerance of what is computed in floating point."""
    halves = (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
    tensors = [*model.graph.initializer, *(a.t for node in model.graph.node for a in node.attribute)]
    casts = (a.i for node in model.graph.node if node.op_type == "Cast" for a in node.attribute)
    return HALF if any(t.data_type in halves for t in tensors) or any(to in halves for to in casts) else EXACT


def verify(
    module: fx.GraphModule,
    file: str,
    model: onnx.ModelProto,
    inputs: Sequence[GraphInput],
    sizes: Mapping[str, int],
) -> list[Agreement]:
    """Run both on random inputs and compare every output.

    In a quantized network every integer is compared too, computed from ONNX Runtime's own, and the outputs that follow
    from those are allowed what floating point is.

    Raises
    ------
    UnsupportedModel
        An output differs by more than the tolerance, in shape, or where it is infinite or no number, or an integer by
        more than a step.
    """
    rng = np.random.default_rng(0)
    given = {value.name: value.random(value.shape(1, sizes), rng) for value in inputs}
    shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in given.items())
    names = [value.name for value in model.graph.output]
    try:
        running = session(file)
        expected = _run(running, names, given)
    except Exception as error:  # ONNX Runtime's own, of many kinds
        raise UnsupportedModel(f"ONNX Runtime does not run it on {shapes}: {_line(error)}") from error
    arguments = [value.as_argument(given[value.name]) for value in inputs]
    try:
        with torch.inference_mode():
            found = module(*arguments)
    except Exception as error:  # PyTorch's
        raise UnsupportedModel(f"the imported network does not run on {shapes}: {_line(error)}") from error
    outputs = dict.fromkeys(names, found) if isinstance(found, Tensor) else found
    wanted = dict(zip(names, expected, strict=True))

    def agreements(made: Mapping[str, Tensor], part: float) -> list[Agreement]:
        allowed = {name: _allowed(want, (), part) for name, want in wanted.items()}
        if any(_difference(name, made[name], want) > allowed[name] for name, want in wanted.items()):
            nearby = [_run(session(file, False), names, given), _run(running, names, _moved(given, rng))]
            allowed = {
                name: _allowed(want, [other[i] for other in nearby], part)
                for i, (name, want) in enumerate(wanted.items())
            }
        return [_compare(name, made[name], want, allowed[name]) for name, want in wanted.items()]

    if is_quantized(model):
        from_integers, compared = run_on_equal_integers(module, model, given, arguments)
        if compared:
            agreements(from_integers, _of_floats(model))
    return agreements(outputs, tolerance(model))


def takes_batches(
    module: nn.Module, model: onnx.ModelProto, inputs: Sequence[GraphInput], sizes: Mapping[str, int]
) -> bool:
    """Whether a batch of two gives what its images give one by one, within what imports are allowed."""
    part = tolerance(model)
    rng = np.random.default_rng(1)
    single = [[value.as_argument(value.random(value.shape(1, sizes), rng)) for value in inputs] for _ in range(2)]
    if any(x.shape[:1] != (1,) for given in single for x in given):
        return False
    with torch.inference_mode():
        apart = [_tensors(module(*given)) for given in single]
        try:
            together = _tensors(module(*(torch.cat(pair) for pair in zip(*single, strict=True))))
        except Exception:  # PyTorch's: sizes that do not fit
            return False
    return all(
        whole.shape[:1] == (2,) and all(_close(whole[i : i + 1], one, part) for i, one in enumerate(ones))
        for whole, *ones in zip(together, *apart, strict=True)
    )


def _tensors(found: Tensor | Mapping[str, Tensor]) -> list[Tensor]:
    return [found] if isinstance(found, Tensor) else list(found.values())


def _close(a: Tensor, b: Tensor, part: float) -> bool:
    a, b = a.double(), b.double()
    return a.shape == b.shape and float((a - b).abs().max()) <= part * float(b.abs().max())


def _run(running: InferenceSession, names: list[str], given: Mapping[str, Array]) -> list[Array]:
    return [np.asarray(array) for array in running.run(names, given)]


def _moved(given: Mapping[str, Array], rng: np.random.Generator) -> dict[str, Array]:
    """Return the inputs with the last bits of floats changed."""
    return {
        name: (x * (1 + _LAST_BITS * rng.choice((-1, 1), x.shape))).astype(x.dtype) if x.dtype.kind == "f" else x
        for name, x in given.items()
    }


def _allowed(want: Array, nearby: Sequence[Array], part: float) -> float:
    """Return the largest difference that is allowed."""
    if want.dtype.kind != "f":
        return 1.0 if part == QUANTIZED and want.dtype.itemsize == 1 else 0.0
    magnitude = _largest(want)
    noise = max((_largest(want - other) for other in nearby if other.shape == want.shape), default=0.0)
    return min(max(part * magnitude, NOISE * noise), max(part, MOST) * magnitude)


def _largest(values: Array) -> float:
    return float(np.abs(values[np.isfinite(values)].astype(np.float64)).max(initial=0.0))


def _difference(name: str, found: Tensor, want: Array) -> float:
    """Return the largest one; a shape, an infinity or a NaN of its own is refused."""
    got = found.numpy()
    if got.shape != want.shape:
        raise UnsupportedModel(f"output {name!r} is {list(got.shape)}, ONNX Runtime's is {list(want.shape)}")
    ours, theirs = got.astype(np.float64), want.astype(np.float64)
    finite = np.isfinite(theirs)
    same = np.where(finite, np.isfinite(ours), (ours == theirs) | (np.isnan(ours) & np.isnan(theirs)))
    if not same.all():
        raise UnsupportedModel(f"output {name!r} is infinite or no number elsewhere than ONNX Runtime's")
    return _largest((ours - theirs)[finite])


def _compare(name: str, found: Tensor, want: Array, allowed: float) -> Agreement:
    difference, magnitude = _difference(name, found, want), _largest(want)
    if difference > allowed:
        raise UnsupportedModel(
            f"output {name!r} differs from ONNX Runtime's by {difference:.3g}; {allowed:.3g} is allowed, its largest "
            f"magnitude being {magnitude:.3g}"
        )
    return Agreement(name, difference, magnitude, allowed)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
