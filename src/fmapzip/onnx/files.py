"""Reading ONNX files."""

from __future__ import annotations

from pathlib import Path

import onnx

from fmapzip.errors import InvalidInput


def read_model(file: Path, external: bool = True) -> onnx.ModelProto:
    """The model in a file.

    Parameters
    ----------
    file
        What it refers to (external data) lies beside it.
    external
        Whether to read that too.

    Raises
    ------
    InvalidInput
        There is no such file, or it is no ONNX file.
    """
    if not file.is_file():
        raise InvalidInput(f"no such file: {file}")
    try:
        return onnx.load(file, load_external_data=external)
    except Exception as error:  # of protobuf, of onnx, of the file system
        raise InvalidInput(
            f"{file}: not an ONNX file that can be read: {' '.join(str(error).split())[:200]}"
        ) from error
