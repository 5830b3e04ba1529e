import csv
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mmemo import media
from mmemo.errors import ArgumentError, MissingExtraError, UnknownModelError, WeightsError
from mmemo.evidence import SAMPLE_RATE
from mmemo.samples import speech
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
            "字幕由Amara.org社区提供",
            "請不吝點贊 訂閱 轉發 打賞支持明鏡與點點欄目",
            "谢谢大家观看!",
            "ご視聴ありがとうございました。",
            "チャンネル登録をお願いします。",
            "시청해주셔서 감사합니다.",
            "Subtítulos realizados por la comunidad de Amara.org",
            "¡Gracias por ver el video!",
            "Sottotitoli e revisione a cura di QTSS",
            "Sous-titrage Société Radio-Canada",
            "Untertitel im Auftrag des ZDF für funk, 2017",
            "Napisy stworzone przez społeczność Amara.org",
            "Dziękuję za oglądanie.",
            "Altyaz\u0131 M.K.",
            "İzlediğiniz için teşekkür ederim.",
            "ترجمة نانسي قنقر",
            "شكرًا على المشاهدة",
            "Субтитры сделал DimaTorzok",
            "Legendas pela comunidade Amara.org",
            "Ondertiteld door de Amara.org gemeenschap",
        ],
    )
    def test_invented_sentences(self, text: str) -> None:
        assert filter_hypotheses([heard(text, *[0.99] * len(text.split()))], "x")[0] == []

    @pytest.mark.parametrize(
        "text", ["谢谢大家。", "Vielen Dank.", "Grazie a tutti.", "Dziękuję.", "شكرًا", "감사합니다."]
    )
    def test_thanks_count_where_they_are_sure(self, text: str) -> None:
        company = heard("I am not going there with you.", *[0.95] * 7, start=5.0)
        for chance, kept in ((0.85, [company]), (0.95, [heard(text, *[0.95] * len(text.split())), company])):
            thanks = heard(text, *[chance] * len(text.split()))
            assert filter_hypotheses([thanks, company], "x")[0] == kept

    @pytest.mark.parametrize(
        "text", ["谢谢你的帮助。", "Danke für deine Hilfe.", "我喜欢看字幕", "Grazie per avermi aiutato."]
    )
    def test_what_people_say(self, text: str) -> None:
        lines = [heard(text, *[0.9] * len(text.split())), heard("I am not going there.", *[0.95] * 5, start=5.0)]
        assert filter_hypotheses(lines, "x") == (lines, ())

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
    def test_a_folder_of_the_same_name_as_the_model(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "base").mkdir()
        monkeypatch.chdir(tmp_path)
        assert WhisperTranscriber().model == "base"
        with pytest.raises(UnknownModelError):
            WhisperTranscriber(Path("base"))

    @needs_asr
    def test_damaged_model(self, tmp_path: Path) -> None:
        (tmp_path / "model.bin").write_bytes(b"nothing")
        with pytest.raises(UnknownModelError, match=r"tokenizer\.json"):
            WhisperTranscriber(tmp_path)
        (tmp_path / "tokenizer.json").write_text("{}")
        with pytest.raises(UnknownModelError, match="no usable"):
            WhisperTranscriber(tmp_path)([(0.0, np.zeros(SAMPLE_RATE, np.float32))])

    @needs_asr
    def test_other_weights_than_the_tested_ones(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(recognition, "CARRIED_SHA256", "0")
        with pytest.raises(WeightsError, match="Reinstall"):
            WhisperTranscriber()([(0.0, np.zeros(SAMPLE_RATE, np.float32))])

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


class Model:
    """In place of faster-whisper: the greatest sample of a segment tells which of some language probabilities it has."""

    supported_languages = ("en", "pl", "zh")

    def __init__(self, *probabilities: dict[str, float], words: tuple[str, ...] = (" I", " am", " not", " going.")):
        self.probabilities, self.words = probabilities, words

    def language_probabilities(self, waveform: np.ndarray) -> dict[str, float]:
        return self.probabilities[int(waveform.max())]

    def transcribe(self, waveform: np.ndarray, **settings: object) -> tuple[list[SimpleNamespace], None]:
        words = [
            SimpleNamespace(word=word, start=0.5 + 0.2 * place, end=0.7 + 0.2 * place, probability=0.9)
            for place, word in enumerate(self.words)
        ]
        return [SimpleNamespace(words=words, compression_ratio=1.0)], None


def with_model(model: Model, language: str | None = None) -> WhisperTranscriber:
    transcriber = WhisperTranscriber(language=language)
    transcriber._models[os.getpid()] = model
    return transcriber


def numbered(count: int) -> Iterator[tuple[float, np.ndarray]]:
    for place in range(count):
        yield 2.0 * place, np.full(SAMPLE_RATE, place, np.float32)


UNSURE = {"pl": 0.5, "en": 0.4, "zh": 0.1}
ENGLISH = {"pl": 0.02, "en": 0.95, "zh": 0.03}
CHINESE = {"pl": 0.0, "en": 0.01, "zh": 0.99}


@needs_asr
class TestLanguages:
    @pytest.mark.parametrize(
        ("probabilities", "expected"),
        [
            ([UNSURE, ENGLISH, UNSURE], ["en", "en", "en"]),
            ([ENGLISH, CHINESE, UNSURE, CHINESE], ["en", "zh", "zh", "zh"]),
            ([UNSURE, UNSURE], ["pl", "pl"]),
        ],
    )
    def test_an_unsure_segment_is_in_the_language_of_most_of_the_speech(
        self, probabilities: list[dict[str, float]], expected: list[str]
    ) -> None:
        transcriber = with_model(Model(*probabilities))
        decided = list(transcriber.with_languages(numbered(len(probabilities)), None))
        assert [language for *_, language, _ in decided] == expected
        assert [start for start, *_ in decided] == [2.0 * place for place in range(len(expected))]
        assert all(0 < probability <= 1 for *_, probability in decided)

    def test_unsure_segments_do_not_wait_for_ever(self) -> None:
        taken = []

        def segments() -> Iterator[tuple[float, np.ndarray]]:
            for one in numbered(100):
                taken.append(one)
                yield one[0], np.zeros(SAMPLE_RATE, np.float32)

        next(with_model(Model(UNSURE)).with_languages(segments(), None))
        assert len(taken) == 4

    def test_the_transcript_has_the_language_and_its_probability(self) -> None:
        transcript, notes = with_model(Model(ENGLISH, ENGLISH))(numbered(2))
        assert (transcript.language, notes) == ("en", ())
        assert transcript.language_probability == pytest.approx(0.95)
        assert [line.text for line in transcript.lines] == ["I am not going."] * 2

    def test_a_named_language_is_not_detected(self) -> None:
        for transcriber, named in (
            (with_model(Model()), "pl"),
            (with_model(Model()), "pl-PL"),
            (with_model(Model(), "pl"), None),
        ):
            transcript, _ = transcriber(numbered(1), named)
            assert (transcript.language, transcript.language_probability) == ("pl", 1.0)

    def test_a_language_that_the_model_does_not_know(self) -> None:
        transcript, (note,) = with_model(Model())(numbered(1), "ga")
        assert transcript.lines == ()
        assert note.code == "unsupported-speech"
        assert "(ga)" in note.message
        assert "Whisper base" in note.message

    def test_chinese_has_no_blanks_and_simplified_characters(self) -> None:
        words = ("我", "馬", "上", "拿", "來", "。", "好", "!")
        transcript, _ = with_model(Model(CHINESE, words=words))(numbered(1))
        assert [line.text for line in transcript.lines] == ["我马上拿来。", "好!"]
        assert [word.text for word in transcript.lines[0].words] == ["我", "马", "上", "拿", "来", "。"]

    def test_an_unsure_transcript_names_the_language(self) -> None:
        model = Model(CHINESE, words=("你", "好"))
        model.transcribe = lambda *_, **__: (  # type: ignore[method-assign]
            [SimpleNamespace(words=[SimpleNamespace(word="你", start=0, end=1, probability=0.3)], compression_ratio=1)],
            None,
        )
        transcript, (note,) = with_model(model)(numbered(1))
        assert (transcript.lines, transcript.language) == ((), "zh")
        assert "language: zh" in note.message


@needs_asr
class TestModel:
    def test_a_sentence_is_encoded_once_and_for_ten_seconds(self, transcriber: WhisperTranscriber) -> None:
        transcriber.hypotheses(0.0, speech(), "en")
        whisper = transcriber._whisper
        features = np.pad(whisper.feature_extractor(speech()[: 2 * SAMPLE_RATE])[:, :-1], ((0, 0), (0, 2800)))
        encoded = whisper.encode(features[:, :3000])
        assert encoded.shape == [1, 500, 512]
        assert whisper.encode(features[:, :3000].copy()) is encoded
        assert whisper.encode(np.ones((80, 3000), np.float32)).shape == [1, 1500, 512]

    def test_english_is_detected(self, transcriber: WhisperTranscriber) -> None:
        transcript, notes = transcriber([(0.0, speech())])
        assert (transcript.language, notes) == ("en", ())
        assert transcript.language_probability > 0.9
        assert "always want to see" in transcript.text


def voices(shared_data: Path, corpus: str, count: int, manifest: str = "manifest.csv") -> list[tuple[np.ndarray, str]]:
    with (shared_data / "voice" / manifest).open(encoding="utf-8", newline="") as file:
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
        assert (transcript.source, transcript.detail) == ("recognition", "Whisper base")
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

    def test_a_language_it_can_hardly_recognize(self, transcriber: WhisperTranscriber, shared_data: Path) -> None:
        found = [transcriber([(0.0, sound)]) for sound, _ in voices(shared_data, "ased", 5)]
        assert sum(bool(transcript.lines) for transcript, _ in found) <= 1
        assert all(notes[0].code == "transcript-unsure" for transcript, notes in found if not transcript.lines)

    def test_chinese(self, transcriber: WhisperTranscriber, shared_data: Path) -> None:
        found = [
            (transcriber([(0.0, sound)])[0], words)
            for sound, words in voices(shared_data, "casia", 6, "manifest_more.csv")
        ]
        assert {transcript.language for transcript, _ in found} == {"zh"}
        kept = [(transcript.text, words) for transcript, words in found if transcript.lines]
        assert len(kept) >= 4  # of cries and whispers that were acted
        shared = sum(len({*text} & {*words}) for text, words in kept)
        assert shared >= 0.8 * sum(len({*words} - {"\u3002"}) for _, words in kept)

    def test_polish_at_length(self, transcriber: WhisperTranscriber, shared_data: Path) -> None:
        samples = voices(shared_data, "nemo", 8)
        sound = np.concatenate([one for one, _ in samples])[: 30 * SAMPLE_RATE]
        transcript, _ = transcriber([(0.0, sound)])
        assert transcript.language == "pl"
        spoken = {word for _, text in samples for word in re.findall(r"\w+", text.lower())}
        assert len(spoken & {*re.findall(r"\w+", transcript.text.lower())}) > 0.5 * len(spoken)

    def test_a_speech(self, transcriber: WhisperTranscriber, shared_data: Path) -> None:
        sound = media.waveform(shared_data / "av" / "misc" / "obama_speech.mp4")[: 30 * SAMPLE_RATE]
        transcript, _ = transcriber([(0.0, sound)])
        assert len(transcript.text.split()) > 10
        assert transcript.language == "en"
