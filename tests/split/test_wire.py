"""The generated messages are those of the declaration."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("google.protobuf")
protoc = pytest.importorskip("grpc_tools.protoc")

from fmapzip.split.wire import split_pb2

ROOT = Path(__file__).parent.parent.parent


def test_what_is_generated_is_of_the_declaration(tmp_path: Path) -> None:
    from google.protobuf import descriptor_pb2

    file = tmp_path / "set"
    source = "src/fmapzip/split/wire/split.proto"
    arguments = ["protoc", f"-I{ROOT / 'src'}", f"--descriptor_set_out={file}", str(ROOT / source)]
    assert protoc.main(arguments) == 0
    declared = descriptor_pb2.FileDescriptorSet.FromString(file.read_bytes()).file[0]
    for message in declared.message_type:
        for field in message.field:
            field.ClearField("json_name")  # which generated code leaves out
    generated = descriptor_pb2.FileDescriptorProto()
    split_pb2.DESCRIPTOR.CopyToProto(generated)
    assert generated == declared
