"""Times as people read them."""

from __future__ import annotations

import pytest

from mmemo.report.style.clock import clock, length, ticks, unit


def test_times_and_lengths() -> None:
    assert (clock(7.46), clock(727.9)) == ("7.5 s", "12:07")
    assert (length(8.6), length(5400)) == ("8.6 s", "90:00 min")


@pytest.mark.parametrize(
    ("start", "duration", "first", "last"),
    [
        (0.0, 8.6, "0", "8"),
        (0.0, 2.0, "0.0", "2.0"),
        (61.5, 3.0, "61.5", "64.5"),
        (0.0, 5400.0, "0:00", "90:00"),
        (0.0, 40_000.0, "0:00", "600:00"),
    ],
)
def test_ticks_are_round_and_within(start: float, duration: float, first: str, last: str) -> None:
    found = ticks(start, duration)
    assert (found[0][1], found[-1][1]) == (first, last)
    assert 4 <= len(found) <= 13
    assert all(start - 1e-6 <= time <= start + duration + 1e-6 for time, _ in found)
    assert unit(duration) == ("minutes" if ":" in first else "seconds")
