"""ONNX files of networks that are here as PyTorch modules too: by torch.onnx, and by ONNX Runtime's `quantize_static`.

    python benchmarks/onnx_exports.py path/to/nets.py path/to/imagenet200 --work runs
    fmapzip eval runs/efficientnet_lite0.onnx path/to/imagenet200 --preprocess imagenet --json runs/lite0_onnx.json

Writes `demo.onnx`, `efficientnet_lite0.onnx` and, calibrated on rows 0, 25, 50, ..., `efficientnet_lite0_qdq.onnx`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from onnxruntime import quantization

from fmapzip.eval.loading import Batches
from fmapzip.eval.models import load_model
from fmapzip.eval.request import Request, load

CALIBRATION_EVERY = 25


class Images(quantization.CalibrationDataReader):  # type: ignore[misc, unused-ignore]
    """Feeds calibration images, one by one."""

    def __init__(self, name: str, images: list[Any]) -> None:
        self._name, self._left = name, images

    def get_next(self) -> dict[str, Any] | None:
        return {self._name: self._left.pop()} if self._left else None


def exported(net: torch.nn.Module, shape: tuple[int, ...], path: Path) -> None:
    """Write a network with its first dimension open."""
    shapes = ({0: torch.export.Dim("batch")},)
    torch.onnx.export(net, (torch.randn(2, *shape),), path, dynamo=True, dynamic_shapes=shapes, input_names=["image"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets")
    parser.add_argument("data")
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    work: Path = arguments.work
    work.mkdir(parents=True, exist_ok=True)
    exported(load_model("demo"), (1, 32, 32), work / "demo.onnx")
    name = "efficientnet_lite0"
    inputs = load(Request(f"{arguments.nets}:{name}", arguments.data, preprocess="imagenet", torch_threads=1))
    exported(inputs.model, (3, 224, 224), work / f"{name}.onnx")
    chosen = inputs.parts.calibration.select(range(0, len(inputs.parts.calibration), CALIBRATION_EVERY // 5))
    images = [batch.numpy() for batch, _ in Batches(chosen, 1)]
    quantization.quantize_static(
        work / f"{name}.onnx",
        work / f"{name}_qdq.onnx",
        Images("image", images),
        activation_type=quantization.QuantType.QUInt8,
    )


if __name__ == "__main__":
    main()
