"""Rows that are relative to the other clips of a person or a place: the same as an analysis with that baseline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mmemo import Adaptation, Analyzer, Baseline, EmotionModel, EmotionResult, analyze_many
from mmemo.batch.analyze_many import BatchProgress
from mmemo.batch.plan import Task
from mmemo.batch.relative import people_of, relative_rows
from mmemo.batch.row import Row
from mmemo.batch.sources import By
from mmemo.cli import app
from mmemo.clip import Clip
from mmemo.data import Manifest
from mmemo.errors import ArgumentError
from mmemo.evidence import Evidence, TextEvidence
from mmemo.fusion.gated import GatedFusion
from mmemo.fusion.late import LateFusion
from mmemo.labels import EKMAN7
from mmemo.model import Prior
from mmemo.pipeline.rescore import check_rescorable
from mmemo.pipeline.score import ClipScores, score
from mmemo.testing import TinyEncoder

PEOPLE = ("anna", "ben", "cleo", "dan")
TASKS = [
    Task(Clip(text=f"{person} {chr(60 + 7 * number + 3 * place)}", speaker=person, id=f"{person}{number}"), None)
    for place, person in enumerate(PEOPLE)
    for number in range(5)
]
SPEAKERS = people_of(TASKS, "speaker")


@pytest.fixture(scope="module")
def model() -> EmotionModel:
    encoders = [TinyEncoder(modality="text"), TinyEncoder(modality="tone")]
    temperatures = {"text": 0.3, "tone": 0.2}  # scores that vary
    return EmotionModel(encoders, LateFusion(EKMAN7, {"text": 0.7, "tone": 0.3}), temperatures)


def scored(model: EmotionModel, task: Task) -> ClipScores:
    """Of two windows, with words that are unsure."""
    text = str(task.clip.text)
    words = [TextEvidence(words, "en", 0.2 + 0.02 * TASKS.index(task), 1.0) for words in (text, text[::2])]
    return score(model, [(Evidence(i, i + 2.0, text=one),) for i, one in enumerate(words)])


def results_of(model: EmotionModel) -> list[EmotionResult]:
    scores = [scored(model, task) for task in TASKS]
    return [EmotionResult(None, 3.0, one.scores, one.modalities, model=model.name) for one in scores]


@pytest.mark.parametrize("prior", ["balanced", {"neutral": 0.5}])
@pytest.mark.parametrize("by", ["speaker", "place"])
def test_they_are_those_of_an_analysis_with_the_same_baseline(model: EmotionModel, by: By, prior: Prior) -> None:
    results = results_of(model)
    rows = [Row.of(one).named(task) for one, task in zip(results_of(model.adjusted(prior)), TASKS, strict=True)]
    rows = [Row.from_json(row.to_json()) for row in rows]
    relative = relative_rows(rows, SPEAKERS, by, model.adjusted(prior))
    moved = 0.0
    for place, task in list(enumerate(TASKS))[::6]:
        others = [one for one, person in zip(results, SPEAKERS, strict=True) if person != SPEAKERS[place]]
        baseline = Baseline.fit(others, of="place")
        if by == "speaker":
            start = place - place % 5
            own = [one for number, one in enumerate(results) if start <= number < start + 5 and number != place]
            baseline = Baseline.fit(own).within(baseline)
        expected = scored(model.adjusted(prior, baseline.corrections(model)), task)
        assert relative[place].scores == pytest.approx(expected.scores, abs=1e-4)
        for name, one in expected.modalities.items():
            assert relative[place].modalities[name].scores == pytest.approx(one.scores, abs=1e-4)
            assert relative[place].modalities[name].weight == pytest.approx(one.weight, abs=1e-6)
        assert relative[place].notes == ("baseline",)
        moved = max(moved, *(abs(rows[place].scores[label] - share) for label, share in expected.scores.items()))
    assert moved > 0.1


def test_rows_without_a_person_or_without_scores_stay(model: EmotionModel) -> None:
    rows = [Row.of(one) for one in results_of(model)]
    rows[7] = Row.failed(ValueError("no"))
    plain = relative_rows(rows, ["", *["anna"] * 7, *[""] * 12], "speaker", model)
    assert [number for number, row in enumerate(plain) if row.notes] == [1, 2, 3, 4, 5, 6]
    assert (plain[0], plain[7]) == (rows[0], rows[7])
    alone = relative_rows(rows[:2], ["anna", "ben"], "speaker", model)
    assert alone == tuple(rows[:2])  # two people are no place, and nobody has another clip


def test_everybody_is_the_place_of_those_who_are_not_known(model: EmotionModel) -> None:
    results = results_of(model)
    relative = relative_rows([Row.of(one) for one in results], [""] * len(results), "place", model)
    baseline = Baseline.fit(results[1:], of="place")
    expected = scored(model.adjusted("balanced", baseline.corrections(model)), TASKS[0])
    assert relative[0].scores == pytest.approx(expected.scores, abs=1e-4)


def test_who_is_in_a_clip() -> None:
    tasks = [Task(Clip(Path(f"/clips/{name}.mp4")), None) for name in ("anna/1", "anna/2", "ben/1")]
    assert people_of([*tasks, Task(Clip(text="Hello."), None)], "folder") == [
        "/clips/anna",
        "/clips/anna",
        "/clips/ben",
        "",
    ]
    assert people_of(tasks, "place") == ["", "", ""]
    with pytest.raises(ArgumentError, match="no clip has a speaker"):
        people_of(tasks, "speaker")
    with pytest.raises(ArgumentError, match="needs 3 people at least, and there are 2"):
        people_of(TASKS[:10], "place")


def test_a_head_that_reads_more_than_scores_is_refused(model: EmotionModel) -> None:
    gated = GatedFusion(EKMAN7, {"text": 0.0}, {"text": np.zeros(3)}, 0.5)
    with pytest.raises(ArgumentError, match="GatedFusion, the fusion head of 'own', reads more than the scores"):
        check_rescorable(EmotionModel([TinyEncoder()], gated))
    check_rescorable(model)


@pytest.mark.slow
def test_a_batch_is_relative_to_its_speakers_and_keeps_plain_rows(tmp_path: Path) -> None:
    lines = ("I am so happy!", "I am so sad.", "It makes me angry.", "That is disgusting.", "What a surprise!")
    clips = [Clip(text=f"{line} {who}", id=f"{who}{n}", speaker=who) for who in "xy" for n, line in enumerate(lines)]
    clips.append(Clip(text="Who knows?", id="nobody"))
    manifest, out = Manifest(tuple(clips), EKMAN7), tmp_path / "out.jsonl"
    states = list[BatchProgress]()
    given = {"modalities": ("text",), "workers": 1, "progress": states.append}
    relative = analyze_many(manifest, out, baseline="speaker", **given)  # type: ignore[arg-type]
    words = Analyzer(modalities=("text",))
    baseline = Baseline.fit([words(text=clip.text) for clip in clips[1:5]])
    expected = Analyzer(modalities=("text",), baseline=baseline)(text=clips[0].text)
    assert relative.rows[0].scores == pytest.approx(expected.scores, abs=1e-4)
    assert [row.notes for row in relative.rows].count(("baseline",)) == 10
    written = str(manifest.write(tmp_path / "clips.csv"))
    asked = ["--modalities", "text", "--baseline", "speaker", "--workers", "1", "--out", str(out)]
    done = CliRunner().invoke(app, ["analyze", written, *asked])
    assert done.exit_code == 0, done.output
    assert "1 without a baseline: no person is known" in done.stdout
    plain = analyze_many(manifest, out, **given)  # type: ignore[arg-type]
    assert states[-1].kept == len(clips)
    assert plain.rows[0].scores == pytest.approx(words(text=clips[0].text).scores, abs=1e-5)
    adaptation = Adaptation.fit([(clips[0], "happiness"), (clips[1], "sadness")], analyzer=words)
    known = {"prior": {"neutral": 0.6}, "baseline": replace(baseline, mixed=True), "adaptation": adaptation}
    personal = analyze_many(manifest, out, **given, **known)  # type: ignore[arg-type]
    assert states[-1].kept == 0
    alone = Analyzer(modalities=("text",), **known)(text=clips[6].text)  # type: ignore[arg-type]
    assert personal.rows[6].scores == pytest.approx(alone.scores, abs=2e-3)  # their documents are rounded
    assert set(personal.rows[6].notes) == {"baseline", "adapted"}


@pytest.mark.slow
def test_what_does_not_go_together_is_refused_before_the_work(model: EmotionModel, tmp_path: Path) -> None:
    clips, text = Manifest((Clip(text="Hello.", id="a", speaker="x"),), EKMAN7), ("text",)
    with pytest.raises(ArgumentError, match="Did you mean 'speaker'"):
        analyze_many(clips, modalities=text, baseline="speakers")  # type: ignore[arg-type]
    adaptation = Adaptation.of_encodings([(scored(model, TASKS[0]).encodings, "anger")], model)
    with pytest.raises(ArgumentError, match="don't go together"):
        analyze_many(clips, modalities=text, baseline="speaker", adaptation=adaptation)
    foreign = Baseline.fit([replace(one, weights={"text": "0" * 64}) for one in results_of(model)])
    with pytest.raises(ArgumentError, match="Make the baseline again"):
        analyze_many(clips, tmp_path / "out.csv", modalities=text, baseline=foreign)
    with pytest.raises(ArgumentError, match="Label of a prior"):
        analyze_many(clips, tmp_path / "out.csv", modalities=text, prior={"boredom": 0.5})
    assert not list(tmp_path.iterdir())
