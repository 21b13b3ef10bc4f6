"""Threads: running out of memory or of threads is an exception or slower, never the end of the process."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest

import fmapzip
from fmapzip import _core
from fmapzip.errors import InvalidInput

SETUP = """
import resource, sys
import numpy as np, fmapzip

def limit_memory(megabytes):
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + int(megabytes * 2**20),) * 2)
"""


def run(script: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SETUP + textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
@pytest.mark.parametrize("codec", ["dct-cm", "context-rans"])
@pytest.mark.parametrize("megabytes", [0.5, 6, 20, 40])
def test_out_of_memory_in_a_worker_is_a_memory_error(codec: str, megabytes: float) -> None:
    out = run(
        """
        codec, megabytes = sys.argv[1], float(sys.argv[2])
        q = np.random.default_rng(0).integers(0, 4, (64, 512, 256)).astype(np.uint8)
        settings = {"path": "mask"} if codec == "dct-cm" else {"level": "fast"}
        frame = fmapzip.encode(q, codec, **settings)
        result = np.empty_like(q)
        limit_memory(megabytes)
        for work in (lambda: fmapzip.encode(q, codec, threads=4, **settings),
                     lambda: fmapzip.decode(frame, result, threads=4)):
            try:
                work()
                print("done")
            except MemoryError:
                print("MemoryError")
        """,
        codec,
        megabytes,
    )
    assert set(out.split()) <= {"done", "MemoryError"}
    if megabytes == 0.5:
        assert out.split()[0] == "MemoryError"


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
def test_threads_that_cannot_be_started_are_done_without() -> None:
    out = run(
        """
        q = np.random.default_rng(0).integers(0, 2, (64, 128, 64)).astype(np.uint8)
        frame = fmapzip.encode(q, "zvc")
        limit_memory(5)  # less than a thread's stack
        assert fmapzip.encode(q, "zvc", threads=16) == frame
        assert (fmapzip.decode(frame, threads=16) == q).all()
        print("same")
        """
    )
    assert out.split() == ["same"]


def test_scratch_is_by_work_and_not_by_thread_count() -> None:
    out = run(
        """
        q = np.zeros((64, 128, 64), np.uint8)
        frame = fmapzip.encode(q, "zvc", threads=2)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert fmapzip.encode(q, "zvc", threads=10**7) == frame
        assert (fmapzip.decode(frame, threads=10**7) == q).all()
        assert (fmapzip.decode_batch(frame + frame, threads=10**7) == q).all()
        assert fmapzip.encode_batch(np.stack([q, q]), "zvc", threads=10**7) == [frame, frame]
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        """
    )
    assert int(out) < 64 << 10  # kilobytes


@pytest.mark.parametrize("threads", [0, -1, 2**31, 2**64, 1.0])
def test_thread_counts_out_of_range_are_named(threads: int) -> None:
    q = np.zeros((1, 2, 2), np.uint8)
    frame = fmapzip.encode(q)
    for work in (
        lambda: fmapzip.encode(q, threads=threads),
        lambda: fmapzip.encode_batch(q[None], threads=threads),
        lambda: fmapzip.decode(frame, threads=threads),
        lambda: fmapzip.decode_batch(frame, threads=threads),
    ):
        with pytest.raises(InvalidInput, match="threads"):
            work()


def test_a_batch_of_none_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        _core.decode_batch_into([None], np.zeros((1, 2, 2, 2), np.uint8), [None], 1)  # type: ignore[list-item]
