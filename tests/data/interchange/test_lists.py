"""MMSA and EmoBox."""

from __future__ import annotations

import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmemo.clip import Clip
from mmemo.data import Manifest
from mmemo.data.interchange import (
    MmsaFeatures,
    read_emobox,
    read_mmsa_features,
    read_mmsa_labels,
    write_emobox,
    write_mmsa_features,
    write_mmsa_labels,
)
from mmemo.errors import ArgumentError, ManifestError
from mmemo.labels import ASED5, EKMAN7, SENTIMENT3
from mmemo.samples import make_clip

LABELS = """video_id,clip_id,text,label,label_T,label_A,label_V,annotation,mode
-3g5yACwYnA,10,"Key is part of the people, we use",1.0,,,,Positive,train
03bSnISJMiM,11,Anyhow it was really good,-2.4,,,,Negative,valid
video_0001,0001,我不想嫁给李茶,0.0,-0.6,0.2,0.0,Neutral,test
"""


def test_mmsa_labels_as_published(tmp_path: Path) -> None:
    (tmp_path / "label.csv").write_text(LABELS, encoding="utf-8")
    film = tmp_path / "Raw" / "-3g5yACwYnA" / "10.mp4"
    film.parent.mkdir(parents=True)
    film.write_bytes(b"x")
    first, second, third = manifest = read_mmsa_labels(tmp_path / "label.csv", check_media=False)
    assert manifest.labels == SENTIMENT3
    assert (first.id, first.path, first.label, first.valence) == ("-3g5yACwYnA$_$10", film, "positive", 1.0)
    assert (first.dialogue, first.split) == ("-3g5yACwYnA", "train")
    assert (second.path, second.split, second.text) == (None, "val", "Anyhow it was really good")
    assert third.extra == {"clip_id": "0001", "label_T": "-0.6", "label_A": "0.2", "label_V": "0.0"}
    written = write_mmsa_labels(manifest, tmp_path / "again.csv")
    assert read_mmsa_labels(written, check_media=False) == manifest
    assert written.read_text(encoding="utf-8") == LABELS


def test_all_faults_of_mmsa_labels(tmp_path: Path) -> None:
    file = tmp_path / "label.csv"
    file.write_text("video_id,clip_id,text,label,mode\nv,1,a,much,train\nv,2,a,1,dev\nv,3,a,1,train\n")
    with pytest.raises(ManifestError) as told:
        read_mmsa_labels(file)
    assert len(told.value.faults) == 5  # no file is there, and two rows are wrong besides
    file.write_text("video,clip\n1,2\n")
    with pytest.raises(ManifestError, match="got 'video_id'"):
        read_mmsa_labels(file)
    with pytest.raises(ManifestError, match="clip 'x' has no dialogue, turn, valence, split"):
        write_mmsa_labels(Manifest((Clip(text="a", id="x"),), SENTIMENT3), tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def features(count: int) -> MmsaFeatures:
    rng = np.random.default_rng(count)
    arrays = {
        "raw_text": np.array([f"words {number}" for number in range(count)]),
        "audio": rng.normal(size=(count, 4, 5)).astype(np.float32),
        "vision": rng.normal(size=(count, 3, 2)),
        "audio_lengths": np.arange(count),
        "regression_labels": rng.normal(size=count).astype(np.float32),
    }
    return MmsaFeatures(tuple(f"video$_${number}" for number in range(count)), arrays)


def test_mmsa_features_and_back(tmp_path: Path) -> None:
    wanted = {"train": features(5), "val": features(2), "test": features(3)}
    file = write_mmsa_features(wanted, tmp_path / "unaligned.pkl")
    assert set(pickle.loads(file.read_bytes())) == {"train", "valid", "test"}  # as MMSA names them
    found = read_mmsa_features(file)
    assert list(found) == list(wanted)
    for split, part in wanted.items():
        assert found[split].ids == part.ids
        assert found[split].arrays.keys() == part.arrays.keys()
        for name, array in part.arrays.items():
            assert np.array_equal(found[split].arrays[name], array)
            assert found[split].arrays[name].dtype == array.dtype


def test_mmsa_features_with_lists_and_ids_in_arrays(tmp_path: Path) -> None:
    data = {
        "train": {
            "id": np.array([["v$_$1"], ["v$_$2"]]),
            "raw_text": ["a", "b"],
            "annotations": ["Positive", "Neutral"],
        }
    }
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(data))
    (part,) = read_mmsa_features(tmp_path / "x.pkl").values()
    assert part.ids == ("v$_$1", "v$_$2")
    assert part.arrays["raw_text"].tolist() == ["a", "b"]


