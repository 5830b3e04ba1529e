"""From a video file to its micro-expressions; the sequences are made, the face is real."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

import mmemo
from mmemo import media
from mmemo.cli import main
from mmemo.errors import ArgumentError, MissingStreamError
from mmemo.media import Frame
from mmemo.micro.spot import MicroResult, flow_between, spot_frames
from mmemo.report.html.page import page
from mmemo.samples import make_clip, portrait
from mmemo.testing import MadeSequence, Movement, Unrest, brow_raise

pytestmark = pytest.mark.slow

SECONDS = 3.0
TRUE = (1.3, 1.45, 1.65)
QUIET = Unrest(sway=1.0, turn=0.5, shake=0.2, noise=1.0)


def made(strength: float = 1.5, unrest: Unrest = QUIET, rate: float = 50.0, seed: int = 0) -> MadeSequence:
    movements = [Movement(*TRUE, brow_raise(strength))] if strength else []
    return MadeSequence(portrait(), movements, unrest, seconds=SECONDS, rate=rate, seed=seed)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raise of the brows of 1.5 pixels and 0.35 s, at 50 frames a second."""
    return media.write_video(tmp_path_factory.mktemp("micro") / "brows.mp4", made(), rate=50)


@pytest.fixture(scope="module")
def result(clip: Path) -> MicroResult:
    return mmemo.spot_micro(clip)


def test_it_is_found_in_a_file(result: MicroResult) -> None:
    (one,) = result.expressions
    assert one.region == "brows"
    assert (one.onset, one.apex, one.offset) == pytest.approx(TRUE, abs=0.06)
    assert (one.onset_frame, one.apex_frame, one.offset_frame) == tuple(
        round(time * 50) for time in (one.onset, one.apex, one.offset)
    )
    assert 0.8 < one.strength < 1.8  # of 1.5; the codec takes some of it
    assert one.label == "surprise"
    assert sum(one.scores.values()) == pytest.approx(1)
    assert result.frame_rate == pytest.approx(50)
    assert result.notes == ()


def test_numbers_and_words_of_it(result: MicroResult, monkeypatch: pytest.MonkeyPatch) -> None:
    told = json.loads(result.to_json())
    assert told["micro_expressions"][0]["label"] == "surprise"
    assert told["micro_expressions"][0]["apex"] == pytest.approx(TRUE[1], abs=0.06)


def test_magnified_it_is_the_same_movement(clip: Path, result: MicroResult) -> None:
    (one,) = mmemo.spot_micro(clip, magnification=3.0).expressions
    assert one.strength == result.expressions[0].strength
    assert one.label == "surprise"
    (bare,) = mmemo.spot_micro(clip, recognizer=None).expressions
    assert bare.scores is None
    assert bare.label is None


def test_a_span_keeps_the_files_times(clip: Path) -> None:
    (one,) = mmemo.spot_micro(clip, 0.5, 2.6, recognizer=None).expressions
    assert one.apex == pytest.approx(TRUE[1], abs=0.06)


@pytest.mark.parametrize("seed", [1, 2])
def test_ordinary_motion_is_none(seed: int) -> None:
    """The head sways, the camera shakes, the eyes blink twice a second."""
    sequence = made(0.0, Unrest(sway=3.0, turn=2.0, shake=0.4, blinks=2.0, noise=1.5), seed=seed)
    assert sequence.blinks
    _, found, _ = spot_frames(sequence.between)
    assert found == ()


def with_pictures(change: Callable[[list[Frame]], list[Frame]]) -> tuple[float, tuple[object, ...], set[str]]:
    pictures = change(list(made(2.0)))

    def read(start: float, end: float | None) -> list[Frame]:
        return [one for one in pictures if one.time >= start and (end is None or one.time < end)]

    rate, found, notes = spot_frames(read)  # type: ignore[arg-type]
    return rate, found, {note.code for note in notes}


def test_a_cut_inside_an_expression_ends_it() -> None:
    def change(pictures: list[Frame]) -> list[Frame]:
        return [
            one if one.time < TRUE[1] else Frame(one.time, np.roll(255 - one.image, 90, axis=1), one.number)
            for one in pictures
        ]

    assert with_pictures(change)[1] == ()


