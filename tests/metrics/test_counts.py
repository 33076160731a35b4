from __future__ import annotations

import pytest

from mpeval.metrics.counts import close_count


@pytest.mark.parametrize(
    ("predicted", "true", "close"),
    [
        (0, 0, True),
        (1, 0, True),
        (2, 0, False),
        (17, 19, False),
        (18, 20, True),
        (17, 20, False),
        (37, 40, True),
        (36, 40, False),
    ],
)
def test_close_is_one_and_a_twentieth(predicted, true, close):
    assert close_count(predicted, true) is close
