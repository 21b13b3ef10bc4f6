"""The ladder of plans: down when the link is slow, up when it recovers, and not to and fro."""

from __future__ import annotations

import itertools

import pytest

pytest.importorskip("torch")

from fmapzip.split.ladder import Ladder

SIZES = [100_000, 50_000, 25_000, 10_000]


def run(ladder: Ladder, rate: float, images: int, fixed: float = 0.01) -> list[int]:
    """Send images over a link of `rate` bytes a second; the rung of each."""
    used = []
    for _ in range(images):
        used.append(ladder.rung)
        size = SIZES[ladder.rung]
        ladder.observe(ladder.rung, size, size / rate + fixed, fixed)
    return used


def test_it_stays_where_the_target_is_kept() -> None:
    assert run(Ladder(SIZES, 0.2), 1e6, 50) == [0] * 50


def test_it_goes_down_at_once_to_a_rung_that_fits() -> None:
    assert run(Ladder(SIZES, 0.2), 0.2e6, 20) == [0] * 2 + [2] * 18


def test_it_goes_up_again_step_by_step_and_rests() -> None:
    ladder = Ladder(SIZES, 0.2)
    run(ladder, 0.2e6, 20)
    used = run(ladder, 2e6, 100)
    assert used[0] == 2
    assert used[-40:] == [0] * 40
    assert used == sorted(used, reverse=True)


@pytest.mark.parametrize("rate", [0.1e6, 0.2e6, 0.28e6, 0.4e6, 0.5e6, 0.7e6])
def test_a_steady_link_has_no_to_and_fro(rate: float) -> None:
    used = run(Ladder(SIZES, 0.2), rate, 200)
    assert sum(a != b for a, b in itertools.pairwise(used)) <= 2


def test_without_a_target_it_stays() -> None:
    ladder = Ladder(SIZES, None)
    assert run(ladder, 1e3, 20) == [0] * 20
    assert ladder.rate == pytest.approx(1e3)


def test_images_of_a_rung_that_was_left_do_not_count() -> None:
    ladder = Ladder(SIZES, 0.2)
    run(ladder, 0.2e6, 3)
    for _ in range(10):
        ladder.observe(0, SIZES[0], 3.0, 0.01)
    assert ladder.rung == 2


def test_a_rung_that_proved_too_slow_is_tried_ever_less_often() -> None:
    """Every image of the first rung is late, whatever the rate that the second one lets expect."""
    ladder = Ladder(SIZES[:2], 0.2)
    used = []
    for _ in range(400):
        used.append(ladder.rung)
        ladder.observe(ladder.rung, SIZES[ladder.rung], 0.5 if ladder.rung == 0 else 0.02, 0.0)
    assert used.count(0) <= 20
