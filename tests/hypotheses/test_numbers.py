"""Numbers in sentences: no leading zero, and no other zero is lost."""

from __future__ import annotations

import pytest

from neuronull.hypotheses.numbers import plain_number


@pytest.mark.parametrize(
    ("value", "keywords", "text"),
    [
        (0.05, {}, ".05"),
        (-0.05, {}, "-.05"),
        (10.05, {"sign": True}, "+10.05"),
        (10.05, {"decimals": 2, "sign": True}, "+10.05"),
        (-10.05, {"sign": True}, "-10.05"),
        (100.0, {}, "100"),
        (20.0, {"decimals": 1}, "20.0"),
        (0.0, {}, "0"),
        (0.0, {"decimals": 2}, ".00"),
        (0.125, {"decimals": 2, "sign": True}, "+.12"),
        (1e-7, {}, "1e-07"),
        (1234567.0, {}, "1.23457e+06"),
    ],
)
def test_a_number_is_told_in_house_style(value, keywords, text):
    assert plain_number(value, **keywords) == text
    assert float(text) == pytest.approx(value, abs=0.00501, rel=1e-5)
