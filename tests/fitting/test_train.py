"""`mmemo train` on a small corpus, from its spreadsheet to `analyze`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import mmemo
from mmemo import TrainOptions
from mmemo.cli import app
from mmemo.data import Manifest
from mmemo.data.corpora import read_corpus
from mmemo.errors import ArgumentError, LeakError, ManifestError, WeightsError
from mmemo.fusion.boosting import BoostingFusion
from mmemo.fusion.stacked import StackedFusion
from mmemo.labels import EKMAN7, LabelSet
from mmemo.samples import make_corpus

pytestmark = pytest.mark.slow


def texts(labels: tuple[str, ...], speakers: int, count: int = 9) -> tuple[mmemo.Clip, ...]:
    """Clips of words alone: the labels in turn."""
    return tuple(
        mmemo.Clip(
            text=f"I feel {labels[n % len(labels)]}, number {n}.",
            id=str(n),
            label=labels[n % len(labels)],
            speaker=f"speaker {n % speakers}",
        )
        for n in range(count)
    )


def test_a_head_trained_on_a_manifest_serves_analyze(tmp_path: Path) -> None:
    columns = {"path": "file", "label": "emotion", "speaker": "actor", "transcript": "words"}
    sheet = make_corpus(tmp_path / "clips")
    manifest = read_corpus("table", sheet, columns=columns).manifest
    shares = {"train": 0.5, "val": 0.25, "test": 0.25}
    manifest.split(by="speaker", shares=shares).write(tmp_path / "clips.jsonl")
    run = tmp_path / "run"
    options = TrainOptions(heads=("stacked", "boosted"), modalities=("voice", "text"), draws=20)
    trained = mmemo.train(tmp_path / "clips.jsonl", run, options)
    results = json.loads((run / "results.json").read_text())
    saved = {name: tuple(value) if isinstance(value, list) else value for name, value in results["options"].items()}
    assert TrainOptions(**saved) == options
    assert results["chosen"] in results["validation"]
    comparison = mmemo.compare(run, draws=20)
    assert [system.name for system in comparison.systems] == ["voice", "text", "stacked", "boosted"]
    assert comparison["text"].accuracy.value == results["systems"]["text"]["accuracy"]["value"]
    assert comparison["text"].accuracy == trained["text"].accuracy
    model = mmemo.load_model(run)
    assert isinstance(model.fusion, {"stacked": StackedFusion, "boosted": BoostingFusion}[results["chosen"]])
    with pytest.raises(LeakError, match="fitted on"):
        mmemo.compare(run, on=manifest.split(by="speaker", shares=shares).part("train"))
    words = "I am so sad that I could cry"
    result = mmemo.analyze(tmp_path / "clips/0-sadness.mp4", text=words, model=model)
    assert result.label == "sadness"
    assert sum(one.weight or 0 for one in result.modalities.values()) == pytest.approx(1, abs=1e-4)

    manifest.split(by="id", shares=shares).write(tmp_path / "leaking.jsonl")
    with pytest.raises(LeakError, match="speaker"):
        mmemo.train(tmp_path / "leaking.jsonl", run, options)


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
    options = TrainOptions(heads=("stacked",), modalities=("voice", "text"), draws=20, allow=("text",))
    notes = mmemo.train(tmp_path / "clips.jsonl", run, options).notes
    assert any("each has a probe" in note for note in notes)
    assert any("any voice: it is left out" in note for note in notes)
    results = json.loads((run / "results.json").read_text())
    assert (results["refit"], results["options"]["refit"]) == (True, False)
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


@pytest.mark.parametrize(
    ("clips", "says"),
    [
        (texts(("happiness", "sadness"), 2), "2 different values of speaker"),
        (texts(("happiness",), 9), "all 9 labeled clips are 'happiness'"),
        ((mmemo.Clip(text="What a day.", id="a"),), "no clip has a label"),
        (tuple(mmemo.Clip(text=f"Fine, {n}.", id=str(n), label=EKMAN7[n % 2]) for n in range(9)), "speaker"),
    ],
)
def test_clips_that_nothing_can_be_learned_of(tmp_path: Path, clips: tuple[mmemo.Clip, ...], says: str) -> None:
    with pytest.raises(ManifestError, match=says):
        mmemo.train(Manifest(clips, EKMAN7), tmp_path / "run", TrainOptions(heads=("mean",), modalities=("text",)))


def test_one_label_in_the_split_to_train_on(tmp_path: Path) -> None:
    clips = Manifest(texts(("happiness", "sadness", "fear"), 9), EKMAN7)
    split = {"happiness": "train", "sadness": "val", "fear": "test"}
    apart = clips.update(lambda clip: {"split": split[str(clip.label)]})
    options = TrainOptions(heads=("mean",), modalities=("text",), allow=("text",))
    with pytest.raises(ManifestError, match="all clips of the split train are 'happiness'"):
        mmemo.train(apart, tmp_path / "run", options)


def test_an_unreadable_clip_is_left_out_and_named(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    broken = mmemo.Clip(tmp_path / "broken.mp4", id="broken", label="fear", speaker="speaker 0")
    clips = Manifest((*texts(("happiness", "sadness"), 6, 24), broken), EKMAN7)
    options = TrainOptions(heads=("mean",), modalities=("text",), draws=20, allow=("text",))
    assert any("broken" in note for note in mmemo.train(clips, tmp_path / "run", options).notes)


def test_nothing_of_the_users_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text('{"mine": 1}')
    clips = Manifest(texts(("happiness", "sadness"), 9), EKMAN7)
    with pytest.raises(ArgumentError, match="was not written by mmemo"):
        mmemo.train(clips, tmp_path, TrainOptions(heads=("mean",), modalities=("text",)))
    assert (tmp_path / "results.json").read_text() == '{"mine": 1}'


def test_an_unknown_head_is_refused() -> None:
    with pytest.raises(ArgumentError, match="Did you mean 'late'"):
        TrainOptions(heads=("lat",))


def test_without_torch_a_rule_is_trained_and_a_network_names_its_extra(tmp_path: Path) -> None:
    Manifest(texts(("happiness", "sadness"), 6, 24), EKMAN7).write(tmp_path / "clips.jsonl")
    code = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('torch', 'scipy', 'sklearn', 'pandas', 'accelerate'):\n"
        "            raise ModuleNotFoundError(f'No module named {name}', name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "import importlib.util\n"
        "known = importlib.util.find_spec\n"
        "def find_spec(name, package=None):\n"
        "    try:\n"
        "        return known(name, package)\n"
        "    except ModuleNotFoundError:\n"
        "        return None\n"
        "import mmemo.errors\n"
        "mmemo.errors.find_spec = find_spec\n"
        "import mmemo\n"
        "def options(*heads):\n"
        "    return mmemo.TrainOptions(heads, modalities=('text',), draws=20, allow=('text',))\n"
        "print(mmemo.train('clips.jsonl', 'run', options('mean')).clips)\n"
        "print(mmemo.calibrate('clips.jsonl', 'calibrated', mmemo.CalibrateOptions(modalities=('text',))).clips)\n"
        "print(mmemo.compare('calibrated', draws=20).clips)\n"
        "try:\n"
        "    mmemo.train('clips.jsonl', 'run', options('concat'))\n"
        "except mmemo.errors.MissingExtraError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(mmemo.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    trained, calibrated, compared, error = done.stdout.splitlines()
    assert int(trained) > 0
    assert (calibrated, compared) == ("24", "24")
    assert "mmemo[train]" in error


def test_the_commands_train_and_evaluate(tmp_path: Path) -> None:
    clips = Manifest(texts(("happiness", "sadness"), 6, 24), EKMAN7)
    clips.write(tmp_path / "clips.jsonl")
    others = clips.update(lambda clip: {"id": f"other {clip.id}", "gender": "female" if int(clip.id) % 3 else "male"})
    others.write(tmp_path / "others.jsonl")
    run, invoke = tmp_path / "run", CliRunner().invoke
    given = ["--head", "mean,max", "--modalities", "text", "--allow", "text", "--draws", "20"]
    done = invoke(app, ["train", str(tmp_path / "clips.jsonl"), "--run", str(run), *given], env={"COLUMNS": "80"})
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1].endswith(f"mmemo analyze CLIP --model {run}")
    done = invoke(app, ["evaluate", str(run), str(tmp_path / "others.jsonl"), "--draws", "20"], env={"COLUMNS": "80"})
    assert done.exit_code == 0, done.output
    assert "24 clips of 6 speakers" in done.output
    assert "Recall of each label by text" in done.output
    assert "gender female" in done.output
    assert max(map(len, done.output.splitlines())) <= 80
    refused = invoke(app, ["evaluate", str(run), str(tmp_path / "clips.jsonl"), "--draws", "20", "--split", "all"])
    assert refused.exit_code == 0  # the run's held-out clips are among them, and have scores
    assert "held-out scores of" in refused.output
