from __future__ import annotations

from pathlib import Path

import pytest

from mmemo import Analyzer, EmotionResult
from mmemo.app.modality_subsets import narrowed, subsets
from mmemo.errors import ArgumentError

pytestmark = pytest.mark.slow

TEXT = "And you always want to see it in the superlative degree."


@pytest.fixture(scope="module")
def whole(analyzer: Analyzer, clip: Path) -> EmotionResult:
    return analyzer(clip, text=TEXT)


@pytest.mark.parametrize("chosen", [("face",), ("voice", "text"), ("face", "voice", "text")])
def test_it_is_what_an_analysis_with_these_modalities_says(
    analyzer: Analyzer, clip: Path, whole: EmotionResult, chosen: tuple[str, ...]
) -> None:
    again = Analyzer(analyzer.model, chosen)(clip, text=TEXT)
    now = narrowed(whole, analyzer.model, chosen)
    assert now.scores == pytest.approx(again.scores, abs=1e-5)
    assert set(now.modalities) == set(chosen)
    for name, said in now.modalities.items():
        assert said.weight == pytest.approx(again.modalities[name].weight)
    assert len(now.segments) == len(again.segments)
    for one, other in zip(now.segments, again.segments, strict=True):
        assert one.scores == pytest.approx(other.scores, abs=1e-5)


def test_every_subset(analyzer: Analyzer, whole: EmotionResult) -> None:
    found = subsets(whole, analyzer.model)
    assert len(found) == 7
    assert found["face", "voice", "text"] == pytest.approx(whole.scores, abs=1e-5)


def test_what_does_not_fit_is_told(analyzer: Analyzer, whole: EmotionResult) -> None:
    with pytest.raises(ArgumentError, match="at least one"):
        narrowed(whole, analyzer.model, ())
    with pytest.raises(ArgumentError, match="Did you mean 'face'"):
        narrowed(whole, analyzer.model, ("faces",))
