"""From a manifest of real small clips to the table: every subset of a model's modalities, and what can go wrong."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

import mmemo
from mmemo.cli import app
from mmemo.comparison.compare import compare_predictions
from mmemo.comparison.html import page
from mmemo.comparison.predictions import Predictions
from mmemo.comparison.run_folder import write_run
from mmemo.data import FeatureCache, Manifest
from mmemo.encoders.base import Encoding
from mmemo.errors import ArgumentError, LeakError, ManifestError, UnknownModelError
from mmemo.evaluation.metrics import concordance
from mmemo.fusion.late import LateFusion
from mmemo.labels import EKMAN7, EMODB7, RAVDESS8, LabelSet
from mmemo.testing import TinyEncoder

pytestmark = pytest.mark.slow


def test_every_subset_on_the_same_clips(clips: Manifest, model: mmemo.EmotionModel, cache: FeatureCache) -> None:
    comparison = mmemo.compare(model, on=clips, corruptions=True, draws=200, cache=cache)
    assert [system.name for system in comparison.systems] == ["voice", "text", "voice + text"]
    assert comparison.unimodal == ("voice", "text")
    assert comparison["text"].accuracy.value == 1  # the words give the emotion away, the sound does not
    assert (comparison.clips, comparison.speakers) == (6, 3)
    assert any("3 speakers only" in note for note in comparison.notes)
    assert any("trained on any of these clips is not known" in note for note in comparison.notes)
    assert any("No clip is labeled neutral, anger" in note for note in comparison.notes)
    assert {group.column for group in comparison["text"].groups} == {"speaker", "gender"}
    curves = {(curve.condition, curve.system): curve for curve in comparison.curves}
    words = curves["errors in the words", "text"]
    assert len(words.accuracy) == 6
    assert words.accuracy[0].value == 1
    noise = curves["noise in the sound", "voice"]
    assert noise.accuracy[-1].value < noise.accuracy[0].value
    text_only = curves["noise in the sound", "text"]
    assert all(one.value == 1 for one in text_only.accuracy)
    assert ("blur of the picture", "voice + text") not in curves


def test_each_system_with_and_without_a_baseline(
    clips: Manifest, model: mmemo.EmotionModel, predictions: Predictions, cache: FeatureCache
) -> None:
    comparison = mmemo.compare(model, on=clips, baseline="speaker", draws=50, cache=cache)
    plain = ("voice", "text", "voice + text")
    assert tuple(comparison.by_name) == (*plain, *(f"{name} (baseline)" for name in plain))
    assert comparison.unimodal == ("voice", "text", "voice (baseline)", "text (baseline)")
    assert any({pair.first, pair.second} == {"voice", "voice (baseline)"} for pair in comparison.pairs)
    console = Console(file=StringIO(), width=120)
    console.print(comparison.to_table())
    table = console.file.getvalue()  # type: ignore[attr-defined]
    assert "Gain by a baseline of the speaker's other clips\n" in table
    assert "\nvoice + text " in table.partition("Gain by a baseline")[2]
    with pytest.raises(ArgumentError, match="lacks that of 6"):
        mmemo.compare(model, on=clips.update(lambda _: {"speaker": None}), baseline="speaker")
    with pytest.raises(ArgumentError, match=r"expected one of \['speaker'\]"):
        mmemo.compare(model, on=clips, baseline="folder")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="baseline needs a model"):
        mmemo.compare(predictions, baseline="speaker", draws=5)


def test_the_second_time_comes_from_the_cache(
    clips: Manifest, model: mmemo.EmotionModel, cache: FeatureCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    mmemo.compare(model, on=clips, corruptions=True, draws=10, cache=cache)

    def refuse(*given: object) -> None:
        raise AssertionError("media were read again")

    monkeypatch.setattr("mmemo.comparison.corruptions.clip_evidence", refuse)
    monkeypatch.setattr("mmemo.data.evidence.clip_evidence", refuse)
    mmemo.compare(model, on=clips, corruptions=True, draws=10, cache=cache)


def test_a_modality_that_no_clip_has_is_left_out_with_a_note(clips: Manifest, model: mmemo.EmotionModel) -> None:
    words = Manifest(tuple(mmemo.Clip(text=clip.text, id=clip.id, label=clip.label) for clip in clips), clips.labels)
    comparison = mmemo.compare(model, on=words, draws=20)
    assert [system.name for system in comparison.systems] == ["text"]
    assert "No clip has any voice, so it is left out." in comparison.notes
    assert any("speaker of some clips is not known" in note for note in comparison.notes)
    silent = Manifest(tuple(mmemo.Clip(text="...", id=clip.id, label=clip.label) for clip in clips), clips.labels)
    with pytest.raises(ManifestError, match="no clip has any"):
        mmemo.compare(mmemo.load_model(modalities=("voice",)), on=silent)


def test_one_class_and_two_speakers_work_with_a_note(predictions: Predictions) -> None:
    one = compare_predictions(predictions.rows(predictions.target == 1), draws=50)
    assert any("All clips are labeled 'b'" in note for note in one.notes)
    assert one["late"].accuracy.value == pytest.approx(one["late"].recalls["b"].value)
    two = compare_predictions(
        predictions.rows(np.isin(predictions.groups["speaker"], ["speaker 0", "speaker 1"])), draws=50
    )
    assert two.speakers == 2
    assert any("2 speakers only" in note for note in two.notes)


def _spoken_words(batch: list[np.ndarray]) -> str:
    return "".join(chr(int(letter)) for letter in batch[0])


def test_nan_in_an_encoding_leaves_the_clip_out_by_name(clips: Manifest, model: mmemo.EmotionModel) -> None:
    class Broken(TinyEncoder):
        fingerprint = "broken"
        always = False

        def encode(self, batch: list[np.ndarray]) -> Encoding:  # type: ignore[override]
            encoding = super().encode(batch)
            return Encoding(
                encoding.tokens,
                encoding.mask,
                encoding.logits * np.nan if self.always or "sad" in _spoken_words(batch) else encoding.logits,
            )

    broken = mmemo.EmotionModel([Broken()], LateFusion(EKMAN7, {"text": 1.0}))
    comparison = mmemo.compare(broken, on=clips, draws=20)
    assert comparison.clips == 3  # without those of which the encoder makes NaN, each of them named
    assert (
        sum("the text encoder failed. Encoding: tokens and logits must be finite" in note for note in comparison.notes)
        == 3
    )
    Broken.always = True
    with pytest.raises(ManifestError, match="NaN or infinity"):
        mmemo.compare(broken, on=clips)


def test_a_run_is_read_and_its_model_never_predicts_clips_it_was_fitted_on(
    clips: Manifest, model: mmemo.EmotionModel, tmp_path: Path
) -> None:
    held_out = clips[:2]
    scores = np.full((2, 7), 0.1) + 0.3 * np.eye(7)[[1, 2]]
    ids = np.array([clip.id for clip in held_out])
    target = np.array([EKMAN7.index(str(clip.label)) for clip in held_out])
    predictions = Predictions(tuple(EKMAN7), ids, target, {"face": scores, "mine": scores})
    write_run(tmp_path, predictions, fitted_on=[clip.id for clip in clips[2:]])
    comparison = mmemo.compare(tmp_path, on=clips, draws=20)
    assert comparison.clips == 2
    assert any("held-out scores of 2 of the manifest's 6" in note for note in comparison.notes)
    assert {group.column for group in comparison["mine"].groups} == set()  # both clips are of one speaker
    with pytest.raises(UnknownModelError, match="no model to predict"):
        mmemo.compare(tmp_path, on=clips[2:])
    model.save(tmp_path / "model")
    with pytest.raises(LeakError, match="fitted on 4 of these clips"):
        mmemo.compare(tmp_path, on=clips[2:])


def test_too_many_pairs_for_the_resamples_get_a_note(predictions: Predictions) -> None:
    assert any("can't resolve a corrected p below" in note for note in compare_predictions(predictions, draws=50).notes)
    assert not any("corrected p" in note for note in compare_predictions(predictions, draws=1000).notes)


def test_two_runs_side_by_side(predictions: Predictions, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_run(tmp_path / name, predictions)
    comparison = mmemo.compare(
        tmp_path / "one", tmp_path / "two", systems=["one: late", "two: late", "one: face"], draws=20
    )
    assert comparison.pair("one: late", "two: late").gain.value == 0
    assert comparison.unimodal == ("one: face",)


def test_sources_that_do_not_fit_are_refused(
    clips: Manifest, model: mmemo.EmotionModel, predictions: Predictions, tmp_path: Path
) -> None:
    with pytest.raises(ArgumentError, match="Nothing to compare"):
        mmemo.compare()
    with pytest.raises(ArgumentError, match=r"on=MANIFEST"):
        mmemo.compare(model)
    with pytest.raises(ArgumentError, match="draws of 1 or more"):
        mmemo.compare(predictions, draws=0)
    with pytest.raises(ArgumentError, match="split chooses"):
        mmemo.compare(predictions, split="test")
    with pytest.raises(ArgumentError, match="corruptions needs a model"):
        mmemo.compare(predictions, corruptions=True, draws=5)
    with pytest.raises(UnknownModelError):
        mmemo.compare(tmp_path / "nothing", on=clips)
    unlabeled = clips.update(lambda _: {"label": None})
    with pytest.raises(ManifestError, match="no clip has a label"):
        mmemo.compare(mmemo.EmotionModel([TinyEncoder()], LateFusion(EKMAN7, {"text": 1.0})), on=unlabeled)
    foreign = Manifest((mmemo.Clip(text="x", id="x", label="boredom"),), EMODB7)
    tiny = mmemo.EmotionModel([TinyEncoder(RAVDESS8)], LateFusion(RAVDESS8, {"text": 1.0}))
    with pytest.raises(ArgumentError, match="no mapping between"):
        mmemo.compare(tiny, on=foreign)


def test_labels_of_a_corpus_are_mapped_with_a_note() -> None:
    clips = tuple(mmemo.Clip(text=f"well {label}", id=label, label=label) for label in RAVDESS8)
    tiny = mmemo.EmotionModel([TinyEncoder()], LateFusion(EKMAN7, {"text": 1.0}))
    comparison = mmemo.compare(tiny, on=Manifest(clips, RAVDESS8), draws=20)
    assert comparison.clips == 8
    assert any("Calm is counted as neutral" in note for note in comparison.notes)


def test_some_of_the_models_labels_need_no_mapping() -> None:
    few = LabelSet("few", ("sadness", "anger"))
    clips = tuple(mmemo.Clip(text=f"well {label}", id=label, label=label) for label in few)
    tiny = mmemo.EmotionModel([TinyEncoder()], LateFusion(EKMAN7, {"text": 1.0}))
    comparison = mmemo.compare(tiny, on=Manifest(clips, few), draws=20)
    assert comparison.labels == tuple(EKMAN7)
    assert not any("mapped" in note for note in comparison.notes)


def test_valence_of_an_encoder_is_measured_too() -> None:
    class Feeling(TinyEncoder):
        def encode(self, batch: list[np.ndarray]) -> Encoding:  # type: ignore[override]
            encoding = super().encode(batch)
            means = np.array([item.mean() for item in batch], np.float32)
            affect = np.stack([means / 200, means * 0, 0.5 - means / 200], axis=1).astype(np.float32)
            return Encoding(encoding.tokens, encoding.mask, encoding.logits, affect=affect)

    words = ["aaa", "ggg", "mmm", "sss", "yyy"]
    valence = {word: ord(word[0]) / 200 for word in words}
    clips = tuple(
        mmemo.Clip(text=word, id=word, label="anger", valence=valence[word], dominance=4.0 + n)
        for n, word in enumerate(words)
    )
    model = mmemo.EmotionModel([Feeling()], LateFusion(EKMAN7, {"text": 1.0}))
    comparison = mmemo.compare(model, on=Manifest(clips, EKMAN7), draws=50)
    assert comparison["text"].concordance["valence"].value == pytest.approx(1, abs=1e-4)
    assert set(comparison["text"].concordance) == {"valence"}
    assert any("dominance goes from 4 to 8; encoders predict it from -1 to 1" in note for note in comparison.notes)
    assert "<h2>Dimensions" in page(comparison)


def test_valence_that_follows_from_scores_is_named_derived() -> None:
    words = ["aaa", "ggg", "mmm", "sss", "yyy"]
    clips = Manifest([mmemo.Clip(text=w, id=w, label="anger", valence=n / 5) for n, w in enumerate(words)], EKMAN7)
    tiny = mmemo.EmotionModel([TinyEncoder()], LateFusion(EKMAN7, {"text": 1.0}))
    comparison = mmemo.compare(tiny, on=clips, draws=20)
    assert set(comparison["text"].concordance) == {"valence (derived)"}
    derived = [mmemo.analyze(text=word, model=tiny).affect for word in words]
    expected = concordance(np.arange(5) / 5, np.array([affect.valence for affect in derived if affect is not None]))
    assert comparison["text"].concordance["valence (derived)"].value == pytest.approx(expected, abs=1e-4)
    assert "valence (derived)" in page(comparison)


def test_only_the_test_split_is_predicted() -> None:
    clips = tuple(
        mmemo.Clip(text=f"number {n}", id=str(n), label="anger", split="test" if n % 2 else "train") for n in range(8)
    )
    tiny = mmemo.EmotionModel([TinyEncoder()], LateFusion(EKMAN7, {"text": 1.0}))
    manifest = Manifest(clips, EKMAN7)
    assert mmemo.compare(tiny, on=manifest, draws=5).clips == 4
    assert mmemo.compare(tiny, on=manifest, split="all", draws=5).clips == 8
    with pytest.raises(ManifestError, match="expected one of"):
        mmemo.compare(tiny, on=manifest, split="val")


def test_the_command(predictions: Predictions, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    write_run(tmp_path / "run", predictions)
    run = CliRunner()
    done = run.invoke(
        app,
        ["compare", str(tmp_path / "run"), "--draws", "50", "--out", str(tmp_path / "page.html")],
        terminal_width=150,
    )
    assert done.exit_code == 0, done.output
    assert "Gain over" in done.stdout
    assert "240 clips of 8 speakers" in done.stdout
    assert (tmp_path / "page.html").is_file()
    done = run.invoke(app, ["compare", str(tmp_path / "run"), "--systems", "face,late", "--draws", "50", "--json"])
    assert list(json.loads(done.stdout)["systems"]) == ["face", "late"]
    done = run.invoke(app, ["compare", str(tmp_path / "run"), "--out", "table.doc"])
    assert isinstance(done.exception, ArgumentError)
