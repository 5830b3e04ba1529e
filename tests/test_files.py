"""Nothing that mmemo did not write is replaced or removed, and nothing that it reads is overwritten."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mmemo.checkpoint import load_checkpoint, save_checkpoint
from mmemo.errors import ArgumentError
from mmemo.files import CONFIG, FIGURES, MARK, TENSORS, check_file, check_folder, make_folder, replacing, replacing_file


def content(folder: Path) -> dict[str, bytes | None]:
    """All below a folder: bytes of files, None for folders."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


def written(folder: Path, text: str = "old") -> Path:
    with replacing(folder) as partial:
        (partial / "one.txt").write_text(text)
        (partial / "part").mkdir()
        (partial / "part" / "two.txt").write_text(text)
    return folder


def weights(folder: Path) -> Path:
    return save_checkpoint(folder, {"kind": "thing"}, {"a": np.zeros(3)})


def test_what_mmemo_wrote_is_replaced(tmp_path: Path) -> None:
    folder = written(tmp_path / "out")
    with replacing(folder) as partial:
        (partial / "three.txt").write_text("new")
    assert set(content(folder)) == {MARK, "three.txt"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert (written(tmp_path / "out") / "one.txt").read_text() == "old"


def add_a_file(folder: Path) -> str:
    (folder / "thesis.docx").write_text("years of work")
    return "thesis.docx"


def add_a_file_below(folder: Path) -> str:
    (folder / "part" / "thesis.docx").write_text("years of work")
    return "part/thesis.docx"


def add_an_empty_folder(folder: Path) -> str:
    (folder / "later").mkdir()
    return "later"


def change_a_file(folder: Path) -> str:
    (folder / "one.txt").write_text("mine")
    return "one.txt"


def put_a_link_in(folder: Path) -> str:
    (folder / "part" / "two.txt").rename(folder.parent / "two.txt")
    (folder / "part" / "two.txt").symlink_to(folder.parent / "two.txt")
    return "part/two.txt"


def put_a_folder_in(folder: Path) -> str:
    (folder / "one.txt").unlink()
    (folder / "one.txt").mkdir()
    return "one.txt"


def lose_the_mark(folder: Path) -> str:
    (folder / MARK).unlink()
    return "one.txt, part"


CHANGES = [
    add_a_file, add_a_file_below, add_an_empty_folder, change_a_file, put_a_link_in, put_a_folder_in, lose_the_mark,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_folder_with_anything_else_stays_as_it_is(tmp_path: Path, change: Callable[[Path], str]) -> None:
    folder = written(tmp_path / "out")
    named = change(folder)
    before = content(tmp_path)
    with pytest.raises(ArgumentError, match=f"holds {named}, not written by mmemo"):
        check_folder(folder)
    with pytest.raises(ArgumentError, match=f"holds {named}, not written by mmemo"):
        written(folder, "new")
    assert content(tmp_path) == before


def test_a_file_that_comes_while_the_work_is_done_stays(tmp_path: Path) -> None:
    folder = written(tmp_path / "out")

    def work() -> None:
        with replacing(folder) as partial:
            (partial / "one.txt").write_text("new")
            add_a_file(folder)

    with pytest.raises(ArgumentError, match=r"thesis\.docx"):
        work()
    assert (folder / "thesis.docx").read_text() == "years of work"
    assert (folder / "one.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_file_that_comes_at_the_very_end_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = written(tmp_path / "out")
    rename = Path.rename

    def adding(self: Path, target: Path) -> Path:
        if self == folder:
            add_a_file(folder)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", adding)
    with pytest.raises(ArgumentError, match=r"thesis\.docx"):
        written(folder, "new")
    assert (folder / "thesis.docx").read_text() == "years of work"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_crash_leaves_the_old_folder(tmp_path: Path) -> None:
    folder = written(tmp_path / "out")
    before = content(folder)

    def crash() -> None:
        with replacing(folder) as partial:
            (partial / "half").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        crash()
    assert content(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failing_swap_puts_the_old_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = written(tmp_path / "out")
    before = content(folder)
    rename = Path.rename

    def refusing(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refusing)
    with pytest.raises(ArgumentError, match=r"can't be written: Permission denied\.$"):
        written(folder, "new")
    assert content(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_working_and_the_home_directory_and_those_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work, home = tmp_path / "a" / "work", tmp_path / "b" / "home"
    work.mkdir(parents=True)
    home.mkdir(parents=True)
    monkeypatch.chdir(work)
    monkeypatch.setenv("HOME", str(home))
    for folder in (".", "..", work, work.parent, "/"):
        with pytest.raises(ArgumentError, match="is the working directory or holds it"):
            written(Path(folder))
    for folder in (home, home.parent):
        with pytest.raises(ArgumentError, match="is the home directory or holds it"):
            written(folder)
    assert set(content(tmp_path)) == {"a", "a/work", "b", "b/home"}


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    folder = written(tmp_path / "out")
    before = content(folder)
    for link, target in (("link", folder), ("dangling", tmp_path / "nothing")):
        (tmp_path / link).symlink_to(target)
        with pytest.raises(ArgumentError, match="is a link to"):
            written(tmp_path / link)
    assert content(folder) == before


def test_a_file_in_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ArgumentError, match="is a file: name another folder"):
            written(folder)
        with pytest.raises(ArgumentError, match="can't be made"):
            make_folder(folder)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_is_read_or_holds_what_is_read(tmp_path: Path) -> None:
    run = written(tmp_path / "runs" / "one")
    for folder, source, says in (
        (run, run, "is read"),
        (run, run / "one.txt", "holds .*one.txt, which is read"),
        (run.parent, run, "holds .*one, which is read"),
        (run / "part", run, "is in .*one, which is read"),
    ):
        with pytest.raises(ArgumentError, match=says):
            check_folder(folder, [None, source])
    check_folder(run / "new", [run])


def test_figures_do_not_replace_weights(tmp_path: Path) -> None:
    for folder in (weights(tmp_path / "new"), weights(tmp_path / "unmarked")):
        if folder.name == "unmarked":
            (folder / MARK).unlink()
        with pytest.raises(ArgumentError, match="holds weights, which figures do not replace"):
            check_folder(folder, kind=FIGURES)
    with replacing(tmp_path / "figures", kind=FIGURES) as partial:
        (partial / "a.png").touch()
    with pytest.raises(ArgumentError, match="holds figures"):
        weights(tmp_path / "figures")


def test_weights_from_before_folders_had_a_mark(tmp_path: Path) -> None:
    folder = weights(tmp_path / "w")
    assert set(content(folder)) == {MARK, CONFIG, TENSORS}
    (folder / MARK).unlink()
    weights(folder)
    assert load_checkpoint(folder, "thing")
    (folder / MARK).unlink()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ArgumentError, match=r"holds notes\.txt"):
        weights(folder)
    (folder / "notes.txt").unlink()
    (folder / CONFIG).write_text('{"format": 1, "sha256": "of another file"}')
    with pytest.raises(ArgumentError, match=r"holds config\.json, model\.safetensors"):
        weights(folder)


def test_a_folder_of_runs_is_none(tmp_path: Path) -> None:
    """Each is mmemo's, the folder is not: only a model's parts make one whole."""
    for name in ("one", "two"):
        (weights(tmp_path / "runs" / name) / MARK).unlink()
    with pytest.raises(ArgumentError, match="holds one, two"):
        check_folder(tmp_path / "runs")
    (weights(tmp_path / "runs" / "fusion") / MARK).unlink()
    check_folder(tmp_path / "runs")


def test_no_file_takes_the_place_of_one_that_is_read(tmp_path: Path) -> None:
    clip, out = tmp_path / "clip.mp4", tmp_path / "out"
    clip.write_text("mine")
    out.mkdir()
    (out / "symbolic.mp4").symlink_to(clip)
    os.link(clip, out / "hard.mp4")
    (tmp_path / "link").symlink_to(out)
    for path in (clip, tmp_path / "link" / ".." / "clip.mp4", out / "symbolic.mp4", out / "hard.mp4"):
        with pytest.raises(ArgumentError, match="is read"), replacing_file(path, [None, clip]):
            pytest.fail("the work began")
    with pytest.raises(ArgumentError, match=r"is in .*, which is read"):
        check_file(clip, [tmp_path])
    check_file(tmp_path / "new.mp4", [tmp_path, clip])
    with pytest.raises(ArgumentError, match="is read"):
        check_file(tmp_path / "cache", [str(tmp_path / "cache")])  # neither is there yet
    assert clip.read_text() == "mine"


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    for path, says in ((tmp_path, "is a folder: name a file"), (tmp_path / "none" / "a.csv", "There is no folder")):
        with pytest.raises(ArgumentError, match=says):
            check_file(path)


def test_other_files_are_overwritten_also_through_a_link(tmp_path: Path) -> None:
    old, link = tmp_path / "old.txt", tmp_path / "link.txt"
    old.write_text("old")
    link.symlink_to(old)
    with replacing_file(link) as partial:
        partial.write_text("new")
    assert link.is_symlink()
    assert old.read_text() == "new"
    assert {path.name for path in tmp_path.iterdir()} == {"old.txt", "link.txt"}


def test_a_text_that_no_file_can_hold(tmp_path: Path) -> None:
    def write() -> None:
        with replacing_file(tmp_path / "x.txt") as partial:
            partial.write_text("caf\udce9", encoding="utf-8")

    with pytest.raises(ArgumentError, match=r"x\.txt can't be written: 'caf\\udce9' is no valid Unicode"):
        write()
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("name", ["a" * 300, "a\0b"])
def test_a_name_that_no_file_can_have(name: str, tmp_path: Path) -> None:
    for check in (check_file, check_folder):
        with pytest.raises(ArgumentError, match="There can be no file"):
            check(tmp_path / name)


@pytest.mark.slow
def test_a_full_disk_is_one_error_and_leaves_what_was_there(tmp_path: Path) -> None:
    """A limit on the size of files stands in for the end of the disk."""
    code = """
import resource, sys
from pathlib import Path
import numpy as np
import mmemo
from mmemo.errors import ArgumentError
result = mmemo.analyze(text="I am so happy.")
model = mmemo.load_model(modalities=["text"])
[Path("r" + suffix).write_text("mine") for suffix in (".json", ".html", ".pdf", ".csv")]
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
for write, name in [*((result.save, "r" + suffix) for suffix in (".json", ".html", ".pdf", ".csv")), (model.save, "m")]:
    try:
        write(name)
    except ArgumentError as error:
        print(str(error).rpartition("/")[2])
print(sorted(path.name for path in Path().iterdir()), {path.read_text() for path in Path().iterdir()})
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "r.json can't be written: File too large.",
        "r.html can't be written: File too large.",
        "r.pdf can't be written: File too large.",
        "r.csv can't be written: File too large.",
        "fusion can't be written: File too large.",
        "['r.csv', 'r.html', 'r.json', 'r.pdf'] {'mine'}",
    ]
