"""Times as people read them."""

from __future__ import annotations

import pytest

from mmemo.report.style.clock import clock, length, ticks, timestamp, total, unit


def test_times_and_lengths() -> None:
    assert (clock(7.46), clock(727.9)) == ("7.5 s", "12:07")
    assert (timestamp(7.46), timestamp(727.0)) == ("0:07.5", "12:07.0")
    assert (length(8.6), length(5400)) == ("8.6 s", "90:00 min")
    assert (total(185.2), total(43385)) == ("3:05 min", "12:03:05 h")


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
    times = ticks(start, duration)
    assert (times[0][1], times[-1][1]) == (first, last)
    assert 4 <= len(times) <= 13
    assert all(start - 1e-6 <= time <= start + duration + 1e-6 for time, _ in times)
    assert unit(duration) == ("minutes" if ":" in first else "seconds")
