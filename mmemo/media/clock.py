"""Time that goes on where the timestamps of a file start again, as in MPEG-TS files that were joined."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmemo.evidence import Seconds

_BACK: Seconds = 0.5
_AHEAD: Seconds = 10.0
"""A timestamp that steps further is another clock. FFmpeg's tools use the same 10 s."""
_TOGETHER: Seconds = 1.0
"""Streams whose clocks change by the same to within this change together, so that they stay in step."""


def continued(packets: Iterator[Any]) -> Iterator[Any]:
    """The packets of all streams of a file, their timestamps shifted so that each stream's go on without a jump."""
    last: dict[int, tuple[Seconds, Seconds]] = {}
    shifts: dict[int, Seconds] = {}
    newest = 0.0
    for packet in packets:
        stamp = packet.pts if packet.dts is None else packet.dts
        if stamp is None or packet.time_base is None:
            yield packet
            continue
        time, stream = float(stamp * packet.time_base), packet.stream
        shift = shifts.get(stream.index, newest)
        if stream.type in ("video", "audio"):
            length = float((packet.duration or 0) * packet.time_base)
            if stream.index in last:
                before, step = last[stream.index]
                if not before - _BACK <= time + shift <= before + step + _AHEAD:
                    shift = before + step - time
                    if abs(newest - shift) >= _TOGETHER:  # the first stream that jumps goes on after all have ended
                        newest = max(sum(end) for end in last.values()) - time
                    shift = newest
                length = length or time + shift - before  # not every packet states its length
            last[stream.index] = time + shift, length
            shifts[stream.index] = shift
        ticks = round(shift / packet.time_base)
        if ticks:
            packet.pts = None if packet.pts is None else packet.pts + ticks
            packet.dts = None if packet.dts is None else packet.dts + ticks
        yield packet
