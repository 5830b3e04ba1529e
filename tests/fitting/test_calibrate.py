"""Calibrating: it corrects a model that is wrong here, and leaves one alone that is right or that few clips can't judge."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import mmemo
from mmemo import CalibrateOptions, EmotionModel
from mmemo.cli import app
from mmemo.data import Manifest, read_corpus
from mmemo.encoders.base import Encoding
from mmemo.errors import ArgumentError, ManifestError
from mmemo.fitting.calibrate import calibrate_samples
from mmemo.fitting.corrections import Corrections, fit_corrections
from mmemo.fitting.samples import Samples
from mmemo.fusion.late import LateFusion, RuleFusion, scores_only
from mmemo.labels import EKMAN7, LabelSet
from mmemo.samples import make_corpus
from mmemo.testing import TinyEncoder

QUICK = CalibrateOptions(strengths=(10.0,))
BIAS = np.array([2.5, 0.0, -1.0, 0.0, -1.5, 0.0, 0.0])


class Expert(TinyEncoder):
    """An encoder whose logits the tests give."""

    def __init__(self, modality: str) -> None:
        super().__init__()
        self.modality = modality


@pytest.fixture
def model() -> EmotionModel:
    experts = [Expert("face"), Expert("voice")]
    head = LateFusion(EKMAN7, {"face": 0.5, "voice": 0.5}, 1.0)
    return EmotionModel(experts, head, priors={"face": EKMAN7.scores(np.array([4, 2, 1, 1, 1, 1, 2]) / 12)})


def samples(people: int, clips: int, bias: np.ndarray, seed: int = 0) -> Samples:
    """Clips whose logits are log-likelihood ratios with the face's prior in, and shifted by ``bias`` in the face."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 7, people * clips)
    logits = {m: rng.normal(0, 1.4, (len(target), 7)) + 2 * np.eye(7)[target] for m in ("face", "voice")}
    logits["face"] += np.log(np.array([4, 2, 1, 1, 1, 1, 2]) / 12) + bias
    encodings = {m: scores_only(one.astype(np.float32)) for m, one in logits.items()}
    speakers = np.repeat([f"speaker {number}" for number in range(people)], clips)
    return Samples(np.arange(len(target)).astype(str), encodings, target, {"speaker": speakers})


def accuracy(model: EmotionModel, of: Samples) -> float:
    fused = model.fuse({modality: model.calibrate(modality, one) for modality, one in of.encodings.items()})
    return float((fused.argmax(axis=1) == of.target).mean())


def test_a_biased_model_is_corrected_also_for_people_it_was_not_fitted_on(model: EmotionModel) -> None:
    calibration, corrected, predictions = calibrate_samples(model, samples(12, 8, BIAS), CalibrateOptions())
    assert calibration.changed
    assert calibration.loss_after < calibration.loss_before
    others = samples(60, 8, BIAS, seed=1)
    assert accuracy(corrected, others) > accuracy(model, others) + 0.03
    assert corrected.priors["face"][0] > 1.5 * model.priors["face"][0]  # neutral was scored too high
    assert "helps here" in str(calibration)
    assert set(predictions.scores) == {
        *("face", "voice", "face + voice"),
        *("face (calibrated)", "voice (calibrated)", "face + voice (calibrated)"),
    }


@pytest.mark.parametrize("seed", range(4))
def test_a_model_that_is_right_stays_as_it_is(model: EmotionModel, seed: int) -> None:
    calibration, corrected, _ = calibrate_samples(model, samples(5, 2, 0 * BIAS, seed), QUICK)
    assert not calibration.changed
    assert corrected is model
    assert "does not help here" in str(calibration)


def test_two_people_can_not_tell(model: EmotionModel) -> None:
    calibration, corrected, _ = calibrate_samples(model, samples(2, 20, BIAS), QUICK)
    assert corrected is model
    assert any("2 people are too few" in note for note in calibration.notes)


def test_one_person_and_unknown_people_are_left_out_clip_by_clip(model: EmotionModel) -> None:
    calibration, _, _ = calibrate_samples(model, samples(1, 30, BIAS), QUICK)
    assert calibration.people == 30
    assert any("holds for this person" in note for note in calibration.notes)
    nameless = samples(3, 10, BIAS)
    nameless.groups["speaker"][0] = ""
    calibration, _, _ = calibrate_samples(model, nameless, QUICK)
    assert any("flatters" in note for note in calibration.notes)


def test_held_out_scores_come_from_corrections_of_other_people(model: EmotionModel) -> None:
    given = samples(4, 10, BIAS)
    _, _, predictions = calibrate_samples(model, given, QUICK)
    here = given.groups["speaker"] == "speaker 2"
    others = given.rows(np.flatnonzero(~here))
    corrected = fit_corrections(model, others.encodings, others.target, 10.0).of(model)
    face = corrected.calibrate("face", given.rows(np.flatnonzero(here)).encodings["face"])
    assert predictions.scores["face (calibrated)"][here] == pytest.approx(corrected.scores(face))


def test_corrections_vanish_as_the_pull_grows(model: EmotionModel) -> None:
    given = samples(12, 8, BIAS)
    weak, strong = (fit_corrections(model, given.encodings, given.target, strength) for strength in (1.0, 1e6))
    assert np.abs(weak.offsets["face"]).max() > 0.5
    assert np.abs(strong.offsets["face"]).max() < 0.01
    assert strong.scales["face"] == pytest.approx(1, abs=0.01)
    assert strong.weights["face"] == pytest.approx(1, abs=0.05)