def test_a_face_lost_midway_is_not_followed_across() -> None:
    def change(pictures: list[Frame]) -> list[Frame]:
        wall = np.full_like(pictures[0].image, 120)
        return [Frame(one.time, wall, one.number) if 1.4 < one.time < 2.0 else one for one in pictures]

    assert with_pictures(change)[1] == ()


def test_repeated_pictures_do_not_hide_or_invent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A screen recording shows each picture of a 25 Hz video twice; at 10 Hz nothing is told."""

    def every(step: int) -> Callable[[list[Frame]], list[Frame]]:
        return lambda shown: [Frame(one.time, shown[i // step * step].image, one.number) for i, one in enumerate(shown)]

    rate, found, notes = with_pictures(every(2))
    assert rate == pytest.approx(25, rel=0.05)
    assert len(found) == 1
    assert notes == {"repeated-frames", "low-frame-rate"}
    rate, found, notes = with_pictures(every(5))
    assert rate == pytest.approx(10, rel=0.05)
    assert found == ()
    assert notes == {"repeated-frames", "frame-rate-too-low"}


def test_too_few_frames_are_told() -> None:
    _, found, notes = with_pictures(lambda shown: shown[:20])
    assert found == ()
    assert notes == {"too-short"}


def test_a_small_face_is_told() -> None:
    small = cv2.copyMakeBorder(cv2.resize(portrait(), (100, 100)), 50, 50, 50, 50, cv2.BORDER_REPLICATE)
    sequence = MadeSequence(small, [], QUIET, seconds=1.2, rate=50)
    _, _, notes = spot_frames(sequence.between)
    assert [note.code for note in notes] == ["small-face"]


def test_nobody_there(tmp_path: Path) -> None:
    result = mmemo.spot_micro(make_clip(tmp_path / "wall.mp4", faces=0, sound=None, seconds=0.6))
    assert result.expressions == ()
    assert [note.code for note in result.notes] == ["no-face"]


def test_what_is_no_video(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(MissingStreamError, match="no moving picture"):
        mmemo.spot_micro(make_clip(tmp_path / "sound.wav", picture=False, seconds=0.5))
    with pytest.raises(ArgumentError, match="start"):
        mmemo.spot_micro(clip, 9.0)
    with pytest.raises(ArgumentError, match="magnification"):
        mmemo.spot_micro(clip, magnification=-1)


def test_flow_of_own_clips(clip: Path) -> None:
    image = flow_between(clip, TRUE[0], TRUE[1])
    assert image.shape == (3, 28, 28)
    assert np.unravel_index(image[1].argmin(), image[1].shape)[0] < 10  # the brows go up
    with pytest.raises(MissingStreamError, match="no face"):
        flow_between(clip, 1.0, 9.0)


def test_the_command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], clip: Path) -> None:
    def call(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["mmemo", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        return capsys.readouterr().out

    told = call("micro", clip)
    assert "brows" in told
    assert "surprise" in told
    assert json.loads(call("micro", clip, "--json", "--end", "1.2"))["micro_expressions"] == []
    assert "No micro-expression" in call("micro", clip, "--end", "1.2")


def test_in_the_result(clip: Path) -> None:
    analyzed = mmemo.Analyzer(modalities=("face",), micro=True)(clip)
    assert analyzed.micro_expressions is not None
    (one,) = analyzed.micro_expressions
    assert one.region == "brows"
    assert analyzed.to_dict()["micro_expressions"][0]["label"] == "surprise"
    assert "micro-expression, 1." in page(analyzed)
    assert "<td>brows</td>" in page(analyzed)
    rows = analyzed.to_frame()
    (row,) = rows[rows["what"] == "micro"].to_dict("records")
    assert (row["label"], row["start"]) == ("surprise", one.onset)


def test_a_result_without_motion_says_so(analyzer: mmemo.Analyzer) -> None:
    told = mmemo.Analyzer(model=analyzer.model, modalities=("text",), micro=True)(text="What a day.")
    assert told.micro_expressions is None
    assert "no-motion" in {note.code for note in told.notes}
    assert analyzer(text="What a day.").to_dict()["micro_expressions"] is None
