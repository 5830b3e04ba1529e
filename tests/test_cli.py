from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mmemo
from mmemo import EmotionResult
from mmemo.batch.analyze_many import BatchProgress
from mmemo.batch.cli import progress_line
from mmemo.cli import main
from mmemo.face_frames import FaceFrames
from mmemo.labels import LabelSet
from mmemo.media import probe
from mmemo.samples import make_clip

pytestmark = pytest.mark.slow


WIDE = os.environ | {"COLUMNS": "200"}  # a long path stays in its line


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mmemo", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=WIDE)


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The command line in this process; its exit status."""
    monkeypatch.setattr(sys, "argv", ["mmemo", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_table(clip: Path, tmp_path: Path) -> None:
    done = run("analyze", clip, "--text", "What a lovely day.", "--out", tmp_path / "report.html")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for word in ("Fused", "Face", "Voice", "Words", "happiness", "Over time"):
        assert word in done.stdout
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")


def test_pictures(monkeypatch: pytest.MonkeyPatch, clip: Path, tmp_path: Path) -> None:
    plot, video = tmp_path / "out.png", tmp_path / "out.mp4"
    wanted = ["--modalities", "face", "--plot", plot, "--video", video, "--anonymize", "mask"]
    assert call(monkeypatch, "analyze", clip, *wanted) == 0
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert probe(video).audio is not None


def test_frames_are_a_table_of_their_own(monkeypatch: pytest.MonkeyPatch, clip: Path, tmp_path: Path) -> None:
    table, out = tmp_path / "frames.csv", tmp_path / "out.json"
    wanted = ["--modalities", "face", "--frames", table, "--every-frame", "--out", out]
    assert call(monkeypatch, "analyze", clip, *wanted) == 0
    frames = FaceFrames.load(table)
    assert frames.frame.tolist() == list(range(75))
    assert "blendshapes" not in out.read_text()
    assert '"every_frame": true' in out.read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--frames", "f.txt"], "Suffix of f.txt"),
        (["--every-frame"], "--frames"),
        (["--frames", "f.csv", "--out", "f.csv"], "name two files"),
        (["--frames", "f.csv", "--modalities", "voice"], "modality face"),
    ],
)
def test_frames_that_can_not_be_written(
    arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], clip: Path
) -> None:
    monkeypatch.chdir(clip.parent)
    assert call(monkeypatch, "analyze", clip, *arguments) == 2
    assert says in capsys.readouterr().err
    assert not (clip.parent / "f.csv").exists()


def test_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], clip: Path) -> None:
    assert call(monkeypatch, "analyze", clip, "--json", "--modalities", "face") == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told["modalities"]) == {"face"}


def test_live(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    assert call(monkeypatch, "live", clip, "--json", "--modalities", "face", "--seconds", "1", "--out", out) == 0
    updates = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {update["label"] for update in updates} == {"happiness"}
    assert updates[-1]["time"] == pytest.approx(1.0, abs=0.1)
    assert json.loads(out.read_text())["source"] == str(clip)
    camera = ["--camera", clip, "--microphone", "none", "--seconds", "0.1", "--record", tmp_path / "film.mkv"]
    assert call(monkeypatch, "live", *camera, "--modalities", "face") == 0
    assert probe(tmp_path / "film.mkv").video is not None
    assert "happiness" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["analyze", "none.mp4"], "does not exist"),
        (["analyze"], "Nothing to analyze"),
        (["analyze", "none.mp4", "--out", "x.docx"], "expected one of"),
        (["analyze", "none.mp4", "--plot", "x.html"], "expected one of ['.png', '.svg', '.pdf']"),
        (["analyze", "none.mp4", "--video", "x.avi"], "expected one of ['.mp4', '.mkv']"),
        (["analyze", "none.mp4", "--anonymize", "pixels"], "expected one of ['blur', 'mask']"),
        (["analyze", "none.mp4", "--modalities", "faces"], "Did you mean 'face'"),
        (["analyze", "none.mp4", "--model", "none"], "expected one of ['default', 'large']"),
        (["analyze", "none.mp4", "--hop", "9"], "hop <= window"),
        (["analyze", "none.mp4", "--out", "nowhere/x.json"], "There is no folder nowhere"),
        (["analyze", "none.mp4", "--out", "x" * 300 + ".json"], "There can be no file"),
        (["analyze", "--text", "x", "--device", "gpu"], "Did you mean 'cpu'"),
        (["analyze", "--text", "x", "--device", "mps"], "ONNX Runtime has"),
        (["analyze", "none.mp4", "--channel", "rihgt"], "Did you mean 'right'"),
        (["analyze", "none.mp4", "--audio-track", "0"], "audio_track: expected a number from 1, or a language"),
        (["analyze", "--text", "x", "--subtitle-track", "en"], "leave out text="),
        (["live", "none.mp4"], "does not exist"),
        (["live", "none.mp4", "--out", "x.docx"], "expected one of"),
        (["live", "--camera", "none", "--microphone", "none"], "Nothing to follow"),
        (["live", "--camera", "/dev/video99"], "The camera /dev/video99 can't be opened"),
    ],
)
def test_what_is_wrong_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert call(monkeypatch, *arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert says in told.err


def test_the_schema_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "schema") == 0
    assert json.loads(capsys.readouterr().out) == EmotionResult.json_schema()


def test_many_clips(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    shutil.copy(clip, tmp_path / "clips" / "one.mp4")
    (tmp_path / "clips" / "two.mp4").write_bytes(b"damaged")
    out, page = tmp_path / "out.csv", tmp_path / "page.html"
    done = run("analyze", tmp_path / "clips", "--out", out, "--summary", page, "--modalities", "voice")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "2 clips, 1 not analyzed" in done.stdout
    assert "two.mp4: MediaError" in done.stdout
    assert [line.partition(",")[0][-7:] for line in out.read_text().splitlines()] == ["path", "one.mp4", "two.mp4"]
    assert "2 clips" in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["DIR"], "give --out results.parquet"),
        (["DIR", "--out", "x.csv", "--plot", "x.png", "--json"], "--json, --plot: of one clip only"),
        (["DIR", "--out", "x.srt"], "expected one of ['.parquet', '.csv', '.jsonl', '.html']"),
        (["DIR", "--out", "x.csv"], "has no media"),
        (["DIR", "--out", "x.csv", "--summary", "x.pdf"], "--summary FILE.html"),
        (["none.jsonl", "--out", "x.csv"], "there is no such file"),
        (["*.xyz", "--out", "x.csv"], "has no media"),
        (["none.mp4", "none.wav", "--out", "x.csv", "--channel", "rihgt"], "Did you mean 'right'"),
        (["none.mp4", "none.wav", "--out", "x.csv", "--subtitle-track", "0"], "subtitle_track: expected a number"),
        (["none.mp4", "--workers", "2"], "--workers: for many clips"),
        (["none.mp4", "--baseline", "speaker"], "--baseline speaker: for many clips"),
    ],
)
def test_what_is_wrong_with_many(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: list[str],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, "analyze", *[tmp_path if one == "DIR" else one for one in arguments]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert says in told.err
    assert not list(tmp_path.iterdir())


def test_progress_tells_how_long_the_rest_takes() -> None:
    assert (
        progress_line(BatchProgress(30, 130, 2, 10), 40.0)
        == "30 of 130 clips, about 3 min remaining, 10 kept from before, 2 failed"
    )
    assert progress_line(BatchProgress(10, 13, 0, 0), 100.0) == "10 of 13 clips, about 30 s remaining"
    assert progress_line(BatchProgress(0, 13, 0, 0), 1.0) == "0 of 13 clips"


def test_nothing_to_see_or_hear_is_status_2(tmp_path: Path) -> None:
    done = run("analyze", make_clip(tmp_path / "wall.mp4", faces=0, sound=None, seconds=0.5))
    assert done.returncode == 2
    assert "nothing to analyze" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_file_is_told_at_once(tmp_path: Path) -> None:
    """Importing torch takes longer than this: no model is loaded for a file that is not there."""
    code = (
        "import sys, mmemo\n"
        "try: mmemo.analyze('none.mp4')\n"
        "except mmemo.errors.MediaError: pass\n"
        "assert 'torch' not in sys.modules and 'mmemo-model' not in str(__import__('threading').enumerate())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == "0.1.0\n"


@pytest.fixture
def own_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in: a module of one's own, and a model that needs its classes."""
    shutil.copy(Path(__file__).parent / "own_classes.py", tmp_path / "own_classes.py")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_classes", raising=False)
    own = importlib.import_module("own_classes")
    labels = LabelSet("mine", ("calm", "tense"))
    mmemo.EmotionModel([own.Loudness(labels)], own.First(labels, ["voice"])).save(tmp_path / "model")
    (tmp_path / "clips").mkdir()
    make_clip(tmp_path / "clips" / "one.mp4", seconds=1.5, size=(64, 48), rate=5, faces=0)
    make_clip(tmp_path / "clips" / "two.mp4", seconds=1.5, size=(64, 48), rate=5, faces=0)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_classes_of_ones_own(own_model: Path) -> None:
    """By the installed command, which unlike ``python -m`` has not the current folder on its path."""
    command = "import sys; sys.path = [p for p in sys.path if p]; from mmemo.cli import main; main()"
    classes = ["--model", "model", "--classes", "own_classes:Loudness", "--classes", "own_classes:First"]
    env = {**os.environ, "PYTHONPATH": str(Path(mmemo.__file__).parent.parent)}

    def mmemo_command(*arguments: str) -> subprocess.CompletedProcess[str]:
        script = [sys.executable, "-P", "-c", command, *arguments]
        return subprocess.run(script, capture_output=True, text=True, timeout=120, env=env, cwd=own_model)

    done = mmemo_command("analyze", "clips/one.mp4", "--json", *classes)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["scores"]) == {"calm", "tense"}
    many = mmemo_command("analyze", "clips", "--out", "out.jsonl", *classes)
    assert many.returncode == 0, many.stderr
    rows = [json.loads(line) for line in (own_model / "out.jsonl").read_text().splitlines()]
    assert [row["error"] for row in rows] == [None, None]
    without = mmemo_command("analyze", "clips/one.mp4", "--model", "model")
    assert without.returncode == 2
    assert "--classes package.module:Class" in without.stderr