class Attack:
    def __reduce__(self) -> object:
        return os.system, ("touch victim",)


def test_mmsa_features_with_code_or_of_unequal_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "x.pkl"
    file.write_bytes(pickle.dumps({"train": {"id": ["a"], "audio": Attack()}}))
    with pytest.raises(ManifestError, match="anything else can be code"):
        read_mmsa_features(file)
    assert not Path("victim").exists()
    bad = {
        "train": {"id": ["a"], "audio": np.zeros((2, 3)), "text": np.zeros((3, 3))},
        "test": {"audio": []},
        "valid": None,
    }
    file.write_bytes(pickle.dumps(bad))
    with pytest.raises(ManifestError) as told:
        read_mmsa_features(file)
    assert [fault.split(":")[0] for fault in told.value.faults] == ["train", "test"]
    assert "audio has shape (2, 3), text has shape (3, 3)" in told.value.faults[0]
    file.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(ManifestError, match="expected a mapping with train, valid, test"):
        read_mmsa_features(file)
    with pytest.raises(ArgumentError, match=r"got \['dev'\]"):
        write_mmsa_features({"dev": features(1)}, file)


EMOBOX = (
    '{"key": "ased-a5-06-01-01-21", "dataset": "ased", "wav": "downloads/ased/05Angry/a5-06-01-01-21.wav", "type": "raw", '
    '"sample_rate": 16000, "num_frame": 32000.0, "task": "category", "length": 2.0, "emo": "a", "channel": 1}\n'
    '{"key": "ased-n1-02-01-01-25", "dataset": "ased", "wav": "downloads/ased/01Neutral/n1-02-01-01-25.wav", "type": "raw", '
    '"sample_rate": 16000, "num_frame": 48000.0, "task": "category", "length": 3.0, "emo": "n", "channel": 1, '
    '"start_time": 1.5, "end_time": 4.5}\n'
)


def test_emobox_as_published(tmp_path: Path) -> None:
    file = tmp_path / "ased_valid_fold_1.jsonl"
    file.write_text(EMOBOX)
    label_map = {"a": "angry", "n": "neutral"}
    first, second = read_emobox(file, ASED5, root="/corpora", label_map=label_map, check_media=False)
    assert first.path == Path("/corpora/downloads/ased/05Angry/a5-06-01-01-21.wav")
    assert (first.id, first.corpus, first.label, first.split) == ("ased-a5-06-01-01-21", "ased", "angry", "val")
    assert (second.start, second.end) == (1.5, 4.5)
    with pytest.raises(ManifestError) as told:
        read_emobox(file, root=tmp_path)
    assert len(told.value.faults) == 2
    assert "say where files are with root=" in told.value.faults[0]


def test_all_faults_of_an_emobox_list(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text('{"key": "a"}\nnot json\n{"key": "b", "wav": "b.wav", "emo": "z"}\n[]\n')
    with pytest.raises(ManifestError) as told:
        read_emobox(file, label_map={"a": "angry"})
    assert [fault.split(":")[0] for fault in told.value.faults] == ["line 1", "line 2", "line 3", "line 4"]


def test_emobox_and_back(tmp_path: Path) -> None:
    (tmp_path / "downloads").mkdir()
    sound = make_clip(tmp_path / "downloads" / "a.mp4", seconds=1.0)
    whole = Clip(sound, id="a", corpus="mine", label="anger")
    manifest = Manifest((whole, replace(whole, id="b", start=0.25, end=0.75, label="fear")), EKMAN7)
    file = write_emobox(manifest, tmp_path / "mine.jsonl", root=tmp_path)
    first, second = (json.loads(line) for line in file.read_text().splitlines())
    assert first["wav"] == "downloads/a.mp4"
    assert first["length"] == pytest.approx(1.0, abs=0.1)
    assert "start_time" not in first
    assert (second["start_time"], second["end_time"], second["length"]) == (0.25, 0.75, 0.5)
    assert second["num_frame"] == round(0.5 * second["sample_rate"])
    assert read_emobox(file, EKMAN7, root=tmp_path) == manifest
    silent = Manifest((Clip(text="words", id="t", label="fear"), replace(whole, id="u", label=None)), EKMAN7)
    with pytest.raises(ManifestError) as told:
        write_emobox(silent, tmp_path / "no.jsonl")
    assert [fault.split(" has no ")[1].split(";")[0] for fault in told.value.faults] == ["file", "label"]
