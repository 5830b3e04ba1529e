"""Files of arrays, damaged and invented: feature pickles, feature caches, models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mmemo
from mmemo.data import FeatureCache, read_mmsa_features
from mmemo.evidence import Evidence

from .inputs import FUZZ, Check, altered, damaged, json_lines
from .valid_files import model_folder, pickles, with_file

pytestmark = pytest.mark.slow


def test_pickles(check: Check, tmp_path: Path) -> None:
    originals = pickles(tmp_path)
    opcodes = st.lists(st.sampled_from([
        b"\x80\x04", b"(", b"]", b"}", b")", b"l", b"d", b"t", b"e", b"u", b"s", b"a", b"0", b"1", b"2", b"b", b"R", b"\x81", b"\x85",
        b"\x86", b"\x87", b"\x8f", b"\x90", b"\x91", b"\x94", b"K\x01", b"N", b"\x8c\x04test", b"\x8c\x02id", b"h\x00", b"r\xff\xff\xff\x7f",
        b"j\x01\0\0\0", b"\x96" + b"\xff" * 7 + b"\x7f", b"\x8e" + b"\xff" * 7 + b"\x7f", b"\x95" + b"\xff" * 7 + b"\x7f", b"\x8b\xff\xff\xff\x7f",
        b"I" + b"9" * 5000 + b"\n", b"cnumpy\ndtype\n", b"cnumpy\nndarray\n", b"cnumpy.core.multiarray\n_reconstruct\n",
        b"cnumpy.core.numeric\n_frombuffer\n", b"cbuiltins\nset\n", b"c_codecs\nencode\n", b"\x8c\x02f8", b"\x8c\x0bU9999999999", b".",
    ]), max_size=30).map(b"".join)  # fmt: skip

    @FUZZ
    @given(damaged(originals) | opcodes.map(lambda program: program + b"."))
    def run(content: bytes) -> None:
        check(read_mmsa_features, "f.pkl", content)

    run()


def test_feature_caches(check: Check, tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "c.sqlite")
    cache.put("a", "face", {"x": np.ones(300)})
    cache.put("b", "face", {})
    with cache._connection as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    whole = (tmp_path / "c.sqlite").read_bytes()

    def read(path: Path) -> None:
        cache = FeatureCache(path)
        found = cache.get("a")
        assert found is None or found["x"].sum() == 300
        cache.sizes()
        cache.put("c", "voice", {"x": np.zeros(2)})
        cache.remove("face")

    @FUZZ
    @given(damaged([whole]))
    def run(content: bytes) -> None:
        check(read, "c.sqlite", content)

    run()


def test_model_folders(check: Check, tmp_path: Path) -> None:
    """Every file of a model, and settings of other kinds, with the hash of the arrays made good."""
    model = model_folder(tmp_path / "model")
    files = [
        str(path.relative_to(model)) for path in sorted(model.rglob("*")) if path.suffix in (".json", ".safetensors")
    ]
    window = Evidence(0.0, 1.0, source=Path("clip.mp4"))

    def read(path: Path) -> None:
        loaded = mmemo.load_model(path.parent / "model", device="cpu")
        encodings = {name: loaded.encode(name, [window]) for name in loaded.modalities}
        assert np.isfinite(loaded.fuse(encodings)).all()

    @FUZZ
    @given(st.data())
    def run(data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(files))
        original = (model / name).read_bytes()
        made = damaged([original])
        if name.endswith(".json"):
            made |= altered(json.loads(original)).map(json_lines)
        content = data.draw(made)

        def put(path: Path) -> None:
            with_file(model, path.parent / "model", name, content)
            read(path)

        check(put, "x", b"")

    run()
