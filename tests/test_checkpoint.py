from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from mmemo.checkpoint import load_checkpoint, save_checkpoint
from mmemo.errors import UnknownModelError, WeightsError
from mmemo.files import CONFIG, GRAPH, TENSORS, replacing


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    arrays = {"a": np.arange(6, dtype=np.float16).reshape(2, 3), "b": np.array([True, False])}
    save_checkpoint(tmp_path / "w", {"kind": "thing", "name": "é"}, arrays, {"extra.txt": b"x"})
    found = load_checkpoint(tmp_path / "w", "thing")
    assert found.config["name"] == "é"
    np.testing.assert_array_equal(found.tensors["a"], arrays["a"])
    assert found.tensors["a"].dtype == np.float16
    assert (tmp_path / "w" / "extra.txt").read_bytes() == b"x"
    assert [path.name for path in tmp_path.iterdir()] == ["w"]


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "w", {"kind": "thing"}, {"a": np.zeros(9)})
    data = bytearray((tmp_path / "w" / TENSORS).read_bytes())
    data[-1] ^= 1
    (tmp_path / "w" / TENSORS).write_bytes(bytes(data))
    with pytest.raises(WeightsError, match="damaged"):
        load_checkpoint(tmp_path / "w", "thing")


def test_another_kind_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "w", {"kind": "thing"}, {"a": np.zeros(1)})
    with pytest.raises(WeightsError, match="holds 'thing' weights, expected 'other'"):
        load_checkpoint(tmp_path / "w", "other")


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "w", {"kind": "thing"}, {"a": np.zeros(1)})
    file = tmp_path / "w" / CONFIG
    file.write_text(json.dumps({**json.loads(file.read_text()), "format": 99}))
    with pytest.raises(WeightsError, match="newer mmemo"):
        load_checkpoint(tmp_path / "w", "thing")


@pytest.mark.parametrize("graphs", [5, ["model.onnx"], {"model.onnx": "0" * 64}, {"../../other": "0" * 64}])
def test_graphs_that_are_none(graphs: object, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "w", {"kind": "thing"}, {"a": np.zeros(1)}, {"model.onnx": b"graph"})
    assert load_checkpoint(tmp_path / "w", "thing").graph("model.onnx") == tmp_path / "w" / "model.onnx"
    file = tmp_path / "w" / CONFIG
    file.write_text(json.dumps({**json.loads(file.read_text()), "graphs": graphs}))
    with pytest.raises(WeightsError, match="is damaged"):
        load_checkpoint(tmp_path / "w", "thing")


def test_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match="No checkpoint"):
        load_checkpoint(tmp_path, "thing")


def test_a_failure_keeps_the_old_folder(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "w", {"kind": "old"}, {"a": np.zeros(1)})

    def fail() -> None:
        with replacing(tmp_path / "w") as partial:
            (partial / "half").touch()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert load_checkpoint(tmp_path / "w", "old")
    assert [path.name for path in tmp_path.iterdir()] == ["w"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        (CONFIG, b"[" * 100_000, "nested too deeply"),
        (CONFIG, b'{"format": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (CONFIG, b'{"kind": "thing", "format": "new"}', "its format is no number"),
        (CONFIG, b"version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS"),
        (TENSORS, b"version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS"),
        (TENSORS, b"<!doctype html>", "a web page"),
        (GRAPH, b"version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS"),
        (GRAPH, None, "is damaged"),
    ],
)
def test_what_is_no_checkpoint_is_named(name: str, content: bytes | None, says: str, tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path / "w", {"kind": "thing"}, {"a": np.zeros(9)}, {GRAPH: b"graph"})
    (folder / name).unlink() if content is None else (folder / name).write_bytes(content)
    with pytest.raises(WeightsError, match=says):
        load_checkpoint(folder, "thing")


@pytest.mark.parametrize("content", [b"", b"junk", b"\xff" * 8 + b"x", (2).to_bytes(8, "little") + b"[]"])
def test_arrays_whose_hash_is_right_and_that_are_none(content: bytes, tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path / "w", {"kind": "thing"}, {"a": np.zeros(9)})
    (folder / TENSORS).write_bytes(content)
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**config, "sha256": sha256(content).hexdigest()}))
    with pytest.raises(WeightsError, match="can't be read"):
        _ = load_checkpoint(folder, "thing").tensors
