"""Score tables in the form that each tool writes, read for the clips that they are of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import mmemo
from mmemo.cli import app
from mmemo.comparison.predictions import predicted_classes
from mmemo.comparison.score_table import read_score_table
from mmemo.data import Manifest
from mmemo.errors import ArgumentError, ManifestError
from mmemo.labels import EKMAN7, LabelSet

LABELS = ("happiness", "anger", "sadness")


@pytest.fixture
def clips(tmp_path: Path) -> Manifest:
    """Three clips whose files need not be there."""
    return Manifest(
        tuple(
            mmemo.Clip(tmp_path / f"take-{n}.mp4", id=f"clip {n}", label=label, speaker=f"speaker {n}")
            for n, label in enumerate(LABELS)
        ),
        EKMAN7,
    )


def labels_of(path: Path, clips: Manifest, **options: object) -> list[str]:
    """What the table predicts for each clip; "none" without a prediction."""
    scores = read_score_table(path, clips, clips.labels, **options).scores[path.stem]  # type: ignore[arg-type]
    return [[*clips.labels, "none"][k] for k in predicted_classes(scores)]


def table(folder: Path, name: str, *lines: str) -> Path:
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / name


def test_deepface_with_dictionaries_and_with_columns(tmp_path: Path, clips: Manifest) -> None:
    happy = "\"{'angry': np.float32(1.5), 'disgust': 0.0, 'happy': 97.5, 'sad': np.float64(1e-05), 'neutral': 0.9}\""
    angry = "\"{'angry': 90.0, 'disgust': 1.0, 'happy': 5.0, 'sad': 2.0, 'neutral': 2.0}\""
    region = "\"{'x': 1, 'y': 2, 'w': %d, 'h': %d}\""
    path = table(
        tmp_path,
        "deepface.csv",
        "file,emotion,dominant_emotion,region,face_confidence",
        f"videos/take-0.mp4,{happy},happy,{region % (50, 50)},0.9",
        f"videos/take-1.mp4,{angry},angry,{region % (50, 50)},0.9",
    )
    assert labels_of(path, clips) == ["happiness", "anger", "none"]
    flat = table(
        tmp_path,
        "flat.csv",
        "img_path,emotion.angry,emotion.happy,emotion.sad,dominant_emotion",
        "take-0.mp4,1,98,1,happy",
        "C:\\\\clips\\\\take-2.mp4,1,4,95,sad",
    )
    assert labels_of(flat, clips) == ["happiness", "none", "sadness"]


def test_py_feat_takes_the_largest_face_and_the_mean_over_frames(tmp_path: Path, clips: Manifest) -> None:
    path = table(
        tmp_path,
        "pyfeat.csv",
        "FaceRectX,FaceRectY,FaceRectWidth,FaceRectHeight,FaceScore,AU01,anger,disgust,fear,happiness,sadness,surprise,neutral,input,frame",
        "1,1,100,100,1,0,0.0,0,0,0.8,0.2,0,0,take-0.mp4,0",
        "1,1,20,20,1,0,1.0,0,0,0.0,0,0,0,take-0.mp4,0",
        "1,1,100,100,1,0,0.0,0,0,0.4,0.6,0,0,take-0.mp4,24",
        ",,,,,,,,,,,,,take-1.mp4,0",
    )
    predictions = read_score_table(path, clips, EKMAN7)
    assert predictions.scores["pyfeat"][0][[1, 2, 3]] == pytest.approx([0.6, 0.4, 0.0])
    assert labels_of(path, clips) == ["happiness", "none", "none"]
    assert any("2 a clip" in note and "largest" in note for note in predictions.notes)
    assert any("2 of 3 clips have no prediction" in note for note in predictions.notes)


def test_fer_has_a_table_for_each_clip(tmp_path: Path, clips: Manifest) -> None:
    folder = tmp_path / "fer"
    folder.mkdir()
    columns = ",".join(f"{word}{face}" for face in (0, 1) for word in ("box", "angry", "happy", "sad"))
    table(folder, "take-0.csv", f",{columns}", "0,[0 0 10 10],0.9,0,0.1,[5 5 90 90],0,0.9,0.1", "1,,,,,,,,")
    table(folder, "take-1.csv", ",box,angry,happy,sad", "0,[0 0 9 9],0.9,0,0.1")
    assert labels_of(folder, clips) == ["happiness", "anger", "none"]


def test_facereader_has_metadata_before_its_header(tmp_path: Path, clips: Manifest) -> None:
    path = table(
        tmp_path,
        "export_detailed.txt",
        "Video analysis detailed log",
        "",
        "Face Model:\tGeneral",
        "Filename:\tC:\\Videos\\take-2.mp4",
        "Frame rate:\t30.000000000",
        "",
        "Video Time\tNeutral\tHappy\tSad\tAngry\tSurprised\tScared\tDisgusted\tContempt\tValence",
        "00:00:00.000\tFIND_FAILED" + "\tFIND_FAILED" * 8,
        "00:00:00.033\t0.1\t0.0\t0.7\t0.1\t0.0\t0.0\t0.0\t0.4\t-0.6",
        "00:00:00.066\tFIT_FAILED" + "\tFIT_FAILED" * 8,
    )
    assert labels_of(path, clips) == ["none", "none", "sadness"]
    notes = read_score_table(path, clips, EKMAN7).notes
    assert any("scores of contempt are left out" in note for note in notes)


def test_facereaders_state_log_has_labels_alone(tmp_path: Path, clips: Manifest) -> None:
    path = table(tmp_path, "take-1_state.txt", "Video Time\tEmotion", "00:00:00.000\tAngry", "00:00:01.000\tUnknown")
    assert labels_of(path, clips) == ["none", "anger", "none"]
    assert any("no scores" in note for note in read_score_table(path, clips, EKMAN7).notes)


def test_emotion2vec_has_lists(tmp_path: Path, clips: Manifest) -> None:
    words = "\"['生气/angry', '厌恶/disgusted', '恐惧/fearful', '开心/happy', '中立/neutral', '其他/other', '难过/sad', '吃惊/surprised', '<unk>']\""
    path = table(
        tmp_path,
        "emotion2vec.csv",
        "key,labels,scores",
        f'take-0,{words},"[0.01, 0.0, 0.0, 0.9, 0.05, 0.01, 0.02, 1.2e-05, 0.01]"',
        f'take-2,{words},"[0.01, 0.0, 0.0, 0.05, 0.05, 0.01, 0.87, 0.0, 0.01]"',
    )
    assert labels_of(path, clips) == ["happiness", "none", "sadness"]
    assert any("scores of other, unk are left out" in note for note in read_score_table(path, clips, EKMAN7).notes)


def test_any_table_with_ids_and_labels_of_the_clips(tmp_path: Path) -> None:
    moods = LabelSet("moods", ("cheerful", "gloomy"))
    clips = Manifest(
        (mmemo.Clip(text="Well.", id="a", label="cheerful"), mmemo.Clip(text="Oh.", id="b", label="gloomy")), moods
    )
    path = table(tmp_path, "mine.csv", "id;cheerful;dark;seconds it took", "a;3;1;0.5", "b;1;3;0.5", "z;1;1;0.5")
    assert labels_of(path, clips, label_names={"dark": "gloomy"}) == ["cheerful", "gloomy"]
    notes = read_score_table(path, clips, moods, label_names={"dark": "gloomy"}).notes
    assert any("1 rows are of no clip of the manifest, such as z" in note for note in notes)
    with pytest.raises(ManifestError, match="no columns of scores"):
        read_score_table(path, clips, moods)
    with pytest.raises(ArgumentError, match="expected one of"):
        read_score_table(path, clips, moods, label_names={"dark": "gloom"})


def test_spans_of_one_file_get_the_rows_of_their_time(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    spans = Manifest(
        (
            mmemo.Clip(film, 0.0, 2.0, id="first", label="happiness"),
            mmemo.Clip(film, 2.0, 4.0, id="second", label="anger"),
        ),
        EKMAN7,
    )
    rows = ["film.mp4,0.5,0.9,0.1", "film.mp4,1.5,0.7,0.3", "film.mp4,2.5,0.2,0.8"]
    path = table(tmp_path, "frames.csv", "file,time,happy,angry", *rows)
    assert read_score_table(path, spans, EKMAN7).scores["frames"][:, 1] == pytest.approx([0.8, 0.2])
    timeless = table(tmp_path, "timeless.csv", "file,happy,angry", "film.mp4,0.9,0.1")
    with pytest.raises(ManifestError, match="fits several clips"):
        read_score_table(timeless, spans, EKMAN7)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (("file,happy,sad", "other.mp4,1,0"), "They are called 'clip 0' or 'take-0.mp4', the table names 'other.mp4'"),
        (("file,happy,sad", "take-0.mp4,1,x"), "line 2: sad is 'x', expected a number"),
        (("file,happy,sad", "take-0.mp4,1,-3"), "not logits"),
        (("file,AU01,AU02", "take-0.mp4,1,0"), "no columns of scores"),
        (("file,happy,sad",), "it has no rows"),
        (("file,prediction", "take-0.mp4,blissful"), "line 2: label: expected one of"),
    ],
)
def test_faults_are_named(tmp_path: Path, clips: Manifest, lines: tuple[str, ...], says: str) -> None:
    with pytest.raises(ManifestError, match=says):
        read_score_table(table(tmp_path, "scores.csv", *lines), clips, EKMAN7)


def test_a_table_is_a_system_beside_a_models(tmp_path: Path) -> None:
    words = {"happiness": "I am so happy and I love it", "sadness": "I am so sad that I could cry"}
    clips = Manifest(
        tuple(
            mmemo.Clip(text=f"{text} {n}", id=f"{label} {n}", label=label, speaker=f"speaker {n}")
            for label, text in words.items()
            for n in range(3)
        ),
        EKMAN7,
    )
    clips.write(tmp_path / "clips.jsonl")
    rows = [
        f"{clip.id},{0.8 if clip.label == 'happiness' else 0.4},{0.2 if clip.label == 'happiness' else 0.6}"
        for clip in clips
    ]
    path = table(tmp_path, "other.csv", "id,happy,sad", *rows)
    comparison = mmemo.compare("default", path, on=clips, modalities=("text",), draws=20)
    assert [system.name for system in comparison.systems] == ["default: text", "other"]
    assert comparison.unimodal == ("default: text", "other")
    assert (comparison["other"].accuracy.value, comparison.speakers) == (1.0, 3)
    alone = mmemo.compare(str(path), on=clips, draws=20)
    assert np.isclose(alone["other"].nll.value, -np.log([0.8, 0.6]).mean())
    with pytest.raises(ArgumentError, match=r"other.csv is a score table: name the clips"):
        mmemo.compare(path)
    arguments = [
        "compare",
        str(path),
        "--on",
        str(tmp_path / "clips.jsonl"),
        "--label",
        "happy=sadness",
        "--label",
        "sad=",
    ]
    done = CliRunner().invoke(app, [*arguments, "--draws", "20"], env={"COLUMNS": "80"})
    assert done.exit_code == 0, done.output
    assert ".500" in done.output
    assert max(map(len, done.output.splitlines())) <= 80
