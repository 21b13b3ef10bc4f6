"""Data at URLs: in memory, on the local disk, and on a server that speaks S3."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

fsspec = pytest.importorskip("fsspec")
pytest.importorskip("upath")
Image = pytest.importorskip("PIL.Image")

from fmapzip.errors import InvalidInput, MissingExtra
from fmapzip.eval.data import load_data
from fmapzip.eval.preprocess import Preprocessing
from fmapzip.eval.split import split

NONE = Preprocessing("none")
PIXELS = [np.full((4, 5, 3), i, np.uint8) for i in range(4)]
Put = Callable[[str, bytes], None]


def png(pixels: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def array(values: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def webdataset() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for i, pixels in enumerate(PIXELS):
            for name, data in ((f"{i}.png", png(pixels)), (f"{i}.cls", str(i + 7).encode())):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return file.getvalue()


def check_all(url: str, put: Put) -> None:
    """That every form of data is read at a URL."""
    for i, pixels in enumerate(PIXELS):
        put(f"classes/{i + 3}/{i}.png", png(pixels))
        put(f"listed/{i}.png", png(pixels))
        put(f"alone/{i}.npy", array(pixels))
    put("listed/labels.csv", "".join(["file,label\n", *(f"{i}.png,{i}\n" for i in range(4))]).encode())
    put("tars/a-000.tar", webdataset())
    wanted = {"classes": [3, 4, 5, 6], "listed": [0, 1, 2, 3], "alone": None, "tars": [7, 8, 9, 10],
              "tars/a-000.tar": [7, 8, 9, 10], "tars/a-*.tar": [7, 8, 9, 10]}  # fmt: skip
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        pass
    else:
        file = io.BytesIO()
        pq.write_table(pa.table({"image": [png(x) for x in PIXELS], "label": [1, 2, 3, 4]}), file, row_group_size=3)
        put("table/data/train-00000-of-00001.parquet", file.getvalue())
        wanted["table"] = [1, 2, 3, 4]
    for name, labels in wanted.items():
        data = load_data(f"{url}/{name}", NONE)
        assert (None if data.labels is None else data.labels.tolist()) == labels, name
        for i in (3, 0, 2, 1):
            np.testing.assert_allclose(data.read(i), np.full((3, 4, 5), i / 255), rtol=1e-6)
    assert len(split(data, f"{url}/classes", NONE).calibration) == 4
    with pytest.raises(InvalidInput, match="no such directory"):
        load_data(f"{url}/nothing", NONE)
    put("broken/a.tar", webdataset()[:700])
    with pytest.raises(InvalidInput, match="broken"):
        load_data(f"{url}/broken", NONE)
    put("arrays.npz", b"")
    with pytest.raises(InvalidInput, match="arrays are read from a local disk"):
        load_data(f"{url}/arrays.npz", NONE)


def test_in_memory() -> None:
    files = fsspec.filesystem("memory")
    check_all("memory://test-places", lambda name, data: files.pipe(f"/test-places/{name}", data))
    files.rm("/test-places", recursive=True)


def test_a_url_of_a_local_file_is_its_path(tmp_path: Path) -> None:
    np.save(tmp_path / "a b.npy", np.zeros((2, 3, 4, 4), np.float32))
    assert len(load_data((tmp_path / "a b.npy").as_uri())) == 2


def test_what_a_url_needs_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"nonsense://x: .*nonsense"):
        load_data("nonsense://x")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket's URL, on a server of this machine."""
    server = pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "x"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    running.start()
    host, port = running.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    fsspec.filesystem("s3", skip_instance_cache=True).mkdir("bucket")
    yield "s3://bucket"
    running.stop()


def test_on_a_server_that_speaks_s3(server: str) -> None:
    files = fsspec.filesystem("s3")

    def put(name: str, data: bytes) -> None:
        files.pipe(f"bucket/{name}", data)
        files.invalidate_cache()

    check_all(server, put)


def test_a_protocol_whose_package_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from fsspec.registry import known_implementations

    monkeypatch.setitem(known_implementations, "there", {"class": "no_such_module.There", "err": "install it"})
    with pytest.raises(MissingExtra, match="there://x: install it"):
        load_data("there://x")
