"""Recipes a user runs, on a small corpus from its spreadsheet to `analyze`."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import mmemo
from mmemo.data.corpora import read_corpus
from mmemo.errors import LeakError
from mmemo.fusion.stacked import StackedFusion
from mmemo.testing import make_corpus

RECIPES = Path(__file__).parent.parent / "recipes"


def recipe(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, RECIPES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
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
    main(tmp_path / "clips.jsonl", run, head="stacked", modalities="voice,text", draws=20)
    results = json.loads((run / "results.json").read_text())
    assert results["config"]["head"] == "stacked"
    held = np.load(run / "scores.npz")
    assert held["scores fused"].shape == (len(held["target"]), 7)
    model = mmemo.load_model(run / "model")
    assert isinstance(model.fusion, StackedFusion)
    said = "I am so sad that I could cry"
    result = mmemo.analyze(tmp_path / "clips/0-sadness.mp4", text=said, model=model)
    assert result.label == "sadness"
    assert sum(one.weight or 0 for one in result.modalities.values()) == pytest.approx(1, abs=1e-4)

    manifest.split(by="id", shares=shares).write(tmp_path / "leaking.jsonl")
    with pytest.raises(LeakError, match="speaker"):
        main(tmp_path / "leaking.jsonl", run, modalities="voice,text")
