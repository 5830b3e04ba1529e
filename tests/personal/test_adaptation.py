"""Adaptation: what a few labeled clips teach, and that it is saved, composed and refused where it does not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmemo import Adaptation, Analyzer, Baseline, analyze
from mmemo.encoders.base import Encoding
from mmemo.errors import ArgumentError
from mmemo.personal.adaptation import learn
from mmemo.personal.statistics import centered

LABELS = ("neutral", "happiness", "sadness", "anger")


def people(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Scores that always say happiness, tokens that tell moods apart, and the labels."""
    rng = np.random.default_rng(seed)
    moods = np.arange(count) % 4
    scores = centered(rng.normal(0, 0.3, (count, 4)) + np.array([0, 0.8, 0, 0]))
    tokens = rng.normal(0, 0.5, (count, 32))
    tokens[np.arange(count), moods] += 8
    return scores, tokens, [LABELS[mood] for mood in moods]


def encoding(scores: np.ndarray, tokens: np.ndarray) -> Encoding:
    return Encoding(tokens[:, None].astype(np.float32), np.ones((len(tokens), 1), bool), scores.astype(np.float32))


@pytest.mark.parametrize(("count", "least"), [(4, 0.4), (12, 0.7), (40, 0.95)])
def test_it_learns_from_the_features(count: int, least: float) -> None:
    learned = learn(*people(count), LABELS)
    scores, tokens, labels = people(40, seed=1)
    found = learned(encoding(scores, tokens)).logits.argmax(axis=1)
    assert np.mean([LABELS[i] == label for i, label in zip(found, labels, strict=True)]) >= least


def test_labels_that_are_missing_are_left_alone() -> None:
    """Clips of one label say nothing of the others: their scores keep their order."""
    scores, tokens, _ = people(6)
    learned = learn(scores, tokens, ["happiness"] * 6, LABELS)
    assert not learned.matrix.any()
    shifted = learned(encoding(scores, tokens)).logits
    np.testing.assert_array_equal(shifted.argmax(axis=1), scores.argmax(axis=1))


def test_few_clips_change_the_scale_little() -> None:
    scores, tokens, _ = people(6)
    for given in (["happiness"] * 6, ["not happiness"] * 6):
        learned = learn(scores, tokens, given, LABELS)
        assert learned.gain * learned.own == pytest.approx(1.0)


def test_what_a_clip_is_not() -> None:
    scores, tokens, labels = people(8)
    other_scores, other_tokens = (values[1:2] for values in people(8, seed=3)[:2])  # as happiness looks
    plain = learn(scores, tokens, labels, LABELS)
    corrected = learn(
        np.vstack([scores, other_scores]), np.vstack([tokens, other_tokens]), [*labels, "not happiness"], LABELS
    )
    before, after = (one(encoding(other_scores, other_tokens)).logits[0] / one.gain for one in (plain, corrected))
    assert before.argmax() == 1
    assert after[1] - after.mean() < before[1] - before.mean() - 0.1


@pytest.fixture(scope="module")
def learned() -> Adaptation:
    analyzer = Analyzer(modalities=("text",))
    lines = {
        "Okay then.": "anger",
        "I see.": "anger",
        "Fine.": "anger",
        "Good morning.": "neutral",
        "Hello.": "neutral",
    }
    examples = [({"text": analyzer.encode(None, text=line)["text"]}, label) for line, label in lines.items()]
    return Adaptation.of_encodings(examples, analyzer.model)


def test_the_analyzer_uses_it(learned: Adaptation, tmp_path: Path) -> None:
    plain, adapted = (analyze(text="Okay.", modalities=("text",), adaptation=one) for one in (None, learned))
    assert adapted.scores["anger"] > plain.scores["anger"]
    assert adapted.settings is not None
    assert adapted.settings.adapted
    assert next(note.message for note in adapted.notes if note.code == "adapted").endswith("anger 3, neutral 2.")
    again = Adaptation.load(learned.save(tmp_path / "anna.json"))
    same = analyze(text="Okay.", modalities=("text",), adaptation=again)
    assert same.scores == pytest.approx(adapted.scores, abs=1e-3)


def test_it_composes_with_a_baseline(learned: Adaptation) -> None:
    analyzer = Analyzer(modalities=("text",))
    baseline = Baseline.fit([analyzer(text=line) for line in ("I am happy.", "I am sad.")], mixed=True)
    both = analyze(text="Okay.", modalities=("text",), baseline=baseline, adaptation=learned)
    assert {note.code for note in both.notes} >= {"baseline", "adapted"}


def test_what_does_not_fit_is_refused(learned: Adaptation, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="Label of a clip"):
        Adaptation.fit({"nowhere.mp4": "bliss"}, modalities=("text",))
    with pytest.raises(ArgumentError, match="needs labeled clips"):
        Adaptation.of_encodings([], Analyzer(modalities=("text",)).model)
    with pytest.raises(ArgumentError, match="Make the adaptation again"):
        analyze(
            text="Okay.",
            modalities=("text",),
            adaptation=Adaptation("x", {"text": "0"}, learned.labels, {}, learned.modalities),
        )
    with pytest.raises(ArgumentError, match="mapping such as"):
        Adaptation.fit("clip.mp4")  # type: ignore[arg-type]
    for change in ({"gain": 0.0}, {"gain": -1.0}, {"own": 1e9}):
        wrong = {"text": replace(learned.modalities["text"], **change)}
        with pytest.raises(ArgumentError, match="range"):
            Adaptation("default", {}, learned.labels, learned.clips, wrong)
    with pytest.raises(ArgumentError, match="not negative"):
        Adaptation("default", {}, learned.labels, {"anger": -1}, learned.modalities)
    (tmp_path / "bad.json").write_text('{"labels": ["a"], "modalities": {"text": {"offset": [1, 2]}}}')
    with pytest.raises(ArgumentError, match=r"bad.json"):
        Adaptation.load(tmp_path / "bad.json")
    narrow = encoding(np.zeros((1, 7)), np.zeros((1, 5)))
    with pytest.raises(ArgumentError, match="width"):
        learned.modalities["text"](narrow)
