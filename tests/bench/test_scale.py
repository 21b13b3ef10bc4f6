"""The schedule of shards that benchmarks/scale_schedule.py makes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark_scripts import script
from fmapzip.eval.shard_rows import shard_rows

SCHEDULE = script("scale_schedule")
makespan, shard_seconds = SCHEDULE.makespan, SCHEDULE.shard_seconds

STAGES = {"start": 3.0, "calibration": 0.5, "batch": 0.25, "finish": 0.1, "merge": 0.01, "merge_start": 2.0}


@given(st.integers(1, 500), st.integers(1, 9), st.integers(1, 40))
def test_shards_are_ranges_that_have_every_image_once_and_whole_batches(images, batch, count):
    parts = [shard_rows(images, batch, (i, count)) for i in range(count)]
    assert [row for rows, _ in parts for row in rows] == list(range(images))
    assert all(rows.start % batch == 0 and -(-len(rows) // batch) == batches for rows, batches in parts if len(rows))
    assert len(parts[0][0]) > 0
    assert max(batches for _, batches in parts) - min(batches for _, batches in parts) <= 1


def test_one_core_does_all_shards_one_after_the_other():
    work, merge = makespan(STAGES, images=100, batch=4, shards=5, cores=1, calibration_images=16)
    assert work == pytest.approx(5 * shard_seconds(STAGES, 5, 16))
    assert merge == pytest.approx(2.05)


@given(st.integers(1, 3000), st.integers(1, 60), st.integers(1, 30))
def test_no_core_waits_while_shards_are_left(images, shards, cores):
    work, _ = makespan(STAGES, images, 4, shards, cores)
    each = [shard_seconds(STAGES, shard_rows(images, 4, (i, shards))[1]) for i in range(shards)]
    assert max(*each, sum(each) / cores) <= work + 1e-6
    assert work <= sum(each) / cores + max(each) + 1e-6
