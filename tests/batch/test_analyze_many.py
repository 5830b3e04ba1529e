"""A batch from beginning to end: rows, kills, changes; real processes and real signals."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from mmemo import Analyzer, EmotionModel, analyze_many
from mmemo.batch.analyze_many import BatchProgress
from mmemo.batch.result import Batch
from mmemo.batch.settings import Settings
from mmemo.clip import Clip
from mmemo.data import Manifest
from mmemo.errors import ArgumentError, UnknownModelError, WeightsError, WorkerError
from mmemo.labels import EKMAN7, LabelSet
from mmemo.samples import make_clip

pytestmark = pytest.mark.slow


def test_rows_are_those_of_an_analyzer(folder: Path, batch: Batch) -> None:
    assert [Path(str(row.path)).name for row in batch.rows][:3] == ["00.mp4", "02.mp4", "04.mp4"]
    assert len(batch.rows) == 13
    (damaged,) = batch.failed
    assert str(damaged.path).endswith("damaged.mp4")
    assert str(damaged.error).startswith("MediaError: ")
    row = next(row for row in batch.rows if str(row.path).endswith("07.mp4"))
    result = Analyzer(modalities=("voice",))(folder / "more" / "07.mp4")
    assert row.label == result.label
    assert row.scores == pytest.approx(result.scores, abs=1e-5)
    assert row.modalities["voice"].coverage == pytest.approx(result.modalities["voice"].coverage)
    assert row.duration == result.duration


def test_only_what_changed_is_analyzed_again(folder: Path, tmp_path: Path) -> None:
    clips = shutil.copytree(folder / "more", tmp_path / "clips")
    out, states = tmp_path / "out.csv", list[BatchProgress]()

    def kept(**changes: object) -> int:
        states.clear()
        given = {"modalities": ("voice",), "workers": 1, "progress": states.append}
        analyze_many(clips, out, **given | changes)  # type: ignore[arg-type]
        return states[0].kept

    assert kept() == 0
    assert kept() == 6
    shutil.copy(clips / "03.mp4", clips / "01.mp4")
    os.utime(clips / "05.mp4")
    (clips / "07.mp4").unlink()
    shutil.copy(clips / "11.mp4", clips / "13.mp4")
    assert kept() == 4
    assert kept(hop=2.0) == 0
    assert len(out.read_text().splitlines()) == 1 + 6


def test_settings_are_checked_before_any_work(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    with pytest.raises(ArgumentError, match="Did you mean 'voice'"):
        analyze_many(folder, out, modalities=("voices",))
    with pytest.raises(UnknownModelError, match="expected one of"):
        analyze_many(folder, out, model="none")
    with pytest.raises(ArgumentError, match="expected one of"):
        analyze_many(folder, tmp_path / "out.docx")
    with pytest.raises(ArgumentError, match="workers"):
        analyze_many(folder, out, workers=0)
    with pytest.raises(ArgumentError, match="clip_timeout"):
        analyze_many(folder, out, clip_timeout=0)
    with pytest.raises(ArgumentError, match="no folder"):
        analyze_many(folder, tmp_path / "none" / "out.csv")
    assert not list(tmp_path.iterdir())


def test_manifests_bring_spans_words_and_labels(folder: Path, tmp_path: Path) -> None:
    clips = (
        Clip(folder / "more" / "11.mp4", 0.5, 1.5, "I am so happy", id="a", label="happiness", speaker="x"),
        Clip(folder / "00.mp4", text="I am so sad that I could cry", id="b", label="sadness", speaker="y"),
        Clip(folder / "gone.mp4", id="c", label="anger"),
        Clip(text="What a surprise!", id="d"),
    )
    manifest = Manifest(clips, EKMAN7).write(tmp_path / "clips.csv")
    found = analyze_many(manifest, tmp_path / "out.jsonl", modalities=("text",))
    assert [row.id for row in found.rows] == ["a", "b", "c", "d"]
    assert [row.annotated for row in found.rows] == ["happiness", "sadness", "anger", None]
    assert [row.label for row in found.rows[:2]] == ["happiness", "sadness"]
    assert found.rows[0].start == 0.5
    assert found.rows[0].duration == pytest.approx(1.0, abs=0.1)
    assert [row.id for row in found.failed] == ["c"]
    assert found.rows[3].path is None


def test_a_data_frame_holds_the_clips(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    make_clip(tmp_path / "one.mp4", seconds=1.5, size=(64, 48), rate=5, faces=0)
    frame = pandas.DataFrame(
        {"path": [str(tmp_path / "one.mp4"), str(tmp_path / "none.mp4")], "label": ["anger", "fear"]}
    )
    batch = analyze_many(frame, tmp_path / "out.csv", modalities=["voice"])
    assert [(row.annotated, row.error is None) for row in batch.rows] == [("anger", True), ("fear", False)]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of a user, in a folder that is on the path of this process only."""
    (tmp_path / "source" / "own_package").mkdir(parents=True)
    (tmp_path / "source" / "own_package" / "__init__.py").touch()
    shutil.copy(Path(__file__).parent.parent / "own_classes.py", tmp_path / "source" / "own_package" / "classes.py")
    monkeypatch.syspath_prepend(tmp_path / "source")
    for name in ("own_package", "own_package.classes"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("own_package.classes")


def test_classes_of_ones_own_are_imported_by_the_processes(own: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    make_clip(tmp_path / "clips" / "one.mp4", seconds=1.5, size=(64, 48), rate=5, faces=0)
    labels = LabelSet("mine", ("calm", "tense"))
    model = EmotionModel([own.Loudness(labels)], own.First(labels, ["voice"])).save(tmp_path / "model")
    out, classes = tmp_path / "out.jsonl", [own.Loudness, own.First]
    (row,) = analyze_many(tmp_path / "clips", out, model=model, classes=classes).rows
    assert row.scores == pytest.approx(
        Analyzer(model, classes=classes)(tmp_path / "clips" / "one.mp4").scores, abs=1e-5
    )
    states: list[BatchProgress] = []
    analyze_many(tmp_path / "clips", out, model=model, classes=classes, progress=states.append)
    assert states[-1].kept == 1
    # Another source of a class may give other scores: what was found with the first one is out of date.
    file = tmp_path / "source" / "own_package" / "classes.py"
    file.write_text(file.read_text() + "\n# changed\n")
    analyze_many(tmp_path / "clips", out, model=model, classes=classes, progress=states.append)
    assert states[-1].kept == 0


def test_classes_that_no_process_can_import_are_refused(own: ModuleType, tmp_path: Path) -> None:
    labels = LabelSet("mine", ("calm", "tense"))
    model = EmotionModel([own.Loudness(labels)], own.First(labels, ["voice"])).save(tmp_path / "model")

    class Loudness(own.Loudness):  # type: ignore[name-defined, misc]
        pass

    with pytest.raises(ArgumentError, match="module of its own"):
        analyze_many(tmp_path, model=model, classes=[Loudness, own.First])
    with pytest.raises(WeightsError, match="needs the encoder 'Loudness'"):
        analyze_many(tmp_path, model=model)
    sent = Settings.of(model, None, "cpu", 2.0, 1.0, 1, [own.Loudness, own.First])
    assert Settings.from_json(sent.to_json()) == sent
    assert sent.classes == ("own_package.classes:Loudness", "own_package.classes:First")
    assert sent.folders == (str(tmp_path / "source"),)
    with pytest.raises(WorkerError, match="No module named 'elsewhere'"):
        replace(sent, classes=("elsewhere:Loudness",)).analyzer()
