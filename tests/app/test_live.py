from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

import mmemo
from mmemo import Analyzer
from mmemo.app.live import decode_frame, decode_sound, push_message
from mmemo.errors import ArgumentError
from mmemo.samples import portrait, speech


@pytest.mark.slow
def test_what_the_page_sends_is_scored(analyzer: Analyzer) -> None:
    face = cv2.cvtColor(cv2.resize(portrait(), (120, 120)), cv2.COLOR_RGB2RGBA)
    samples = np.repeat(speech(), 3)  # at 48 kHz, as browsers record
    silent = Analyzer(analyzer.model, transcriber=None)
    with mmemo.stream(analyzer=silent, realtime=False) as session:
        push_message(session, struct.pack("<BxHH", 0, 120, 120) + face.tobytes())
        (update,) = session.poll()
        assert update.people[0].label == "happiness"
        for first in range(0, len(samples), 24_000):  # each comes at once, so half a second before the one before ends
            push_message(session, struct.pack("<BxxxI", 1, 48_000) + samples[first : first + 24_000].tobytes())
        assert any("voice" in update.modalities for update in session.poll())


def test_frames_as_they_are_sent() -> None:
    pixels = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    assert np.array_equal(decode_frame(struct.pack("<BxHH", 0, 3, 2) + pixels.tobytes()), pixels[:, :, :3])
    for message in (b"", b"\2" * 30, struct.pack("<BxHH", 0, 3, 2), struct.pack("<BxHH", 0, 0, 2)):
        with pytest.raises(ArgumentError, match="live frame"):
            decode_frame(message)
    with pytest.raises(ArgumentError, match="live frame"):
        decode_frame(struct.pack("<BxHH", 0, 9999, 9999))


def test_sound_as_it_is_sent() -> None:
    samples, rate = decode_sound(struct.pack("<BxxxI3f", 1, 44_100, 0.5, float("nan"), -0.5))
    assert samples.tolist() == [0.5, 0.0, -0.5]
    assert rate == 44_100
    for message in (b"\1", struct.pack("<BxxxI", 1, 44_100), struct.pack("<BxxxI3s", 1, 44_100, b"abc")):
        with pytest.raises(ArgumentError, match="Live sound"):
            decode_sound(message)