def test_no_correction_changes_no_score(model: EmotionModel) -> None:
    encoding = samples(3, 3, BIAS).encodings["face"]
    before, after = (one.scores(one.calibrate("face", encoding)) for one in (model, Corrections().of(model)))
    assert after == pytest.approx(before, abs=1e-6)


def test_a_scale_takes_the_prior_with_it(model: EmotionModel) -> None:
    """Else a modality that is found too sure would lean to the labels that are rare in its training."""
    encoding = samples(3, 3, BIAS).encodings["face"]
    halved = Corrections(scales={"face": 0.5}).of(model)
    before, after = (np.log(one.scores(one.calibrate("face", encoding))) for one in (model, halved))
    assert np.diff(after, axis=1) == pytest.approx(0.5 * np.diff(before, axis=1), abs=1e-4)


def test_of_labels_that_no_clip_has_nothing_is_learned(model: EmotionModel) -> None:
    given = samples(12, 20, BIAS)
    given = given.rows(np.flatnonzero(given.target < 2))
    corrections = fit_corrections(model, given.encodings, given.target, 10.0)
    assert corrections.offsets["face"][:2].any()
    assert not corrections.offsets["face"][2:].any()


def test_a_head_without_weights_keeps_its_rule(model: EmotionModel) -> None:
    rule = EmotionModel(list(model.encoders.values()), RuleFusion(EKMAN7, ("face", "voice")))
    calibration, corrected, _ = calibrate_samples(rule, samples(12, 8, BIAS), QUICK)
    assert calibration.changed
    assert calibration.weights == {}
    assert isinstance(corrected.fusion, RuleFusion)


def test_a_modality_that_some_clips_lack(model: EmotionModel) -> None:
    given = samples(12, 8, BIAS)
    voice = given.encodings["voice"]
    given.encodings["voice"] = Encoding(
        voice.tokens, voice.mask & (np.arange(len(given)) % 3 > 0)[:, None], voice.logits
    )
    assert calibrate_samples(model, given, QUICK)[0].changed


@pytest.mark.slow
def test_a_run_serves_analyze_and_compare(tmp_path: Path) -> None:
    columns = {"path": "file", "label": "emotion", "speaker": "actor", "transcript": "words"}
    corpus = read_corpus("table", make_corpus(tmp_path / "clips", speakers=3), columns=columns).manifest
    corpus = corpus.update(lambda clip: {"split": "test" if clip.speaker == "actor 2" else None})
    corpus.write(tmp_path / "clips.jsonl")
    options = CalibrateOptions(modalities=("voice", "text"), strengths=(5.0, 50.0))
    calibration = mmemo.calibrate(tmp_path / "clips.jsonl", tmp_path / "run", options)
    assert (calibration.clips, calibration.people, calibration.shares) == (4, 2, {"happiness": 0.5, "sadness": 0.5})
    assert any("2 clips of the split test are left out" in note for note in calibration.notes)
    saved = json.loads((tmp_path / "run" / "results.json").read_text())
    assert saved["options"]["strengths"] == [5.0, 50.0]
    assert saved["calibration"]["clips"] == 4
    comparison = mmemo.compare(tmp_path / "run", draws=20)
    assert comparison.unimodal == ("voice", "text", "voice (calibrated)", "text (calibrated)")
    assert mmemo.compare(tmp_path / "run", on=tmp_path / "clips.jsonl", draws=20).clips == 2
    words = "I am so sad that I could cry"
    assert mmemo.analyze(text=words, model=tmp_path / "run").label == mmemo.analyze(text=words).label == "sadness"


@pytest.mark.slow
def test_the_command_line_says_whether_it_helps(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    clips = [
        mmemo.Clip(text=f"I feel {label}.", id=f"{label} {n}", label=label, speaker=f"speaker {n}")
        for label in ("happiness", "sadness")
        for n in range(3)
    ]
    Manifest(tuple(clips), EKMAN7).write(tmp_path / "clips.jsonl")
    arguments = ["calibrate", str(tmp_path / "clips.jsonl"), "--run", str(tmp_path / "run"), "--modalities", "text"]
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "80"})
    assert done.exit_code == 0, done.output
    assert "here: the model was" in done.output
    *table, run = done.output.splitlines()  # the last line has the path
    assert max(map(len, table)) <= 80
    assert run.endswith("mmemo analyze CLIP --model " + str(tmp_path / "run"))
    assert "temperature" in done.output


def texts(labels: tuple[str, ...], of: LabelSet) -> Manifest:
    clips = [mmemo.Clip(text=f"Well, {n}.", id=str(n), label=label, speaker=str(n)) for n, label in enumerate(labels)]
    return Manifest(tuple(clips), of)


def test_clips_that_nothing_can_be_learned_of(tmp_path: Path) -> None:
    options = CalibrateOptions(modalities=("text",))
    with pytest.raises(ManifestError, match="all 2 labeled clips are 'fear'"):
        mmemo.calibrate(texts(("fear", "fear"), EKMAN7), tmp_path / "run", options)
    with pytest.raises(ArgumentError, match="mmemo train"):
        mmemo.calibrate(texts(("calm", "tense"), LabelSet("moods", ("calm", "tense"))), tmp_path / "run", options)
    silent = CalibrateOptions(modalities=("voice",))
    with pytest.raises(ManifestError, match="no clip has any of the modalities"):
        mmemo.calibrate(texts(("fear", "anger"), EKMAN7), tmp_path / "run", silent)
    with pytest.raises(ArgumentError, match="strengths"):
        CalibrateOptions(strengths=(0.0,))
    assert not (tmp_path / "run" / "model").exists()
