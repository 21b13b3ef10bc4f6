from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Request(_message.Message):
    __slots__ = ("hello", "image")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    image: Image
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., image: _Optional[_Union[Image, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("split",)
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    split: str
    def __init__(self, split: _Optional[str] = ...) -> None: ...

class Image(_message.Message):
    __slots__ = ("id", "rung", "frames", "patience_ms")
    ID_FIELD_NUMBER: _ClassVar[int]
    RUNG_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    PATIENCE_MS_FIELD_NUMBER: _ClassVar[int]
    id: int
    rung: int
    frames: _containers.RepeatedScalarFieldContainer[bytes]
    patience_ms: int
    def __init__(self, id: _Optional[int] = ..., rung: _Optional[int] = ..., frames: _Optional[_Iterable[bytes]] = ..., patience_ms: _Optional[int] = ...) -> None: ...

class Reply(_message.Message):
    __slots__ = ("welcome", "output", "failure")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    output: Output
    failure: Failure
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., output: _Optional[_Union[Output, _Mapping]] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("window",)
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    window: int
    def __init__(self, window: _Optional[int] = ...) -> None: ...

class Output(_message.Message):
    __slots__ = ("id", "tensors", "waited_us", "run_us", "batch")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    WAITED_US_FIELD_NUMBER: _ClassVar[int]
    RUN_US_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    id: int
    tensors: _containers.RepeatedScalarFieldContainer[bytes]
    waited_us: int
    run_us: int
    batch: int
    def __init__(self, id: _Optional[int] = ..., tensors: _Optional[_Iterable[bytes]] = ..., waited_us: _Optional[int] = ..., run_us: _Optional[int] = ..., batch: _Optional[int] = ...) -> None: ...

class Failure(_message.Message):
    __slots__ = ("id", "kind", "text")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNSPECIFIED: _ClassVar[Failure.Kind]
        BAD_FRAME: _ClassVar[Failure.Kind]
        LATE: _ClassVar[Failure.Kind]
        INTERNAL: _ClassVar[Failure.Kind]
    UNSPECIFIED: Failure.Kind
    BAD_FRAME: Failure.Kind
    LATE: Failure.Kind
    INTERNAL: Failure.Kind
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    id: int
    kind: Failure.Kind
    text: str
    def __init__(self, id: _Optional[int] = ..., kind: _Optional[_Union[Failure.Kind, str]] = ..., text: _Optional[str] = ...) -> None: ...
