import csv
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mmemo import media
from mmemo.errors import ArgumentError, MissingExtraError, UnknownModelError
from mmemo.evidence import SAMPLE_RATE
from mmemo.speech import recognition
from mmemo.speech.hallucination_filter import Hypothesis, filter_hypotheses
from mmemo.speech.line import Line, Word
from mmemo.speech.recognition import WhisperTranscriber, default_transcriber, speech_segments
from mmemo.speech.transcript import words_between

pytestmark = pytest.mark.slow

needs_asr = pytest.mark.skipif(default_transcriber() is None, reason="speech recognition is not installed (extra: asr)")


def heard(text: str, *chances: float, start: float = 0.0, compression: float = 0.9) -> Hypothesis:
    words = tuple(
        Word(start + 0.3 * i, start + 0.3 * i + 0.3, word, chance)
        for i, (word, chance) in enumerate(zip(text.split(), chances, strict=True))
    )
    mean = sum(chances) / len(chances)
    return Hypothesis(Line(start, words[-1].end, text, mean, words), "en", compression)


class TestSegments:
    """Samples are numbered, so a cut shows where it came from."""

    @staticmethod
    def blocks(seconds: float, size: int) -> Iterator[np.ndarray]:
        samples = np.arange(round(seconds * SAMPLE_RATE), dtype=np.float32)
        yield from np.split(samples, range(size, len(samples), size))

    @pytest.mark.parametrize("size", [1000, 16_000, 777_777])
    def test_cuts(self, size: int) -> None:
        spans = [(1.0, 2.0), (2.5, 4.0), (6.0, 7.25), (30.0, 45.0)]
        found = list(speech_segments(self.blocks(50, size), spans))
        assert [start for start, _ in found] == [1.0, 6.0, 30.0]
        for (start, sound), end in zip(found, [4.0, 7.25, 45.0], strict=True):
            assert len(sound) == round((end - start) * SAMPLE_RATE)
            assert sound[0] == start * SAMPLE_RATE
            assert sound[-1] == end * SAMPLE_RATE - 1

    def test_long_speech_is_cut(self) -> None:
        found = list(speech_segments(self.blocks(80, 16_000), [(5.0, 75.0)]))
        assert [(start, len(sound) / SAMPLE_RATE) for start, sound in found] == [
            (5.0, 30.0),
            (35.0, 30.0),
            (65.0, 10.0),
        ]

    def test_joined_no_longer_than_asked(self) -> None:
        spans = [(float(i), i + 0.9) for i in range(100)]
        found = list(speech_segments(self.blocks(101, 16_000), spans, longest=10.0))
        assert len(found) == 10
        assert all(len(sound) <= 10 * SAMPLE_RATE for _, sound in found)

    def test_sound_that_ends_early(self) -> None:
        found = list(speech_segments(self.blocks(3, 16_000), [(1.0, 4.0), (6.0, 7.0)]))
        assert [(start, len(sound)) for start, sound in found] == [(1.0, 2 * SAMPLE_RATE)]

    def test_no_speech(self) -> None:
        assert list(speech_segments(self.blocks(3, 16_000), [])) == []

    def test_memory_stays_flat(self) -> None:
        """Two hours, of which half is speech: no more than a segment and a block are ever held."""
        import tracemalloc

        block = np.zeros(10 * SAMPLE_RATE, np.float32)
        spans = [(60.0 * i, 60.0 * i + 30) for i in range(120)]
        tracemalloc.start()
        seconds = sum(len(sound) for _, sound in speech_segments((block for _ in range(720)), spans)) / SAMPLE_RATE
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert seconds == 3600
        assert peak < 4 * 4 * 40 * SAMPLE_RATE


class TestGate:
    def test_sure_words_pass(self) -> None:
        lines = [heard("Kids are talking by the door.", 0.9, 0.95, 0.9, 0.99, 0.99, 0.98)]
        assert filter_hypotheses(lines, "x") == (lines, ())

    def test_unsure_file_is_dropped_whole(self) -> None:
        lines = [heard("Thank you.", 0.95, 0.97), heard("I watched the red square go", 0.3, 0.2, 0.4, 0.3, 0.4, 0.3)]
        kept, (note,) = filter_hypotheses(lines, "Whisper tiny.en")
        assert kept == []
        assert note.code == "transcript-unsure"
        assert "Whisper tiny.en" in note.message

    def test_one_short_word_needs_company(self) -> None:
        assert filter_hypotheses([heard("No!", 0.8)], "x")[0] == []
        sure = heard("I am not going there with you.", *[0.95] * 7)
        assert len(filter_hypotheses([sure, heard("No!", 0.8, start=3.0)], "x")[0]) == 2

    def test_unsure_line_in_a_sure_file(self) -> None:
        sure = [heard("I am not going there with you.", *[0.95] * 7, start=3.0 * i) for i in range(5)]
        kept, (note,) = filter_hypotheses([*sure, heard("Green ideas may", 0.2, 0.3, 0.3, start=20.0)], "x")
        assert kept == sure
        assert "1 of 6 lines" in note.message

    @pytest.mark.parametrize(
        "text",
        [
            "Thank you for watching!",
            "Thanks for watching, and I will see you next time.",
            "Subtitles by the Amara.org community",
            "Please don't forget to like and subscribe.",
        ],
    )
    def test_invented_sentences(self, text: str) -> None:
        assert filter_hypotheses([heard(text, *[0.99] * len(text.split()))], "x")[0] == []

    def test_going_in_circles(self) -> None:
        assert filter_hypotheses([heard("good good good", 0.9, 0.9, 0.9, compression=5.0)], "x")[0] == []

    def test_nothing_heard(self) -> None:
        kept, (note,) = filter_hypotheses([], "x")
        assert kept == []
        assert "no words" in note.message


