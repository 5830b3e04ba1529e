"""pandas, Hugging Face and audformat: what is written and read again is the same."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mmemo.data import Manifest
from mmemo.data.interchange import (
    from_dataset,
    from_frame,
    read_audformat,
    to_dataset,
    to_frame,
    write_audformat,
)
from mmemo.errors import ArgumentError, ManifestError, MissingExtraError
from mmemo.labels import EKMAN7, LabelSet


def test_a_frame_and_back(full: Manifest, tmp_path: Path) -> None:
    frame = to_frame(full)
    assert frame.shape[0] == 3
    assert frame["valence"].tolist()[:2] == [-0.5, 1.0]
    assert frame["label.face"][0] == "fear"
    assert from_frame(frame) == full
    frame.to_csv(tmp_path / "x.csv", index=False)
    assert from_frame(pd.read_csv(tmp_path / "x.csv", dtype={"extra.take": str})) == full
    frame.to_parquet(tmp_path / "x.parquet")
    assert from_frame(pd.read_parquet(tmp_path / "x.parquet")) == full


def test_a_frame_of_ones_own(tmp_path: Path) -> None:
    frame = pd.DataFrame({"file": ["x.wav", "y.wav"], "label": ["joy", "none"], "loud": [3, np.nan]})
    manifest = from_frame(frame, LabelSet("mine", ("joy", "none")), columns={"path": "file"}, root=tmp_path)
    assert (manifest[0].id, manifest[0].path) == ("row-0", tmp_path / "x.wav")
    assert manifest[0].extra == {"loud": "3"}
    assert manifest[1].extra == {}


def test_all_faults_of_a_frame(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": ["a", "b", "c"], "path": ["x", None, "z"], "start": [2.0, 0, "x"], "end": [1.0, 1, 1]})
    with pytest.raises(ManifestError) as told:
        from_frame(frame)
    assert [fault.split(":")[0] for fault in told.value.faults] == ["row 0", "row 1", "row 2"]
    with pytest.raises(ManifestError, match="it holds no clip"):
        from_frame(frame[:0])


def test_a_data_set_of_hugging_face_and_back(full: Manifest, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    dataset = to_dataset(full)
    assert dataset.features["label"].names == list(EKMAN7)
    assert dataset[0]["label"] == EKMAN7.index("anger")
    assert dataset[2]["label"] is None
    assert from_dataset(dataset) == full
    dataset.save_to_disk(str(tmp_path / "saved"))
    assert from_dataset(datasets.load_from_disk(str(tmp_path / "saved"))) == full


def test_a_data_set_of_others(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            "id": datasets.Value("string"),
            "text": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["no", "yes"]),
        }
    )
    dataset = datasets.Dataset.from_dict({"id": ["1", "2"], "text": ["a", "b"], "label": [1, -1]}, features=features)
    manifest = from_dataset(dataset.rename_column("text", "transcript"))
    assert [clip.label for clip in manifest] == ["yes", None]
    assert manifest.labels.labels == ("no", "yes")


def test_a_data_set_of_sounds_is_not_decoded(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    (tmp_path / "a.wav").write_bytes(b"no sound")
    rows = {"audio": [str(tmp_path / "a.wav")], "emotion": ["fear"], "text": ["words"], "age": [31]}
    dataset = datasets.Dataset.from_dict(rows).cast_column("audio", datasets.Audio())
    (clip,) = from_dataset(dataset, EKMAN7, columns={"label": "emotion"})
    assert (clip.path, clip.label, clip.text, clip.id) == (tmp_path / "a.wav", "fear", "words", "row-0")
    assert clip.extra == {"age": "31"}
    inside = datasets.Dataset.from_dict({"image": [{"path": None, "bytes": b"x"}]}).cast_column(
        "image", datasets.Image()
    )
    with pytest.raises(ManifestError, match="row 0: Nothing to analyze"):
        from_dataset(inside)


def test_packages_that_are_not_installed_are_named(full: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mmemo\[interchange\]'"):
        to_dataset(full)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mmemo\[export\]'"):
        to_frame(full)


def with_files(full: Manifest) -> Manifest:
    return full.filter(lambda clip: clip.path is not None)


def test_audformat_reads_what_we_write(full: Manifest, tmp_path: Path) -> None:
    audformat = pytest.importorskip("audformat")
    folder = write_audformat(with_files(full), tmp_path / "db", table="emotion")
    database = audformat.Database.load(str(folder))
    frame = database["emotion"].get()
    assert audformat.is_segmented_index(frame)
    (file, start, end), *_ = frame.index
    assert (Path(folder) / file).resolve() == (tmp_path / "media" / "a.mp4").resolve()
    assert (start.total_seconds(), end.total_seconds()) == (1.25, 66.2901)
    assert frame.index[1][1] == pd.Timedelta(0)
    assert pd.isna(frame.index[1][2])
    assert frame["emotion"].tolist() == ["anger", "happiness"]
    assert database.schemes["emotion"].labels == list(EKMAN7)
    assert frame["valence"].tolist() == [-0.5, 1.0]
    assert frame["turn"].tolist() == [0, 3]


def test_audformat_and_back(full: Manifest, tmp_path: Path) -> None:
    kept = with_files(full)
    assert read_audformat(write_audformat(kept, tmp_path / "db")) == kept
    with pytest.raises(ManifestError, match="clip 'c' has no file"):
        write_audformat(full, tmp_path / "db2")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_we_read_what_audformat_writes(tmp_path: Path, kind: str) -> None:
    audformat = pytest.importorskip("audformat")
    database = audformat.Database("theirs")
    database.schemes["emotion"] = audformat.Scheme(labels=["joy", "anger"])
    database.schemes["speaker"] = audformat.Scheme("int")
    database.schemes["loudness"] = audformat.Scheme("float")
    index = audformat.segmented_index(["x.wav", "y.wav"], ["0s", "1.5s"], [pd.NaT, "3662.25s"])
    database["segments"] = audformat.Table(index)
    for column, values in {"emotion": ["joy", None], "speaker": [3, 4], "loudness": [0.5, None]}.items():
        database["segments"][column] = audformat.Column(scheme_id=column)
        database["segments"][column].set(values)
    database["files"] = audformat.Table(audformat.filewise_index(["x.wav"]))
    database["files"]["emotion"] = audformat.Column(scheme_id="emotion")
    database["files"]["emotion"].set(["anger"])
    database.save(str(tmp_path), storage_format=kind)
    manifest = read_audformat(tmp_path, "segments", LabelSet("theirs", ("joy", "anger")), check_media=False)
    whole, segment = manifest
    assert (whole.id, whole.path, whole.start, whole.end) == ("x.wav", tmp_path / "x.wav", 0.0, None)
    assert (segment.id, segment.start, segment.end) == ("y.wav#1.5-3662.25", 1.5, 3662.25)
    assert [(clip.label, clip.speaker) for clip in manifest] == [("joy", "3"), (None, "4")]
    assert [dict(clip.extra) for clip in manifest] == [{"loudness": "0.5"}, {}]
    (file,) = read_audformat(tmp_path, "files", LabelSet("theirs", ("joy", "anger")), check_media=False)
    assert file.label == "anger"
    with pytest.raises(ArgumentError, match=r"expected one of \['files', 'segments'\]"):
        read_audformat(tmp_path)


def test_all_faults_of_an_audformat_table(tmp_path: Path) -> None:
    table = tmp_path / "db.x.csv"
    table.write_text("file,start,end,emotion\na.wav,1,0 days 00:00:02,joy\nb.wav,,later,joy\n")
    with pytest.raises(ManifestError) as told:
        read_audformat(table)
    assert len(told.value.faults) == 2
    table.write_text("file,start,end,emotion\na.wav,0 days 00:00:02,0 days 00:00:01,joy\nb.wav,,,joy\n")
    with pytest.raises(ManifestError) as told:
        read_audformat(table)
    backwards, missing = told.value.faults
    assert backwards.startswith("row 2: A clip needs 0 <= start < end")
    assert missing.startswith("row 3: ")
    assert "does not exist" in missing
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ManifestError, match="no database of audformat"):
        read_audformat(empty)
    table.write_text("path,emotion\na.wav,joy\n")
    with pytest.raises(ManifestError, match="got 'file'"):
        read_audformat(table)


def test_columns_of_audformat_by_another_name(full: Manifest, tmp_path: Path) -> None:
    folder = write_audformat(with_files(full), tmp_path / "db")
    file = folder / "db.clips.csv"
    file.write_text(file.read_text().replace(",emotion,", ",emotion.gold,"))
    manifest = read_audformat(file, columns={"label": "emotion.gold"})
    assert manifest == with_files(full)
