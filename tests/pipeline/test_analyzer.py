"""The whole way, with the embedded models: what is there is scored, what is not is told."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import signal
import threading
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import mmemo
from mmemo import Analyzer, Clip, EmotionModel, EmotionResult, media
from mmemo.errors import ArgumentError, MediaError, MissingStreamError, TranscriptError, UnknownModelError, WeightsError
from mmemo.files import MARK
from mmemo.fusion.late import LateFusion
from mmemo.labels import EKMAN7
from mmemo.media import sound as media_sound
from mmemo.media import write_video
from mmemo.model import FUSION
from mmemo.pipeline.prefetch import Prefetcher
from mmemo.pretrained import MODELS
from mmemo.samples import SPEECH_TEXT, make_clip, portrait, sound, speech
from mmemo.speech.recognition import WhisperTranscriber
from mmemo.testing import TinyEncoder

pytestmark = pytest.mark.slow


def codes(result: EmotionResult) -> set[str]:
    return {note.code for note in result.notes}


class TestWhatIsThere:
    def test_a_smiling_face_and_a_voice(self, analyzer: Analyzer, clip: Path) -> None:
        result = analyzer(clip, text=SPEECH_TEXT)
        assert set(result.modalities) == {"face", "voice", "text"}
        assert result.modalities["face"].label == "happiness"
        assert result.modalities["face"].coverage > 0.95
        assert result.modalities["voice"].coverage > 0.5
        assert result.transcript is not None
        assert result.transcript.source == "given"
        assert sum(result.scores.values()) == pytest.approx(1)
        assert tuple(result.scores) == EKMAN7.labels
        assert [(segment.start, segment.end) for segment in result.segments] == [
            (0.0, 2.0),
            (1.0, pytest.approx(3.0, abs=0.1)),
        ]
        assert [person.id for person in result.people] == [0]
        assert sum(said.weight or 0 for said in result.modalities.values()) == pytest.approx(1)

    def test_one_modality_alone_is_its_own_fusion(self, analyzer: Analyzer, clip: Path) -> None:
        result = Analyzer(analyzer.model, modalities=("face",))(clip)
        assert set(result.modalities) >= {"face"}
        face = Analyzer(modalities=("face",))(clip)
        assert face.scores == pytest.approx(face.modalities["face"].scores)
        assert set(face.modalities) == {"face"}

    def test_a_still_image(self, analyzer: Analyzer, tmp_path: Path) -> None:
        import cv2

        path = tmp_path / "face.png"
        cv2.imwrite(str(path), portrait()[:, :, ::-1])
        result = analyzer(path)
        assert set(result.modalities) == {"face"}
        assert result.label == "happiness"
        assert result.duration == 0
        assert len(result.segments) == 1
        assert codes(result) == set()

    def test_sound_alone(self, analyzer: Analyzer, tmp_path: Path) -> None:
        path = write_video(tmp_path / "voice.wav", None, sound("speech", 3.0))
        result = analyzer(path)
        assert "voice" in result.modalities
        assert "face" not in result.modalities
        assert "no-video" in codes(result)

    def test_text_alone(self, analyzer: Analyzer) -> None:
        result = analyzer(text="I am so happy, this is wonderful!")
        assert set(result.modalities) == {"text"}
        assert result.label == "happiness"
        assert result.source is None

    def test_two_people(self, analyzer: Analyzer, tmp_path: Path) -> None:
        path = make_clip(tmp_path / "two.mp4", faces=2, size=(480, 240), sound=None, cut=1.2, seconds=2.0)
        result = analyzer(path)
        assert len(result.people) == 2  # after the cut too, which mirrors the picture, and so makes each the other
        assert all(0 <= side <= 1 for person in result.people for side in person.box)
        left, right = result.people[:2]
        assert abs(left.box[0] - right.box[0]) > 0.2

    def test_a_span_of_a_file(self, analyzer: Analyzer, clip: Path) -> None:
        result = analyzer(Clip(clip, 1.0, 2.5))
        assert (result.segments[0].start, result.segments[-1].end) == (1.0, 2.5)
        assert result.duration == pytest.approx(1.5)

    def test_words_beside_a_clip_without_any(self, analyzer: Analyzer, clip: Path) -> None:
        result = analyzer(Clip(clip, 0.0, 1.0), text="One.")
        assert result.duration == 1.0
        assert result.transcript is not None
        assert result.transcript.text == "One."

    def test_the_sound_is_decoded_once(self, analyzer: Analyzer, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("faster_whisper", reason="needs the extra asr")
        decode, frames = media_sound.decode, []

        def counted(*arguments: Any) -> Iterator[Any]:
            for frame in decode(*arguments):
                frames.append(frame)
                yield frame

        monkeypatch.setattr(media_sound, "decode", counted)
        once = len(media.waveform(clip)) and len(frames)
        frames.clear()
        result = Analyzer(analyzer.model, prosody=True)(clip)
        assert {"voice", "text"} <= set(result.modalities)
        assert result.prosody is not None
        assert len(frames) == once > 10

    def test_a_sidecar_gives_the_words(self, analyzer: Analyzer, tmp_path: Path) -> None:
        path = make_clip(tmp_path / "clip.mp4", seconds=2.0)
        (tmp_path / "clip.srt").write_text("1\n00:00:00,200 --> 00:00:01,900\nI hate this, it makes me furious!\n")
        result = analyzer(path)
        assert result.transcript is not None
        assert (result.transcript.source, result.transcript.detail) == ("sidecar", "clip.srt")
        assert result.modalities["text"].label == "anger"

    def test_words_are_recognised(self, analyzer: Analyzer, clip: Path) -> None:
        pytest.importorskip("faster_whisper", reason="needs the extra asr")
        result = analyzer(clip)
        assert result.transcript is not None
        assert result.transcript.source == "recognition"
        assert "always want to see" in result.transcript.text

    def test_a_model_of_ones_own(self, clip: Path) -> None:
        model = EmotionModel([TinyEncoder()], LateFusion(EKMAN7, {"text": 1.0}))
        assert set(mmemo.analyze(clip, text="hello", model=model).modalities) == {"text"}

    def test_the_order_of_clips_does_not_matter(self, analyzer: Analyzer, clip: Path) -> None:
        first = analyzer(clip, text="hello")
        analyzer(text="something else")
        assert analyzer(clip, text="hello").scores == pytest.approx(first.scores, abs=1e-5)

    def test_progress_reaches_one(self, analyzer: Analyzer, clip: Path) -> None:
        seen: list[float] = []
        analyzer(clip, text="hello", progress=seen.append)
        assert seen == sorted(seen)
        assert seen[-1] == 1.0


class TestWhatIsMissing:
    def test_silence_is_an_absent_voice(self, analyzer: Analyzer, tmp_path: Path) -> None:
        result = analyzer(make_clip(tmp_path / "silent.mp4", sound="silence"))
        assert set(result.modalities) == {"face"}
        assert "silent-audio" in codes(result)

    @pytest.mark.parametrize("kind", ["noise", "tone"])
    def test_sound_without_speech_is_an_absent_voice(self, analyzer: Analyzer, tmp_path: Path, kind: str) -> None:
        result = analyzer(make_clip(tmp_path / f"{kind}.mp4", sound=kind))  # type: ignore[arg-type]
        assert "voice" not in result.modalities
        assert codes(result) & {"no-speech", "quiet-audio"}

    def test_no_sound_track(self, analyzer: Analyzer, tmp_path: Path) -> None:
        result = analyzer(make_clip(tmp_path / "mute.mp4", sound=None))
        assert set(result.modalities) == {"face"}
        assert "no-audio" in codes(result)

    def test_a_wall_that_speaks(self, analyzer: Analyzer, tmp_path: Path) -> None:
        result = analyzer(make_clip(tmp_path / "wall.mp4", faces=0))
        assert "face" not in result.modalities
        assert "no-face" in codes(result)
        assert result.people == ()

    def test_nothing_at_all(self, analyzer: Analyzer, tmp_path: Path) -> None:
        path = make_clip(tmp_path / "nothing.mp4", faces=0, sound="silence")
        with pytest.raises(MissingStreamError, match=r"looked for: face, voice, text\..*digital silence.*No face"):
            analyzer(path)

    def test_words_of_another_language_are_not_scored(self, analyzer: Analyzer, clip: Path) -> None:
        result = analyzer(clip, text="昨日は本当に楽しかったです")
        assert "text" not in result.modalities
        assert "unsupported-text" in codes(result)

    def test_a_gap_is_no_segment(self, analyzer: Analyzer, tmp_path: Path) -> None:
        voice = np.concatenate([sound("speech", 2.5), sound("silence", 6.0)])
        path = write_video(tmp_path / "gap.wav", None, voice)
        result = Analyzer(analyzer.model, modalities=("voice",), transcriber=None)(path)
        assert result.segments
        assert result.segments[-1].end < 6
        assert result.modalities["voice"].coverage < 0.5


class TestBadInput:
    def test_nothing_given(self, analyzer: Analyzer) -> None:
        with pytest.raises(ArgumentError, match="Nothing to analyze"):
            analyzer()

    def test_text_and_subtitles(self, analyzer: Analyzer, clip: Path) -> None:
        with pytest.raises(ArgumentError, match="not both"):
            analyzer(clip, text="a", subtitles="b.srt")

    @pytest.mark.parametrize("words", [{"text": "B"}, {"subtitles": "b.srt"}])
    def test_words_given_twice(self, analyzer: Analyzer, words: dict[str, str]) -> None:
        with pytest.raises(ArgumentError, match="given twice"):
            analyzer(Clip(text="A"), **words)  # type: ignore[arg-type]

    def test_empty_text(self, analyzer: Analyzer) -> None:
        with pytest.raises(MissingStreamError):
            analyzer(text="  ")

    def test_a_folder(self, analyzer: Analyzer, tmp_path: Path) -> None:
        with pytest.raises(MediaError, match="is a folder"):
            analyzer(tmp_path)

    def test_broken_subtitles_leave_no_thread(self, analyzer: Analyzer, clip: Path, tmp_path: Path) -> None:
        (tmp_path / "bad.srt").write_text("1\nnot a time\nhello\n")
        with pytest.raises(TranscriptError, match=r"bad\.srt"):
            analyzer(clip, subtitles=tmp_path / "bad.srt")
        assert not [thread for thread in threading.enumerate() if thread.name == "mmemo-faces"]

    def test_one_pixel(self, analyzer: Analyzer, tmp_path: Path) -> None:
        path = tmp_path / "pixel.mkv"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("ffv1", rate=10)
            stream.width, stream.height, stream.pix_fmt = 1, 1, "bgr0"
            frame = av.VideoFrame.from_ndarray(np.zeros((1, 1, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        with pytest.raises(MissingStreamError, match="No face"):
            analyzer(path)

    def test_sound_of_no_length(self, analyzer: Analyzer, tmp_path: Path) -> None:
        path = tmp_path / "nothing.wav"
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, 16_000, 0, "NONE", ""))
        with pytest.raises(MissingStreamError, match="holds no sound"):
            analyzer(path)

    def test_eight_channels_at_96_khz(self, analyzer: Analyzer, tmp_path: Path) -> None:
        voice = np.repeat(sound("speech", 2.0), 6)
        path = write_video(tmp_path / "eight.wav", None, np.tile(voice, (8, 1)), sample_rate=96_000)
        assert "voice" in analyzer(path).modalities

    def test_samples_that_are_no_numbers(self, analyzer: Analyzer, tmp_path: Path) -> None:
        voice = sound("speech", 2.0)
        voice[1000:1100] = np.nan
        result = analyzer(write_video(tmp_path / "nan.wav", None, voice))
        assert "voice" in result.modalities
        assert "invalid-samples" in codes(result)

    def test_a_span_beyond_the_end(self, analyzer: Analyzer, clip: Path) -> None:
        with pytest.raises(ArgumentError, match=r"starts at 60 s"):
            analyzer(Clip(clip, 60))

    def test_an_unknown_modality(self) -> None:
        with pytest.raises(ArgumentError, match=r"expected one of .*'face'.*got 'faces'.*Did you mean 'face'"):
            Analyzer(modalities=("faces",))
        with pytest.raises(ArgumentError, match="sequence"):
            Analyzer(modalities="face")

    def test_an_unknown_model(self) -> None:
        with pytest.raises(UnknownModelError, match="'default'"):
            Analyzer("defualt")


class TestCopies:
    @pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
    def test_a_copy_of_a_used_analyzer_gives_the_same(self, clip: Path, copied: Callable[[Analyzer], Analyzer]) -> None:
        used = Analyzer(modalities=("voice", "text"), window=1.5)
        before = used(clip)
        again = copied(used)
        assert again.window == 1.5
        assert again(clip).scores == pytest.approx(before.scores, abs=1e-6)

    def test_a_model_of_ones_own_is_copied_with_it(self) -> None:
        used = Analyzer(EmotionModel([TinyEncoder()], LateFusion(EKMAN7, {"text": 1.0})))
        before = used(text="hello")
        assert pickle.loads(pickle.dumps(used))(text="hello").scores == pytest.approx(before.scores)

    def test_a_used_transcriber(self, clip: Path) -> None:
        pytest.importorskip("faster_whisper", reason="needs the extra asr")
        used = Analyzer(modalities=("text",), transcriber=WhisperTranscriber(threads=1))
        before = used(clip)
        again = copy.deepcopy(used)(clip)
        assert before.transcript is not None
        assert again.transcript is not None
        assert again.transcript.text == before.transcript.text

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
    def test_a_forked_child_recognizes_too(self) -> None:
        pytest.importorskip("faster_whisper", reason="needs the extra asr")
        transcriber = WhisperTranscriber(threads=1)
        words = [line.line.text for line in transcriber.hypotheses(0.0, speech(), "en")]
        child = os.fork()
        if not child:
            signal.alarm(60)  # ends a child that hangs
            again = [line.line.text for line in transcriber.hypotheses(0.0, speech(), "en")]
            os._exit(0 if again == words else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


class TestModels:
    def test_saved_and_loaded_it_says_the_same(self, analyzer: Analyzer, tmp_path: Path, clip: Path) -> None:
        folder = analyzer.model.save(tmp_path / "model")
        before, after = (
            analyzer(clip, text="Oh no!"),
            mmemo.analyze(clip, text="Oh no!", model=mmemo.load_model(folder)),
        )
        assert after.scores == pytest.approx(before.scores, abs=0.01)
        assert {path.name for path in folder.iterdir()} == {"face", "voice", "text", FUSION, MARK}

    def test_embedded_weights_are_checked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from dataclasses import replace

        parts = MODELS["default"].parts
        monkeypatch.setitem(parts, "text", replace(parts["text"], sha256="0" * 64))
        with pytest.raises(WeightsError, match="not what this version"):
            mmemo.load_model(modalities=("text",))
        assert mmemo.load_model(modalities=("face",)).modalities == ("face",)


class TestPrefetcher:
    def test_items_and_errors_come_through(self) -> None:
        def items() -> object:
            yield 1
            yield 2
            raise MediaError("gone")

        prefetcher = Prefetcher(items(), 1)  # type: ignore[arg-type]
        assert [next(prefetcher), next(prefetcher)] == [1, 2]
        with pytest.raises(MediaError, match="gone"):
            next(prefetcher)

    def test_no_more_is_made_than_can_wait(self) -> None:
        made: list[int] = []
        prefetcher = Prefetcher((made.append(number) or number for number in range(1000)), 3)
        time.sleep(0.2)
        assert len(made) <= 5
        prefetcher.close()
        gc.collect()


def test_the_most_faces_at_once_are_a_setting(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "two.mp4", seconds=0.3, size=(320, 160), faces=2, sound=None)
    result = mmemo.analyze(path, modalities=("face",), max_faces=1)
    assert result.settings is not None
    assert result.settings.max_faces == result.to_dict()["settings"]["max_faces"] == 1
    (note,) = result.notes
    assert note.code == "many-faces"
    assert "only the largest was used" in note.message
    (person,) = result.people
    assert person.confidence is not None
    assert 0.8 < person.confidence < 1
    with pytest.raises(ArgumentError, match="max_faces"):
        Analyzer(max_faces=0)
