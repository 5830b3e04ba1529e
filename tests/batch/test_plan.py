"""Which clips are found: each once, in order."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmemo.batch.plan import pack, plan, unpack
from mmemo.batch.sources import is_many
from mmemo.clip import Clip
from mmemo.data import Manifest
from mmemo.errors import ArgumentError, ManifestError
from mmemo.labels import EKMAN7


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "deep" / "deeper").mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    for name in (
        "b.MP4",
        "a.wav",
        "deep/c.jpg",
        "deep/deeper/d.webm",
        ".hidden/e.mp4",
        "._b.mp4",
        "a.srt",
        "notes.txt",
    ):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "deep" / "round").symlink_to(tmp_path)
    return tmp_path


def names(tree: Path, *sources: str | Path) -> list[str]:
    return [Path(str(task.path)).relative_to(tree).as_posix() for task in plan(sources).tasks]


def test_a_folder_is_searched_to_the_bottom(tree: Path) -> None:
    assert names(tree, tree) == ["a.wav", "b.MP4", "deep/c.jpg", "deep/deeper/d.webm"]


def test_patterns_and_files_and_each_clip_once(tree: Path) -> None:
    assert names(tree, str(tree / "**" / "*.webm"), tree / "b.MP4", tree) == [
        "deep/deeper/d.webm", "b.MP4", "a.wav", "deep/c.jpg",
    ]  # fmt: skip


def test_a_file_that_is_missing_is_a_clip_and_an_empty_folder_an_error(tree: Path) -> None:
    assert names(tree, tree / "none.mp4") == ["none.mp4"]
    (tree / "empty").mkdir()
    with pytest.raises(ArgumentError, match="has no media"):
        plan(tree / "empty")
    with pytest.raises(ArgumentError, match="has no media"):
        plan(str(tree / "*.mkv"))
    with pytest.raises(ArgumentError, match="Nothing to analyze"):
        plan([])


def test_a_manifest_brings_what_is_known(tree: Path) -> None:
    clips = (
        Clip(tree / "b.MP4", 1.0, 2.5, id="one", label="anger", speaker="x"),
        Clip(tree / "b.MP4", 3.0, 4.0, id="two"),
        Clip(tree / "gone.mp4", id="three"),
        Clip(text="I am glad", id="four"),
    )
    for name in ("list.jsonl", "list.csv"):
        manifest = Manifest(clips, EKMAN7).write(tree / name)
        tasks = plan(manifest).tasks
        assert [task.clip.id for task in tasks] == ["one", "two", "three", "four"]
        assert tasks[0].clip.label == "anger"
        assert tasks[3].path is None
        assert len({task.identity for task in tasks}) == 4
    with pytest.raises(ManifestError):
        plan(tree / "none.csv")


def test_what_is_written_is_no_clip(tree: Path) -> None:
    assert [Path(str(task.path)).name for task in plan(tree, [tree / "b.MP4"]).tasks] == ["a.wav", "c.jpg", "d.webm"]


def test_one_file_is_not_many(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = tree / "take[1].mp4"
    odd.write_bytes(b"x")
    assert not is_many(odd)
    assert not is_many("none.mp4")
    assert is_many(tree)
    assert is_many(tree / "*.mp4")
    assert is_many("list.csv")
    assert names(tree, odd) == ["take[1].mp4"]


def test_a_clip_stays_the_same_on_its_way_to_another_process(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree / "deep")
    clip = Clip(Path("../b.MP4"), 1.0, 2.0, "so glad", id="x", label="anger", perceived={"anger": 1.0})
    (task,) = plan(clip).tasks
    assert task.path == "../b.MP4"
    assert task.clip.path == tree / "b.MP4"
    assert unpack(pack(task.clip)) == task.clip


def test_a_data_frame_is_a_source_alone_and_among_others(tree: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {"path": [str(tree / "b.MP4"), str(tree / "a.wav")], "label": ["anger", None], "start": [0.5, None]}
    )
    alone = plan(frame).tasks
    assert [(Path(str(task.path)).name, task.clip.label, task.clip.start) for task in alone] == [
        ("b.MP4", "anger", 0.5),
        ("a.wav", None, 0.0),
    ]
    assert [Path(str(task.path)).name for task in plan([tree / "deep" / "deeper", frame]).tasks] == [
        "d.webm",
        "b.MP4",
        "a.wav",
    ]
    with pytest.raises(ManifestError, match=r"(?s)row 0: start.*'soon'"):
        plan(frame.assign(start=["soon", "1"]))


@pytest.mark.parametrize("source", [3, None, b"a.mp4", {"path": "a.mp4"}, [["a.mp4"]], ["a.mp4", None]])
def test_a_source_of_another_type_is_one_error_that_names_it(source: object) -> None:
    wrong = source[-1] if isinstance(source, list) else source
    with pytest.raises(ArgumentError, match="expected a path, a pattern, a Clip") as caught:
        plan(source)  # type: ignore[arg-type]
    assert f"analyze {type(wrong).__name__}" in str(caught.value)