class TestConstruction:
    def test_missing_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(recognition, "find_spec", lambda name: None)
        assert default_transcriber() is None
        with pytest.raises(MissingExtraError, match=r"mmemo\[asr\]"):
            WhisperTranscriber()

    @needs_asr
    def test_folder_without_a_model(self, tmp_path: Path) -> None:
        for folder in (tmp_path, str(tmp_path / "nothing")):
            with pytest.raises(UnknownModelError, match=r"model\.bin"):
                WhisperTranscriber(folder)

    @needs_asr
    def test_damaged_model(self, tmp_path: Path) -> None:
        (tmp_path / "model.bin").write_bytes(b"nothing")
        with pytest.raises(UnknownModelError, match=r"tokenizer\.json"):
            WhisperTranscriber(tmp_path)
        (tmp_path / "tokenizer.json").write_text("{}")
        with pytest.raises(UnknownModelError, match="no usable"):
            WhisperTranscriber(tmp_path)([(0.0, np.zeros(SAMPLE_RATE, np.float32))])

    @needs_asr
    def test_wrong_segments(self) -> None:
        transcriber = WhisperTranscriber()
        for shape in ((2, 100), (31 * SAMPLE_RATE,)):
            with pytest.raises(ArgumentError, match="30 s"):
                transcriber([(0.0, np.zeros(shape, np.float32))])

    def test_importing_loads_no_recogniser(self) -> None:
        code = "import sys, mmemo.speech.recognition; assert not {'torch', 'faster_whisper'} & set(sys.modules)"
        subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


@pytest.fixture(scope="module")
def transcriber() -> WhisperTranscriber:
    return WhisperTranscriber()


def voices(shared_data: Path, corpus: str, count: int) -> list[tuple[np.ndarray, str]]:
    with (shared_data / "voice" / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["corpus"] == corpus]
    chosen = rows[:: len(rows) // count][:count]
    return [(media.waveform(shared_data / "voice" / row["path"]), row["transcript"]) for row in chosen]


def plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z']+", text.lower()))


@needs_asr
class TestSilence:
    def test_no_segments(self, transcriber: WhisperTranscriber) -> None:
        transcript, notes = transcriber([])
        assert transcript.lines == ()
        assert (transcript.source, transcript.detail) == ("recognition", "Whisper tiny.en")
        assert notes == ()

    def test_noise_gives_no_words(self, transcriber: WhisperTranscriber) -> None:
        noise = np.random.default_rng(0).normal(0, 0.05, 5 * SAMPLE_RATE).astype(np.float32)
        assert transcriber([(0.0, noise)])[0].lines == ()


@needs_asr
@pytest.mark.data
class TestSpeech:
    def test_english_with_times(self, transcriber: WhisperTranscriber, shared_data: Path) -> None:
        sound = media.waveform(shared_data / "av" / "crema_d" / "1001_DFA_NEU_XX.flv")
        transcript, notes = transcriber([(100.0, sound)])
        assert plain(transcript.text) == "don't forget a jacket"
        assert (transcript.language, notes) == ("en", ())
        line = transcript.lines[0]
        assert 100 <= line.start < line.end <= 100 + len(sound) / SAMPLE_RATE
        assert [plain(word.text) for word in line.words] == ["don't", "forget", "a", "jacket"]
        assert all(word.start <= word.end for word in line.words)
        evidence = words_between(transcript, 100.0, 102.0)
        assert evidence is not None
        assert evidence.confidence == pytest.approx(line.confidence)

    def test_ravdess_sentences(self, transcriber: WhisperTranscriber, shared_data: Path) -> None:
        samples = voices(shared_data, "ravdess", 12)
        right = [plain(transcriber([(0.0, sound)])[0].text) == plain(text) for sound, text in samples]
        assert sum(right) >= 10

    @pytest.mark.parametrize("corpus", ["nemo", "ased", "turev"])
    def test_other_languages_never_reach_the_scores(
        self, transcriber: WhisperTranscriber, shared_data: Path, corpus: str
    ) -> None:
        found = [transcriber([(0.0, sound)]) for sound, _ in voices(shared_data, corpus, 10)]
        assert sum(bool(transcript.lines) for transcript, _ in found) <= 1
        assert all(notes[0].code == "transcript-unsure" for transcript, notes in found if not transcript.lines)

    def test_other_language_at_length(self, transcriber: WhisperTranscriber, shared_data: Path) -> None:
        sound = np.concatenate([one for one, _ in voices(shared_data, "nemo", 8)])[: 30 * SAMPLE_RATE]
        transcript, notes = transcriber([(0.0, sound)])
        assert transcript.lines == ()
        assert len(notes) == 1

    def test_a_speech(self, transcriber: WhisperTranscriber, shared_data: Path) -> None:
        sound = media.waveform(shared_data / "av" / "misc" / "obama_speech.mp4")[: 30 * SAMPLE_RATE]
        transcript, _ = transcriber([(0.0, sound)])
        assert len(transcript.text.split()) > 10
        assert transcript.language == "en"
