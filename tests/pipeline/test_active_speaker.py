"""Voice and words go to the one whose mouth moves with the sound, and to nobody where none does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmemo import Analyzer, EmotionResult, media
from mmemo.evidence import SAMPLE_RATE, Evidence, FaceEvidence, VoiceEvidence
from mmemo.faces import FaceFinder
from mmemo.media import Frame
from mmemo.pipeline.active_speaker import _FEW, ActiveSpeakerDetector, Decision, correlation
from mmemo.report.export.tables import rows
from mmemo.samples import portrait, speech

pytestmark = pytest.mark.slow

RATE = 15
SECONDS = 6.0


def level(sound: np.ndarray, times: np.ndarray) -> np.ndarray:
    """How loud the sound is around some times, 0 to 1."""
    half = SAMPLE_RATE // 30
    middle = np.round(times * SAMPLE_RATE).astype(int)
    loud = np.array([np.abs(sound[max(0, m - half) : m + half]).mean() if m < len(sound) else 0.0 for m in middle])
    return np.asarray(loud / loud.max())


def face(person: int, times: np.ndarray, gaps: np.ndarray) -> FaceEvidence:
    landmarks = np.zeros((len(times), 478, 3), np.float32)
    landmarks[:, [33, 133], 0], landmarks[:, [362, 263], 0] = -20.0, 20.0  # 40 px between the eyes
    landmarks[:, 14, 1] = 40 * gaps
    count = len(times)
    return FaceEvidence(
        person, times, np.zeros((count, 4, 4, 3), np.uint8), np.ones(count, np.float32), landmarks,
        np.zeros((count, 52), np.float32), np.zeros((count, 3), np.float32), np.zeros((count, 4), np.float32),
        (320, 240), 1.0,
    )  # fmt: skip


def search(mouths: dict[int, np.ndarray], sound: np.ndarray, seconds: float = SECONDS) -> ActiveSpeakerDetector:
    """Windows of 2 s, one a second, of people whose lips are ``mouths`` apart at each frame."""
    times = np.arange(round(seconds * RATE)) / RATE
    found = ActiveSpeakerDetector()
    for start in np.arange(0.0, seconds - 1.0):
        here = (times >= start) & (times < start + 2)
        part = sound[round(start * SAMPLE_RATE) : round((start + 2) * SAMPLE_RATE)]
        voice = VoiceEvidence(part, np.ones(len(part), bool), 1.0)
        for person, gaps in mouths.items():
            found.add(Evidence(float(start), float(start) + 2, face(person, times[here], gaps[here]), voice))
    return found


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    return np.resize(speech(), round(SECONDS * SAMPLE_RATE))


@pytest.fixture(scope="module")
def moved(sound: np.ndarray) -> np.ndarray:
    """A mouth that opens with the sound, a tenth of a second late, with the noise of landmarks."""
    times = np.arange(round(SECONDS * RATE)) / RATE
    return 0.2 * level(sound, np.maximum(times - 0.1, 0)) + np.random.default_rng(0).normal(0, 0.01, len(times))


def chewing(seed: int = 1) -> np.ndarray:
    times = np.arange(round(SECONDS * RATE)) / RATE
    return 0.1 + 0.1 * np.sin(2 * np.pi * 1.3 * times) + np.random.default_rng(seed).normal(0, 0.01, len(times))


def test_the_mouth_that_moves_with_the_sound_speaks(moved: np.ndarray, sound: np.ndarray) -> None:
    found = search({0: chewing(), 1: moved}, sound)
    assert set(found.decide().speakers.values()) == {1}
    assert len(found.decide().speakers) == len(found.voiced(1)) == 5


def test_where_no_mouth_moves_with_the_sound_nobody_in_view_speaks(sound: np.ndarray) -> None:
    still = np.random.default_rng(2).normal(0.1, 0.01, round(SECONDS * RATE))
    assert search({0: chewing(), 1: chewing(3), 2: still}, sound).decide().speakers == {}
    assert search({0: np.full(len(still), 0.1)}, sound).decide().speakers == {}


def test_one_alone_must_move_with_the_sound_too(moved: np.ndarray, sound: np.ndarray) -> None:
    assert set(search({7: moved}, sound).decide().speakers.values()) == {7}
    assert search({7: moved[::-1].copy()}, sound).decide().speakers == {}


def test_two_mouths_alike_are_not_decided(moved: np.ndarray, sound: np.ndarray) -> None:
    assert search({0: moved, 1: moved + 1e-4}, sound).decide().speakers == {}


def test_a_note_says_where_it_is_not_known_who_speaks(moved: np.ndarray, sound: np.ndarray) -> None:
    assert search({0: chewing(), 1: moved}, sound).decide().note() is None
    both = search({0: moved, 1: moved + 1e-4}, sound).decide().note()
    assert both is not None
    assert both.code == "unknown-speaker"
    assert "In 5 of 5 windows" in both.message
    assert "the mouths of several move with the sound (0.0 to 6.0 s)" in both.message
    twice = np.concatenate([sound, sound])
    unseen = {0: np.concatenate([moved, chewing(3)]), 1: np.concatenate([chewing(), chewing(5)])}
    later = search(unseen, twice, 2 * SECONDS).decide().note()
    assert later is not None
    assert later.code == "unknown-speaker"
    assert "several" not in later.message.split(":")[1]
    assert "no visible mouth moves with it" in later.message
    nobody = search({0: chewing()}, sound).decide().note()
    assert nobody is not None
    assert nobody.code == "unseen-speaker"
    assert search({0: chewing()[:75]}, sound, 5.0).decide().note() is None  # too few windows to say so
    few = Decision({}, dict.fromkeys([(0.0, 2.0), (1.0, 3.0), (5.0, 7.0)], _FEW), {(0.0, 2.0), (1.0, 3.0), (5.0, 7.0)})
    assert "too few frames show a mouth (0.0 to 3.0, 5.0 to 7.0 s)" in getattr(few.note(), "message", "")
    assert replace(few, crowded=set()).note() is None
    assert search({0: np.concatenate([moved, chewing(3)])}, twice, 2 * SECONDS).decide().note() is None


def test_too_few_frames_decide_nothing(moved: np.ndarray, sound: np.ndarray) -> None:
    found = ActiveSpeakerDetector()
    times = np.arange(20) / 10
    part = sound[: 2 * SAMPLE_RATE]
    found.add(Evidence(0.0, 2.0, face(0, times, level(sound, times)), VoiceEvidence(part, np.ones(len(part), bool), 1)))
    assert found.decide().speakers == {}
    assert len(found.voiced(0)) == 1


def test_without_a_voice_or_a_face_there_is_nothing_to_hear(moved: np.ndarray) -> None:
    found = ActiveSpeakerDetector()
    found.add(Evidence(0.0, 2.0, face(0, np.arange(30) / 15, moved[:30])))
    found.add(Evidence(0.0, 2.0, None, VoiceEvidence(np.ones(100, np.float32), np.ones(100, bool), 1.0)))
    assert found.decide().speakers == {}
    assert found.voiced(0) == []


def test_turns_are_told_apart(moved: np.ndarray, sound: np.ndarray) -> None:
    twice = np.concatenate([sound, sound])
    still = np.full(len(moved), 0.1) + np.random.default_rng(4).normal(0, 0.01, len(moved))
    mouths = {0: np.concatenate([moved, still]), 1: np.concatenate([still, moved])}
    said = search(mouths, twice, 2 * SECONDS).decide().speakers
    assert said[1.0, 3.0] == 0
    assert said[9.0, 11.0] == 1


def test_correlation_passes_over_what_is_not_known() -> None:
    one = np.array([1.0, 2.0, np.nan, 4.0])
    assert correlation(one, 2 * one) == pytest.approx(1)
    assert correlation(one, np.full(4, 3.0)) == 0
    assert correlation(np.array([1.0, np.nan, np.nan, 2.0]) * 1, np.arange(4.0) * np.nan) == 0


def open_mouth(image: np.ndarray, landmarks: np.ndarray, gap: float) -> np.ndarray:
    """The lower half of the face moved down by ``gap`` pixels at the lips, and the mouth dark."""
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    line, chin = landmarks[[13, 14], 1].mean(), landmarks[152, 1]
    half = np.linalg.norm(landmarks[308, :2] - landmarks[78, :2]) * 0.55
    side = np.clip(1 - ((columns - landmarks[13, 0]) / half) ** 2, 0, 1)
    fade = np.clip(1 - (rows - chin) / (0.6 * (chin - line)), 0, 1)
    below = rows > line
    shift = (gap * side * fade * below).astype(np.float32)
    opened = cv2.remap(image, columns, rows - shift, cv2.INTER_LINEAR)
    opened[below & (rows - shift < line)] = (60, 20, 20)
    return opened


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory, sound: np.ndarray, moved: np.ndarray) -> Path:
    """Two people side by side: the right one talks, the left one chews."""
    image = portrait()
    (found,) = FaceFinder().find(image)
    chewed = np.clip(chewing(), 0, None)

    def frames() -> Iterator[Frame]:
        for number, (left, right) in enumerate(zip(chewed, np.clip(moved, 0, None), strict=True)):
            pair = [open_mouth(image, found.landmarks, 60 * gap) for gap in (left, right)]
            yield Frame(number / RATE, np.concatenate(pair, axis=1))

    path = tmp_path_factory.mktemp("talking") / "two.mp4"
    media.write_video(path, frames(), sound, sample_rate=SAMPLE_RATE, rate=RATE)
    return path


def check_speaker(result: EmotionResult, place: float) -> None:
    """The one at ``place``, a share of the picture's width, speaks, and nobody else does."""
    speaks = min(result.people, key=lambda one: abs((one.box[0] + one.box[2]) / 2 - place))
    (silent,) = [one for one in result.people if one is not speaks]
    assert set(speaks.modalities) == {"face", "voice", "text"}
    assert set(silent.modalities) == {"face"}
    assert speaks.speaking is not None
    assert speaks.speaking > 0.5
    assert silent.speaking == 0
    assert all("voice" not in segment.modalities and "text" not in segment.modalities for segment in silent.segments)
    assert any(set(segment.modalities) == {"face", "voice", "text"} for segment in speaks.segments)
    assert speaks.id in {segment.speaker for segment in result.segments} <= {speaks.id, None}
    assert sum(one.weight or 0 for one in speaks.modalities.values()) == pytest.approx(1, abs=1e-3)
    assert {"voice", "text"} <= set(result.modalities)  # the clip as a whole keeps them
    again = EmotionResult.from_dict(result.to_dict())
    assert [(one.speaking, set(one.modalities)) for one in again.people] == [
        (pytest.approx(one.speaking, abs=1e-3), set(one.modalities)) for one in result.people
    ]
    pytest.importorskip("pandas", reason="needs the extra export")
    rows = [row for row in result.to_frame().to_dict("records") if row["person"] == silent.id]
    assert {row["modality"] for row in rows} == {"face"}


