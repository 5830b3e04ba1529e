"""Recipes a user runs, on a small corpus from its spreadsheet to `analyze`."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

import mmemo
from mmemo.data import Manifest
from mmemo.data.corpora import read_corpus
from mmemo.errors import ArgumentError, LeakError, ManifestError, WeightsError
from mmemo.fusion.boosting import BoostingFusion
from mmemo.fusion.stacked import StackedFusion
from mmemo.labels import EKMAN7, LabelSet
from mmemo.samples import make_corpus

pytestmark = pytest.mark.slow

RECIPES = Path(__file__).parent.parent / "recipes"


def recipe(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, RECIPES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_a_head_trained_on_a_manifest_serves_analyze(tmp_path: Path) -> None:
    columns = {"path": "file", "label": "emotion", "speaker": "actor", "transcript": "words"}
    sheet = make_corpus(tmp_path / "clips")
    manifest = read_corpus("table", sheet, columns=columns).manifest
    shares = {"train": 0.5, "val": 0.25, "test": 0.25}
    manifest.split(by="speaker", shares=shares).write(tmp_path / "clips.jsonl")
    run = tmp_path / "run"
    main = recipe("fusion_manifest").main
    main(tmp_path / "clips.jsonl", run, head="stacked,boosted", modalities="voice,text", draws=20)
    results = json.loads((run / "results.json").read_text())
    assert results["config"]["head"] == "stacked,boosted"
    assert results["config"]["chosen"] in results["validation"]
    comparison = mmemo.compare(run, draws=20)
    assert [system.name for system in comparison.systems] == ["voice", "text", "stacked", "boosted"]
    assert comparison["text"].accuracy.value == results["systems"]["text"]["accuracy"]["value"]
    model = mmemo.load_model(run)
    assert isinstance(model.fusion, {"stacked": StackedFusion, "boosted": BoostingFusion}[results["config"]["chosen"]])
    with pytest.raises(LeakError, match="fitted on"):
        mmemo.compare(run, on=manifest.split(by="speaker", shares=shares).part("train"))
    words = "I am so sad that I could cry"
    result = mmemo.analyze(tmp_path / "clips/0-sadness.mp4", text=words, model=model)
    assert result.label == "sadness"
    assert sum(one.weight or 0 for one in result.modalities.values()) == pytest.approx(1, abs=1e-4)

    manifest.split(by="id", shares=shares).write(tmp_path / "leaking.jsonl")
    with pytest.raises(LeakError, match="speaker"):
        main(tmp_path / "leaking.jsonl", run, modalities="voice,text")


def test_other_labels_get_probes_and_a_modality_that_no_clip_has_is_left_out(tmp_path: Path) -> None:
    words = {"cheerful": "I am so happy and I love it", "gloomy": "I am so sad that I could cry"}
    clips = tuple(
        mmemo.Clip(
            text=f"{text}, number {number}.", id=f"{label} {number}", label=label, speaker=f"speaker {number % 6}"
        )
        for label, text in words.items()
        for number in range(12)
    )
    moods = LabelSet("moods", tuple(words))
    Manifest(clips, moods).split(by="speaker", shares={"train": 0.5, "val": 0.25, "test": 0.25}).write(
        tmp_path / "clips.jsonl"
    )
    run = tmp_path / "run"
    recipe("fusion_manifest").main(
        tmp_path / "clips.jsonl", run, head="stacked", modalities="voice,text", draws=20, allow=["text"]
    )
    results = json.loads((run / "results.json").read_text())
    assert results["config"]["refit"] is True
    model = mmemo.load_model(run)
    assert model.modalities == ("text",)
    assert tuple(model.labels) == ("cheerful", "gloomy")
    assert mmemo.analyze(text="I am so sad that I could cry", model=model).label == "gloomy"
    assert mmemo.compare(run, draws=20)["text"].accuracy.value == 1


def test_a_run_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    mmemo.load_model(modalities=("text",)).save(tmp_path / "run" / "model")
    config = tmp_path / "run" / "model" / "fusion" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "format": 99}))
    with pytest.raises(WeightsError, match=r"newer mmemo \(format 99"):
        mmemo.load_model(tmp_path / "run")


def test_two_speakers_can_not_be_split_in_three(tmp_path: Path) -> None:
    clips = tuple(
        mmemo.Clip(text=f"I am happy, {n}.", id=str(n), label="happiness", speaker=f"speaker {n % 2}") for n in range(8)
    )
    Manifest(clips, EKMAN7).write(tmp_path / "clips.jsonl")
    with pytest.raises(ManifestError, match="speaker"):
        recipe("fusion_manifest").main(tmp_path / "clips.jsonl", tmp_path / "run", modalities="text")


def test_one_class_only_is_refused(tmp_path: Path) -> None:
    clips = tuple(
        mmemo.Clip(text=f"I am happy, number {n}.", id=str(n), label="happiness", speaker=f"speaker {n}")
        for n in range(9)
    )
    Manifest(clips, EKMAN7).write(tmp_path / "clips.jsonl")
    with pytest.raises(ArgumentError, match="all samples are 'happiness'"):
        recipe("fusion_manifest").main(
            tmp_path / "clips.jsonl", tmp_path / "run", head="stacked", modalities="text", allow=["text"]
        )
