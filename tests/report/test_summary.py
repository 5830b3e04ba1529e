"""Sentences about a result, and the cards of the models behind it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from mmemo import EmotionResult
from mmemo.report.summary import ModelCard, model_cards, summary


def test_the_summary_says_what_matters(made: EmotionResult) -> None:
    text = " ".join(summary(made))
    assert "say happiness (50%)" in text
    assert "the voice says anger (70%): they differ" in text
    assert "happiness (0.0 s to 2.5 s), surprise (2.5 s to 4.0 s) and anger (7.0 s to 9.0 s)" in text
    assert "a face in 90% and a voice in 40%" in text
    flat = dict.fromkeys(made.scores, 1 / 7)
    alone = EmotionResult(None, 0.0, made.scores, {"text": made.modalities["face"]})
    assert "Only the words were scored." in summary(alone)
    assert "undecided" in summary(EmotionResult(None, 0.0, flat, {}))[0]
    assert summary(EmotionResult(None, 0.0, {"joy": 1.0}, {}))[0] == "The fused scores have a single label: joy."


def test_cards_come_from_the_settings_beside_the_weights(made: EmotionResult, tmp_path: Path) -> None:
    (tmp_path / "face").mkdir()
    scores = {
        "FER2013/test": {"uar": [0.5, 0.4, 0.6]},
        "RAVDESS": {"actors": {"uar": 0.7, "low": 0.6, "high": 0.8}, "with_noise": {"uar": [0, 0, 0]}},
    }
    (tmp_path / "face" / "config.json").write_text(json.dumps({"corpora": {"FER2013": "free"}, "scores": scores}))
    (tmp_path / "voice").mkdir()
    (tmp_path / "voice" / "config.json").write_text("no json")
    (card,) = model_cards(replace(made, model=str(tmp_path)))
    measured = (("FER2013 test", "0.500 [0.400, 0.600]"), ("RAVDESS actors", "0.700 [0.600, 0.800]"))
    assert card == ModelCard("Face", (("FER2013", "free"),), measured)
    assert [card.part for card in model_cards(made)] == ["Face", "Voice", "Fusion"]
