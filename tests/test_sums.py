import math
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fmapzip.sums import ExactSum

floats = st.floats(allow_nan=False, allow_infinity=False)


def of(values):
    total = ExactSum()
    for value in values:
        total.add(value)
    return total


@given(st.lists(floats))
@example([1e308, 1e308, -1e308])
@example([5e-324, -5e-324, 5e-324])
def test_the_value_is_the_true_sum_rounded_once(values):
    wanted = sum(map(Fraction, values), Fraction())
    try:
        assert of(values).value == float(wanted)
    except OverflowError:
        assert of(values).value == (math.inf if wanted > 0 else -math.inf)


@given(st.lists(st.floats()), st.randoms(), st.integers(1, 5))
def test_any_order_and_any_division_into_parts_give_the_same_text(values, random, parts):
    shuffled = random.sample(values, len(values))
    total = ExactSum()
    for part in range(parts):
        total.merge(ExactSum.of_text(of(shuffled[part::parts]).text))
    assert total.text == of(values).text


@pytest.mark.parametrize("text", ["", "1", "0x", "0x1", "0x1p", "0x1p9999", "0x1p-1075", "0xgp0", "0X1p0", "infinity"])
def test_other_texts_are_refused(text):
    with pytest.raises(ValueError, match="no sum"):
        ExactSum.of_text(text)