@pytest.mark.parametrize("command", [["analyze", "clips/one.mp4"], ["app"], ["compare", "model", "--on", "clips.csv"]])
def test_classes_that_are_not_there(
    command: list[str], own_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*command, "--classes", "own_classes:Nothing"]
    assert call(monkeypatch, *arguments) == 2
    assert "own_classes:Nothing can't be imported" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii"])
def test_terminals_of_another_encoding(encoding: str) -> None:
    """A sign they lack is a question mark in the table, and an escape in JSON."""
    text = "H\u00e9llo \U0001f600 \u65e5\u672c, wonderful\u2026"
    env = {**os.environ, "PYTHONIOENCODING": encoding}
    command = [sys.executable, "-m", "mmemo", "analyze", "--text", text]
    table = subprocess.run(command, env=env, capture_output=True, timeout=120)
    assert (table.returncode, table.stderr) == (0, b"")
    assert "llo ? ??, wonderful" in table.stdout.decode(encoding)
    document = subprocess.run([*command, "--json"], env=env, capture_output=True, timeout=120)
    assert json.loads(document.stdout.decode(encoding))["transcript"]["lines"][0]["text"] == text


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_full_disk_behind_the_output_is_one_line(more: list[str]) -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "mmemo", "analyze", "--text", "Hi.", *more]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (2, "mmemo: No space left on device\n")


