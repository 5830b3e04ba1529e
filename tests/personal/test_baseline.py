"""Baselines: fitted to results and files, applied by the analyzer, saved without anything to recognize."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from mmemo import Analyzer, Baseline, EmotionModel, analyze
from mmemo.errors import ArgumentError, MissingStreamError
from mmemo.fusion.late import LateFusion
from mmemo.labels import LabelSet
from mmemo.result import AnalysisSettings, EmotionResult, ModalityScores, Segment
from mmemo.testing import TinyEncoder

LINES = [
    "I am so happy!",
    "I am so sad.",
    "It makes me angry.",
    "That is disgusting.",
    "I am afraid.",
    "What a surprise!",
]
LABELS = ("neutral", "happiness", "sadness")


@pytest.fixture(scope="module")
def words() -> Analyzer:
    return Analyzer(modalities=("text",))


@pytest.fixture(scope="module")
def results(words: Analyzer) -> list[EmotionResult]:
    return [words(text=line) for line in LINES]


def result(happy: float, modality: str = "voice", segments: int = 0, **settings: str) -> EmotionResult:
    scores = dict(zip(LABELS, (0.9 - happy, happy, 0.1), strict=True))
    parts = {modality: ModalityScores(scores, 1.0, 1.0)}
    windows = tuple(Segment(i, i + 2.0, scores, parts) for i in range(segments))
    how = AnalysisSettings(2.0, 1.0, (modality,), **settings)
    return EmotionResult(None, max(2.0, float(segments)), scores, parts, windows, settings=how)


def test_it_is_taken_off_the_scores(words: Analyzer, results: list[EmotionResult]) -> None:
    baseline = Baseline.fit(results, mixed=True)
    one = baseline.modalities["text"]
    assert one.clips == len(LINES)
    assert baseline.strengths["text"] == pytest.approx(6 / 9)
    relative = analyze(text=LINES[0], modalities=("text",), baseline=baseline)
    plain = np.log([results[0].scores[label] for label in baseline.labels])
    correction = baseline.corrections(words.model)["text"]
    expected = (plain - plain.mean() - correction.offset) * correction.scale
    found = np.log([relative.scores[label] for label in baseline.labels])
    np.testing.assert_allclose(found - found.mean(), expected - expected.mean(), atol=1e-4)
    assert relative.settings is not None
    assert relative.settings.baseline == "person"
    (note,) = [note for note in relative.notes if note.code == "baseline"]
    assert "6 clips" in note.message
    assert "67%" in note.message


def test_clips_of_one_mood_change_nothing(words: Analyzer) -> None:
    baseline = Baseline.fit([words(text="I am so happy!"), *(words(text=f"I am so happy {i}!") for i in range(9))])
    assert baseline.strengths["text"] < 0.05
    assert "vary too little" in baseline.note().message
    relative = Analyzer(modalities=("text",), baseline=baseline)(text="I am so happy!")
    assert relative.label == "happiness"
    assert relative.scores["happiness"] == pytest.approx(words(text="I am so happy!").scores["happiness"], abs=0.02)


def test_files_are_analyzed(clip: Path, tmp_path: Path) -> None:
    analyzer = Analyzer(modalities=("voice",), baseline="auto")
    baseline = Baseline.fit([clip, clip], modalities=("voice",), analyzer=analyzer)
    assert baseline.modalities["voice"].clips == 2
    assert set(baseline.weights) == {"voice"}
    again = Baseline.load(baseline.save(tmp_path / "anna.json"))
    assert again.corrections(analyzer.model)["voice"].offset == pytest.approx(0.0, abs=0.05)  # two times the same clip


def test_a_long_recording_counts_as_its_windows() -> None:
    baseline = Baseline.fit([result(0.6, segments=12), result(0.2)])
    assert baseline.modalities["voice"].clips == 7  # six windows that don't overlap, and the short clip


def test_a_file_holds_a_few_numbers_and_no_name(results: list[EmotionResult], tmp_path: Path) -> None:
    baseline = Baseline.fit(results, neutral=results[:2], mixed=True)
    document = json.loads(baseline.save(tmp_path / "anna.json").read_text())
    assert set(document) == {"format", "mmemo", "of", "model", "weights", "labels", "modalities", "mixed"}
    numbers = document["modalities"]["text"]
    assert set(numbers) == {"clips", "mean", "spread", "variety", "clarity", "neutral", "neutral_mean"}
    assert all(len(values) == 7 for values in numbers.values() if isinstance(values, list))
    again = Baseline.load(tmp_path / "anna.json")
    assert again.of == "person"
    np.testing.assert_allclose(again.modalities["text"].mean, baseline.modalities["text"].mean, atol=1e-4)


def test_a_person_within_a_place(words: Analyzer, results: list[EmotionResult]) -> None:
    place = Baseline.fit(results, of="place")
    person = Baseline.fit(results[:1]).within(place)
    assert person.strengths["text"] == 0
    np.testing.assert_allclose(
        person.corrections(words.model)["text"].offset, place.corrections(words.model)["text"].offset
    )
    assert "of the place" in person.note().message
    with pytest.raises(ArgumentError, match="has a place"):
        person.within(person)
    face = Baseline.fit([result(0.5, "face")])
    with pytest.raises(ArgumentError, match="for each of its labels"):
        Baseline(labels=LABELS, modalities={"face": place.modalities["text"]})
    assert face.labels == LABELS


def moods(shown: list[int], habit: np.ndarray) -> list[EmotionResult]:
    """Results of a voice whose own label stands out, before a habit."""
    rng = np.random.default_rng(0)
    found = []
    for mood in shown:
        logits = 3 * np.eye(3)[mood] + habit + rng.normal(0, 0.3, 3)
        scores = dict(zip(LABELS, np.exp(logits) / np.exp(logits).sum(), strict=True))
        found.append(EmotionResult(None, 2.0, scores, {"voice": ModalityScores(scores, 1.0)}))
    return found


def test_a_place_counts_as_far_as_it_tells_its_clips_better_apart() -> None:
    strange = Baseline.fit(moods([0, 1, 2] * 7, np.array([0.0, 2.0, 0.0])), of="place")
    assert strange.strengths["voice"] > 0.6
    home = Baseline.fit(moods([0, 1, 2] * 7, np.zeros(3)), of="place")
    assert home.strengths["voice"] < 0.1


def test_a_place_of_one_mood_changes_nothing() -> None:
    shown = moods([1] * 20, np.zeros(3))
    place = Baseline.fit(shown, of="place")
    assert place.strengths["voice"] < 0.05
    assert Baseline.fit(shown, of="place", mixed=True).modalities == place.modalities  # the user takes the risk
    assert "vary too little" in place.note().message
    with pytest.raises(ArgumentError, match="Neutral clips are of one person"):
        Baseline.fit(shown, neutral=shown[:1], of="place")


def test_the_note_says_what_was_done() -> None:
    neutral = Baseline.fit([], neutral=moods([0] * 4, np.array([0.0, 1.5, 0.0])))
    assert neutral.strengths["voice"] == pytest.approx(8 / 11)
    assert "4 known to be neutral; of its mean is taken off: voice 73%." in neutral.note().message
    assert neutral.note(["face"]).message.endswith("nothing was taken off.")
    within = neutral.within(Baseline.fit(moods([0, 1, 2] * 7, np.array([0.0, 2.0, 0.0])), of="place"))
    assert "of which is taken off: voice" in within.note().message


def test_what_varies_in_the_face_vouches_for_the_voice() -> None:
    rng = np.random.default_rng(0)
    clips = []
    for mood in [0, 1, 2] * 5:
        scores = {}
        for modality, size in (("face", 4.0), ("voice", 0.3)):
            logits = np.eye(3)[mood] * size + rng.normal(0, 0.1, 3)
            scores[modality] = ModalityScores(
                dict(zip(LABELS, np.exp(logits) / np.exp(logits).sum(), strict=True)), 1.0
            )
        clips.append(EmotionResult(None, 2.0, scores["face"].scores, scores))
    both = Baseline.fit(clips).strengths
    assert Baseline.fit(clips, modalities=("voice",)).strengths["voice"] < 0.1
    assert both["voice"] == both["face"] > 0.8


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"baseline": "person"}, "results without"),
        ({"prior": "natural"}, "balanced"),
        ({"prior": "neutral 0.6"}, "balanced"),
    ],
)
def test_results_that_were_corrected_are_refused(settings: dict[str, str], problem: str) -> None:
    with pytest.raises(ArgumentError, match=problem):
        Baseline.fit([result(0.5, **settings)])


def test_other_models_are_refused(results: list[EmotionResult]) -> None:
    baseline = Baseline.fit(results)
    mine = LabelSet("mine", ("calm", "tense"))
    other = EmotionModel([TinyEncoder(modality="text", labels=mine)], LateFusion(mine, {"text": 1.0}))
    with pytest.raises(ArgumentError, match="Make the baseline again"):
        analyze(text="Hello.", model=other, baseline=baseline)
    with pytest.raises(ArgumentError, match="one model"):
        Baseline.fit([*results, result(0.5)])


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"of": "person"}', '{"labels": ["a"], "modalities": {"voice": {"clips": -1}}}', "[" * 2000],
)
def test_a_file_that_is_no_baseline(content: str, tmp_path: Path) -> None:
    (tmp_path / "anna.json").write_text(content)
    with pytest.raises(ArgumentError, match=r"anna.json"):
        Baseline.load(tmp_path / "anna.json")


def test_nothing_to_fit() -> None:
    with pytest.raises(ArgumentError, match="needs clips"):
        Baseline.fit([])
    with pytest.raises(ArgumentError, match=r"has any of \['face'\]"):
        Baseline.fit([result(0.5)], modalities=("face",))
    with pytest.raises(ArgumentError, match="of: expected"):
        Baseline.fit([result(0.5)], of="house")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="files, clips and results"):
        Baseline.fit([1])  # type: ignore[list-item]
    with pytest.raises(ArgumentError, match=r"Baseline\.load"):
        Baseline.fit([result(0.5)], place="studio.json")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"ends in \.json"):
        Baseline.fit([result(0.5)]).save("clip.mp4")
    with pytest.raises(ArgumentError, match=r'expected a mmemo.Baseline, "auto"'):
        Analyzer(baseline="anna.json")  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.data
def test_strangers(shared_data: Path) -> None:
    """Speakers of SAVEE, which no weights were fitted on: known moods help, and clips of one mood do no harm."""
    analyzer = Analyzer(modalities=("voice",))
    right = {"plain": 0, "mixed": 0, "one": 0}
    measured = 0
    for speaker in ("DC", "JE"):
        clips = {
            mood: sorted((shared_data / "voice" / "savee").glob(f"{speaker}_{mood}[0-9]*.opus"))[:5] for mood in MOODS
        }
        found = {mood: list(analyzed(analyzer, paths)) for mood, paths in clips.items()}
        for mood, label in MOODS.items():
            everything = [one for results in found.values() for one in results]
            for one in found[mood]:
                others = {
                    "mixed": [r for r in everything if r is not one],
                    "one": [r for r in found[mood] if r is not one],
                }
                measured += 1
                right["plain"] += one.label == label
                for kind, chosen in others.items():
                    baseline = Baseline.fit(chosen, mixed=kind == "mixed")
                    correction = baseline.corrections(analyzer.model)["voice"]
                    scores = np.log([one.scores[name] for name in baseline.labels])
                    corrected = (scores - scores.mean() - correction.offset) * correction.scale
                    right[kind] += baseline.labels[int(corrected.argmax())] == label
    assert right["mixed"] >= right["plain"] + 0.05 * measured
    assert right["one"] >= right["plain"] - 0.05 * measured


def analyzed(analyzer: Analyzer, paths: list[Path]) -> Iterator[EmotionResult]:
    for path in paths:
        with suppress(MissingStreamError):  # speech is too faint to be detected in one
            yield analyzer(path)


MOODS = {
    "n": "neutral",
    "h": "happiness",
    "sa": "sadness",
    "a": "anger",
    "f": "fear",
    "d": "disgust",
    "su": "surprise",
}  # fmt: skip
