from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmemo import media
from mmemo.pipeline import sound
from mmemo.pipeline.sound import ClipSound


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The file of each decoding that begins."""
    paths: list[Path] = []
    decode = media.waveform_blocks

    def counted(path: Path, *arguments: object, **options: object) -> object:
        paths.append(path)
        return decode(path, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(media, "waveform_blocks", counted)
    return paths


def test_blocks_are_decoded_once(clip: Path, decodings: list[Path]) -> None:
    span = ClipSound(clip, 0.5, 2.0)
    first, again = (np.concatenate(list(span.blocks())) for _ in range(2))
    np.testing.assert_array_equal(first, media.waveform(clip)[8_000:32_000])
    np.testing.assert_array_equal(again, first)
    assert decodings == [clip]
    assert span.damage.seconds >= 2.0


def test_what_is_too_long_to_keep_is_decoded_again(
    clip: Path, decodings: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sound, "KEPT", 1.0)
    span = ClipSound(clip)
    first, again = (np.concatenate(list(span.blocks())) for _ in range(2))
    np.testing.assert_array_equal(again, first)
    assert decodings == [clip, clip]


def test_a_reading_that_was_broken_off_is_not_kept(clip: Path) -> None:
    span = ClipSound(clip)
    next(span.blocks())
    assert len(np.concatenate(list(span.blocks()))) == len(media.waveform(clip))
