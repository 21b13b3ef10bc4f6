"""PCA over channels before and after the activation function: bytes, and what the next layer gets.

    python benchmarks/pca_before.py path/to/nets.py:squeezenet1_1 path/to/images --images 8 \
        --json benchmarks/results/pca_before_squeezenet1_1.json

Chmiel et al. put the transform before the activation, where the sums are dense and signed. A tap is the tensor after
it. Here both are coded for each tap that a ReLU makes: before, the ReLU's input is quantized (min-max, signed), coded,
decoded and rectified; after, the tap's own 8-bit map is coded. Noise is counted against the float tap either way.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import write_result
from numpy.typing import NDArray
from torch import fx, nn

from fmapzip import baselines
from fmapzip.eval.request import Request, load
from fmapzip.quantize import QuantParams, make_observer
from fmapzip.torch.capture import Captured, capture

RELUS = (torch.relu, torch.nn.functional.relu, "relu")


def rectified(captured: Captured) -> dict[str, tuple[fx.Node, fx.Node]]:
    """For each tap that is the output of a ReLU: the ReLU's input and its output in the graph."""
    graph = captured.module
    assert isinstance(graph, fx.GraphModule)
    found = {}
    for tap, slot in zip(captured.taps, captured.slots, strict=True):
        node = next(n for n in graph.graph.nodes if n.op == "call_module" and graph.get_submodule(n.target) is slot)
        source = node.args[0]
        module = graph.get_submodule(source.target) if source.op == "call_module" else None
        if source.target in RELUS or isinstance(module, nn.ReLU):
            found[tap.name] = source.args[0], source
    return found


class Recorder(fx.Interpreter):
    """Runs the graph and keeps copies of some nodes' values."""

    def __init__(self, graph: fx.GraphModule, nodes: set[fx.Node]) -> None:
        super().__init__(graph)
        self.nodes, self.values = nodes, {}

    def run_node(self, n: fx.Node) -> Any:
        """As usual; an operation in place later on does not change the copy."""
        value = super().run_node(n)
        if n in self.nodes:
            self.values[n] = value.detach().numpy().copy()
        return value


def recorded(recorder: Recorder, batches: Any) -> dict[fx.Node, NDArray[Any]]:
    """The nodes' values over all batches."""
    parts: dict[fx.Node, list[NDArray[Any]]] = {node: [] for node in recorder.nodes}
    with torch.inference_mode():
        for images, _ in batches:
            recorder.run(images)
            for node, value in recorder.values.items():
                parts[node].append(value)
    return {node: np.concatenate(values) for node, values in parts.items()}


class Tally:
    """Bytes and noise over taps."""

    def __init__(self) -> None:
        self.bytes = self.side = self.raw = 0
        self.signal = self.noise = 0.0

    def add(self, training: NDArray[Any], maps: NDArray[Any], wanted: NDArray[Any], rectify: bool) -> None:
        """Quantize, train, code and decode the maps; compare with the float maps after the activation."""
        observer = make_observer("minmax", "")
        observer.update(training)
        params: QuantParams = observer.finish()
        method = baselines.make("pca")
        side = method.train(params.quantize(training, axis=1))
        self.side += len(side)
        for sample, exact in zip(maps, wanted, strict=True):
            q = params.quantize(sample)
            data = method.encode(q, side)
            decoded = params.dequantize(method.decode(data, q.shape, q.dtype, side))
            got = np.maximum(decoded, 0) if rectify else decoded
            self.bytes, self.raw = self.bytes + len(data), self.raw + q.size
            self.signal += float(np.square(exact, dtype=np.float64).sum())
            self.noise += float(np.square(got - exact, dtype=np.float64).sum())

    def row(self, name: str) -> dict[str, Any]:
        """The figures."""
        return {
            "where": name,
            "ratio": self.raw / (self.bytes + self.side),
            "ratio_maps_alone": self.raw / self.bytes,
            "sqnr_db": 10 * math.log10(self.signal / self.noise),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--preprocess")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--calibration", type=int, default=8, help="how many of the images that calibrate to use")
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    wanted = 5 * max(arguments.calibration, math.ceil(arguments.images / 4))
    inputs = load(
        Request(arguments.model, arguments.data, preprocess=arguments.preprocess, limit=wanted, torch_threads=1)
    )
    example = next(iter(inputs.calibration))[0]
    captured = capture(inputs.model, example)
    pairs = rectified(captured)
    recorder = Recorder(captured.module, {node for pair in pairs.values() for node in pair})
    training, maps = recorded(recorder, inputs.calibration), recorded(recorder, inputs.images)
    before, after = Tally(), Tally()
    for source, tap in pairs.values():
        used, shown = slice(arguments.calibration), slice(arguments.images)
        before.add(training[source][used], maps[source][shown], maps[tap][shown], True)
        after.add(training[tap][used], maps[tap][shown], maps[tap][shown], False)
    rows = [before.row("before the activation"), after.row("after the activation")]
    for row in rows:
        print(row)
    result = {
        "model": arguments.model.rpartition("/")[2],
        "taps": len(pairs),
        "images": arguments.images,
        "calibration_images": arguments.calibration,
        "quantizer": "minmax",
        "rows": rows,
    }
    write_result(arguments.json, "pca before and after the activation", result)


if __name__ == "__main__":
    main()