def test_a_made_clip_gives_the_voice_and_the_name_to_the_one_who_talks(
    talking: Path, analyzer: Analyzer, tmp_path: Path
) -> None:
    words = tmp_path / "words.srt"
    end = f"00:00:{int(SECONDS):02}"
    words.write_text(
        f"1\n00:00:00,000 --> {end},000\nANN: And you always want to see it in the superlative degree.\n\n"
        f"2\n00:00:00,500 --> 00:00:00,900\nBOB: I hate you!\n"
    )
    result = analyzer(talking, subtitles=words)
    check_speaker(result, 0.75)
    (speaks,) = [person for person in result.people if person.modalities.keys() > {"face"}]
    assert {person.name for person in result.people} == {"ANN", None}
    assert speaks.name == "ANN"
    assert "ANN is person" in {note.code: note.message for note in result.notes}["speaker-names"]
    # Hers are her own words alone, where the window has those of both.
    both, own = result.segments[0].modalities["text"], speaks.segments[0].modalities["text"]
    assert own.scores["anger"] < both.scores["anger"] - 0.05
    names = {row["person"]: row.get("name") for row in rows(result) if row["person"] is not None}
    assert names[speaks.id] == "ANN"


def test_a_voice_from_elsewhere_stays_with_the_clip(talking: Path, analyzer: Analyzer, tmp_path: Path) -> None:
    shifted = media.waveform(talking)
    shifted = np.concatenate([shifted[20_000:], shifted[:20_000]])
    path = tmp_path / "off.mp4"
    media.write_video(path, media.frames(talking), shifted, sample_rate=SAMPLE_RATE, rate=RATE)
    result = analyzer(path, text="It is a voice from elsewhere.")
    assert {"voice", "text"} <= set(result.modalities)
    for person in result.people:
        assert set(person.modalities) == {"face"}
        assert person.speaking == 0
        assert person.scores == pytest.approx(person.modalities["face"].scores, abs=1e-6)


@pytest.mark.data
def test_the_man_who_speaks_and_the_man_who_listens(shared_data: Path, analyzer: Analyzer) -> None:
    check_speaker(analyzer(shared_data / "av/misc/obama_speech.mp4"), 0.62)  # he stands right of the other