def test_a_name_and_a_text_that_are_not_utf_8(clip: Path, tmp_path: Path) -> None:
    name = os.path.join(os.fsencode(tmp_path), b"caf\xe9.mp4")
    shutil.copy(clip, name)
    command = [sys.executable, "-m", "mmemo", "analyze", name, "--text", b"So happ\xff", "--modalities", "text"]
    done = subprocess.run([*command, "--out", tmp_path / "r.html"], capture_output=True, timeout=120, env=WIDE)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "caf?.mp4" in done.stdout.decode()
    assert "caf\ufffd.mp4" in (tmp_path / "r.html").read_text()


def test_a_baseline_and_an_adaptation(clip: Path, tmp_path: Path) -> None:
    shutil.copy(clip, tmp_path / "one.mp4")
    make_clip(tmp_path / "two.mp4", seconds=2.0)
    made = run(
        "baseline", tmp_path / "one.mp4", tmp_path / "two.mp4", "--modalities", "face", "--out", tmp_path / "b.json"
    )
    assert (made.returncode, "of 2 clips" in made.stdout) == (0, True), made.stderr
    (tmp_path / "labeled.csv").write_text("id,path,label\n1,one.mp4,happiness\n2,two.mp4,not anger\n")
    taught = run("adapt", tmp_path / "labeled.csv", "--modalities", "face", "--out", tmp_path / "a.json")
    assert (taught.returncode, "happiness 1, not anger 1" in taught.stdout) == (0, True), taught.stderr
    personal = ["--baseline", tmp_path / "b.json", "--adaptation", tmp_path / "a.json", "--prior", "neutral=0.4"]
    done = run("analyze", clip, "--modalities", "face", "--json", *personal)
    settings = json.loads(done.stdout)["settings"]
    assert (settings["baseline"], settings["adapted"], settings["prior"]) == ("person", True, "neutral 0.4")
    refused = run("analyze", clip, "--baseline", tmp_path / "b.json", "--out", tmp_path / "b.json")
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 1
    (tmp_path / "people.csv").write_text("id,path,speaker\n1,one.mp4,anna\n2,two.mp4,ben\n")
    for given, problem in (
        (["people.csv", "--out", "people.csv"], "ends in .json"),
        (["people.csv", "--out", "c.json"], "2 speakers"),
        (["people.csv", "--place", "--out", "c.json"], "3 people or more"),
        (["--out", "c.json"], "Nothing to measure"),
        (["--neutral", "nowhere.mp4", "--out", "c.json"], "no file nowhere.mp4"),
    ):
        told = run("baseline", *(tmp_path / one if one.endswith(".csv") else one for one in given))
        assert (told.returncode, problem in told.stderr, len(told.stderr.splitlines())) == (2, True, 1), told.stderr
    wrong = run("analyze", clip, "--modalities", "face", "--prior", "neutral=most")
    assert "expected shares such as" in wrong.stderr
