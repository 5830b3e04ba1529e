"""Damaged and invented files for every reader: what it raises is an error of mmemo, and it comes to an end.

``MMEMO_FUZZ_INPUTS`` is the number of inputs of each reader. They are the same in every run, as long as the code of
the test is.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import resource
import shutil
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mmemo
from mmemo.clip import Clip
from mmemo.data import (
    FeatureCache,
    Manifest,
    MmsaFeatures,
    read_audformat,
    read_corpus,
    read_emobox,
    read_mmsa_features,
    read_mmsa_labels,
    to_frame,
    write_audformat,
    write_mmsa_features,
    write_mmsa_labels,
)
from mmemo.data.columns import COLUMNS
from mmemo.encoders.face.action_units import ActionUnitEncoder, ActionUnits, read_openface
from mmemo.encoders.linear_probe import LinearProbe
from mmemo.encoders.probe_encoder import ProbeEncoder
from mmemo.errors import MmemoError
from mmemo.evidence import Evidence
from mmemo.fusion.late import LateFusion
from mmemo.labels import EKMAN7, SENTIMENT3, LabelSet
from mmemo.samples import ASSETS, make_clip
from mmemo.speech.transcript import read_subtitles, words_between

pytestmark = pytest.mark.slow

INPUTS = int(os.environ.get("MMEMO_FUZZ_INPUTS", 300))
BUDGET = 20.0
"""Seconds of processor time for one input; the largest take one."""
MEMORY = 1.5
"""GB that all inputs of a test may add to the most that the process has ever held."""

FUZZ = settings(
    max_examples=INPUTS,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[*HealthCheck],
)


@pytest.fixture(scope="module")
def check(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., None]]:
    """Writes an input into a new file, calls its reader, and lets errors of mmemo pass, but no other."""
    folder, count = tmp_path_factory.mktemp("fuzz"), 0
    before = _peak()

    def check(read: Callable[[Path], Any], name: str, content: bytes) -> None:
        nonlocal count
        count += 1
        file = folder / f"{count}" / name  # a new one each time, as hashes of files are kept
        file.parent.mkdir()
        file.write_bytes(content)
        started = time.process_time()
        with suppress(MmemoError):
            read(file)
        spent = time.process_time() - started
        assert spent < BUDGET, f"{spent:.0f} s of processor time"
        file.unlink()

    yield check
    assert _peak() - before < MEMORY, f"{_peak() - before:.1f} GB"


def _peak() -> float:
    """GB of memory that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6)


_SIGNS = (b"\0", b"\xff", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80", b"-1", b"9" * 400, b"1e999", b"nan", b'"', b",", b"\n",
          b"{", b"[" * 200, b"\xed\xa0\x80", b"\xef\xbb\xbf", b"<", b" " * 1000)  # fmt: skip
"""What is put into a file: ends of ranges, delimiters, numbers that are too large, bytes that are no text."""


@st.composite
def damaged(draw: st.DrawFn, originals: Sequence[bytes]) -> bytes:
    """One of some valid files with up to four changes: bits, bytes, blocks, its end."""
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, max(0, len(data) - 1)))
        length = draw(st.one_of(st.integers(1, 16), st.integers(1, max(1, len(data)))))
        match draw(st.integers(0, 6)):
            case 0 if data:
                data[place] ^= 1 << draw(st.integers(0, 7))
            case 1 if data:
                data[place] = draw(st.integers(0, 255))
            case 2:
                data[place:place] = draw(st.sampled_from(_SIGNS))
            case 3:
                sign = draw(st.sampled_from(_SIGNS))
                data[place : place + len(sign)] = sign
            case 4:
                del data[place:]
            case 5:
                del data[place : place + length]
            case 6:
                other = draw(st.integers(0, len(data)))
                data[other:other] = data[place : place + min(length, 5000)]
    return bytes(data)


def values(depth: int = 3) -> st.SearchStrategy[Any]:
    """Any value of JSON, odd ones among them."""
    odd = st.sampled_from(
        [None, True, -1, 0, 10**400, 1e308, -0.0, float("nan"), float("inf"), "", "\ud800", "\0", "1", "nan", "a=b"]
    )
    leaf = st.one_of(odd, st.integers(), st.floats(), st.text(max_size=8))
    inner = st.recursive(
        leaf, lambda part: st.one_of(st.lists(part, max_size=4), st.dictionaries(st.text(max_size=5), part, max_size=4))
    )
    return st.one_of(leaf, inner) if depth else leaf


@st.composite
def altered(draw: st.DrawFn, document: Any) -> Any:
    """A JSON document with some of its parts replaced by any value, left out, or put twice."""
    if draw(st.integers(0, 12)) == 0:
        return draw(values())
    if isinstance(document, dict):
        kept = {name: draw(altered(part)) for name, part in document.items() if draw(st.integers(0, 30))}
        return kept | (draw(st.dictionaries(st.sampled_from([*document, "other"]), values(), max_size=1)))
    if isinstance(document, list) and document:
        return [draw(altered(part)) for part in document for _ in range(draw(st.sampled_from([1, 1, 1, 1, 1, 0, 2])))]
    return document


Check = Callable[..., None]
CLIPS = (
    Clip(Path("a.mp4"), 0.5, 2.0, id="a", label="happiness", speaker="x", perceived={"happiness": 0.75, "anger": 0.25},
         labels={"face": "anger"}, extra={"take": "1"}, valence=0.5, turn=3, split="test", dialogue="d"),
    Clip(text="Oh no, \u00e9\u4e16\U0001f600.", id="b", label="sadness", language="en"),
)  # fmt: skip


def written(write: Callable[[Path], Any], name: str, folder: Path) -> bytes:
    """What a writer puts into a file."""
    write(folder / name)
    return (folder / name).read_bytes()


def json_lines(*lines: Any) -> bytes:
    return "\n".join(map(json.dumps, lines)).encode()


# Subtitles

SRT = b"1\n00:00:00,000 --> 00:00:01,500\n<i>Hello</i> there [door] &amp; you\n\n2\n00:00:01,600 --> 00:00:02,000\n- No!\n"
VTT = (
    b"WEBVTT\nLanguage: en\n\nNOTE x\n\nSTYLE\n::cue {}\n\n1\n00:00.000 --> 00:01.500 line:0\n<v.loud Ann>Hello</v> "
    b"<00:01.000><c>you</c>\n\n00:01.500 --> 01:00:02.000\nHello you\nagain\n"
)
ASS = (
    b"[Script Info]\n[Events]\nFormat: Layer, Start, End, Style, Name, Text\n"
    b"Dialogue: 0,0:00:00.00,0:00:01.00,Default,Ann,{\\b1}Hello,\\Nyou\nDialogue: 0,0:00:01.00,0:00:02.00,D,,{\\p1}m 0 0\n"
)


@pytest.mark.parametrize("suffix", [".srt", ".vtt", ".ass", ".txt"])
def test_subtitles(suffix: str, check: Check) -> None:
    def read(path: Path) -> None:
        transcript = read_subtitles(path, 3.0)
        words_between(transcript, 0.0, 2.0)
        str(transcript).encode()

    @FUZZ
    @given(damaged([SRT, VTT, ASS]) | st.text(st.characters(codec="utf-8"), max_size=200).map(str.encode))
    def run(content: bytes) -> None:
        check(read, "clip.en" + suffix, content)

    run()


# Manifests and tables

COLUMN = st.sampled_from(
    [*COLUMNS, "labels", "extra", "label.face", "extra.x", "label_set", "manifest", "licence", "other"]
)
CELLS = st.sampled_from(
    [
        "",
        "a",
        "happiness",
        "1.5",
        "-1",
        "nan",
        "1e999",
        "9" * 400,
        "a=1",
        "a=;b",
        "x" * 300,
        "\u00b2",
        '"',
        "\0",
        "../x",
    ]
)


def sheet(rows: Sequence[Sequence[str]], first: str = "A1") -> bytes:
    """An Excel file; ``first`` is the name of the first cell."""
    cells = "".join(
        f'<row r="{number}">'
        + "".join(
            f'<c r="{first}" t="inlineStr"><is><t>{cell}</t></is></c>'
            if not place
            else f'<c t="s"><v>{number % 3}</v></c>'
            if cell == "shared"
            else f"<c><v>{cell}</v></c>"
            for place, cell in enumerate(row)
        )
        + "</row>"
        for number, row in enumerate(rows, 1)
    )
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("xl/worksheets/sheet1.xml", f"<worksheet {space}><sheetData>{cells}</sheetData></worksheet>")
        book.writestr("xl/sharedStrings.xml", f"<sst {space}><si><t>transcript</t></si><si><t>label</t></si></sst>")
    return file.getvalue()


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_manifests(suffix: str, check: Check, tmp_path: Path) -> None:
    whole = written(Manifest(CLIPS, EKMAN7).write, "m" + suffix, tmp_path)
    records = st.lists(st.dictionaries(COLUMN, values(), max_size=5), max_size=4).map(lambda lines: json_lines(*lines))
    rows = st.lists(st.lists(COLUMN | CELLS, max_size=5), max_size=4).map(
        lambda rows: "\n".join(map(",".join, rows)).encode()
    )

    def read(path: Path) -> None:
        manifest = Manifest.read(path, check_media=False)
        assert (
            Manifest.read(manifest.write(path.with_name("again.jsonl")), manifest.labels, check_media=False) == manifest
        )

    @FUZZ
    @given(damaged([whole]) | (records if suffix == ".jsonl" else rows))
    def run(content: bytes) -> None:
        check(read, "m" + suffix, content)

    run()


@pytest.mark.parametrize("suffix", [".xlsx", ".csv", ".tsv"])
def test_tables(suffix: str, check: Check) -> None:
    rows = st.lists(st.lists(COLUMN | CELLS | st.just("shared"), max_size=5), max_size=4)
    names = st.sampled_from(["A1", "B1", "ZZZZZZ1", "1", "", "XFD1", "a1"])
    whole = [["id", "transcript", "label"], ["a", "shared", "joy"], ["b", "x", "anger"]]
    text = "\n".join(map("\t".join, whole)).encode()

    @FUZZ
    @given(
        damaged([sheet(whole)]) | st.builds(sheet, rows, names)
        if suffix == ".xlsx"
        else damaged([text, text.replace(b"\t", b";")])
    )
    def run(content: bytes) -> None:
        check(lambda path: read_corpus("table", path), "t" + suffix, content)

    run()


def test_interchange(check: Check, tmp_path: Path) -> None:
    """Labels of MMSA, tables of audformat, lists of EmoBox, and a corpus in JSON."""
    one = Manifest(CLIPS[:1], EKMAN7)
    labels = Manifest(
        [Clip(text="Hm", id="v$_$1", label="neutral", valence=0.0, turn=1, dialogue="v", split="test")], SENTIMENT3
    )
    key = {"key": "a", "dataset": "mine", "wav": "a.wav", "emo": "happy", "start_time": 0.5, "end_time": 2.0}
    scenes = {"episodes": [{"scenes": [{"scene_id": "s01_e01_c01", "utterances": [
        {"utterance_id": "u1", "speakers": ["Ann"], "transcript": "No.", "emotion": "Sad"}]}]}]}  # fmt: skip
    to_frame(one).rename(columns={"path": "file"}).to_parquet(tmp_path / "db.x.parquet")
    readers: dict[str, tuple[Callable[[Path], Any], list[bytes]]] = {
        "label.csv": (lambda path: read_mmsa_labels(path, check_media=False), [written(lambda path: write_mmsa_labels(labels, path), "label.csv", tmp_path)]),
        "db.clips.csv": (lambda path: read_audformat(path, check_media=False), [(write_audformat(one, tmp_path / "db") / "db.clips.csv").read_bytes()]),
        "db.x.parquet": (lambda path: read_audformat(path, check_media=False), [(tmp_path / "db.x.parquet").read_bytes()]),
        "x_test_fold_1.jsonl": (lambda path: read_emobox(path, label_map={"happy": "happiness"}, check_media=False), [json_lines(key, key)]),
        "emotion-detection-trn.json": (lambda path: read_corpus("emorynlp", path.parent), [json_lines(scenes)]),
    }  # fmt: skip
    invented = {"x_test_fold_1.jsonl": altered(key), "emotion-detection-trn.json": altered(scenes)}

    @FUZZ
    @given(st.data())
    def run(data: st.DataObject) -> None:
        name = data.draw(st.sampled_from([*readers]))
        read, originals = readers[name]
        made = [invented[name].map(json_lines)] if name in invented else []
        check(read, name, data.draw(st.one_of(damaged(originals), *made)))

    run()


def test_openface(check: Check) -> None:
    whole = b"frame, face_id, timestamp, confidence, success, AU01_r, AU12_c\n1, 0, 0.000, 0.98, 1, 0.25, 1.0\n2, 0, 0.033, 0.9, 0, 1, 0\n"
    rows = st.lists(st.lists(CELLS, min_size=5, max_size=8), max_size=4).map(
        lambda rows: whole + "\n".join(map(",".join, rows)).encode()
    )

    @FUZZ
    @given(damaged([whole]) | rows)
    def run(content: bytes) -> None:
        check(read_openface, "c.csv", content)

    run()


# Results, features, models


@pytest.fixture(scope="module")
def result() -> mmemo.EmotionResult:
    return mmemo.analyze(ASSETS / "portrait.jpg", text="I am so happy. You too?")


def test_results(check: Check, result: mmemo.EmotionResult) -> None:
    document = result.to_dict()
    former = {name: part for name, part in document.items() if name != "format"}

    def read(path: Path) -> None:
        found = mmemo.EmotionResult.load(path)
        assert mmemo.EmotionResult.from_dict(json.loads(found.to_json())).to_json() == found.to_json()
        str(found)
        found.save(path.with_name("again.srt"))
        found.save(path.with_name("again.csv"))

    @FUZZ
    @given(damaged([result.to_json().encode()]) | altered(document).map(json_lines) | altered(former).map(json_lines))
    def run(content: bytes) -> None:
        check(read, "r.json", content)

    run()


def test_pickles(check: Check, tmp_path: Path) -> None:
    features = {
        "test": MmsaFeatures(
            ("v$_$1", "v$_$2"), {"audio": np.ones((2, 3, 2), np.float32), "raw_text": np.array(["a", "b"])}
        )
    }
    whole = written(lambda path: write_mmsa_features(features, path), "f.pkl", tmp_path)
    nested: Any = []
    for _ in range(50):
        nested = (nested, nested)
    plain: Any = {"test": {"id": ["a", ("b",), {1}], "x": [[1.5, None], b"y"]}}
    originals = [
        whole,
        *(pickle.dumps(plain, protocol) for protocol in range(6)),
        pickle.dumps({"test": {"id": [nested], "x": nested}}),
    ]
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
    labels = LabelSet("mine", ("calm", "tense"))
    units = ActionUnits(np.array([0.0, 0.5]), np.array([[4.0, 1.0], [2.25, 0.0]], np.float32))
    probe = LinearProbe(np.zeros(2), np.ones(2), np.ones((2, 2)), np.zeros(2))
    inner = ActionUnitEncoder({"clip": units}, EKMAN7, modality="units")
    encoders = [ActionUnitEncoder({"clip": units}, labels, probe), ProbeEncoder(inner, probe, labels)]
    model = mmemo.EmotionModel(encoders, LateFusion(labels, {"face": 1.0, "units": 2.0})).save(tmp_path / "model")
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
            shutil.copytree(model, path.parent / "model")
            (path.parent / "model" / name).write_bytes(content)
            config = path.parent / "model" / name.replace("model.safetensors", "config.json")
            if name.endswith("model.safetensors"):
                config.write_text(
                    json.dumps({**json.loads(config.read_bytes()), "sha256": hashlib.sha256(content).hexdigest()})
                )
            read(path)

        check(put, "x", b"")

    run()


# Media and text


def test_media(check: Check, tmp_path: Path) -> None:
    import cv2

    small = {"seconds": 0.4, "size": (64, 64), "rate": 5}
    image = np.zeros((48, 64, 3), np.uint8)
    originals = {
        **{suffix: make_clip(tmp_path / f"c{suffix}", **small).read_bytes() for suffix in (".mp4", ".mkv")},
        **{
            suffix: make_clip(tmp_path / f"s{suffix}", seconds=0.5, picture=False).read_bytes()
            for suffix in (".wav", ".m4a")
        },
        **{suffix: cv2.imencode(suffix, image)[1].tobytes() for suffix in (".jpg", ".png", ".bmp", ".webp", ".gif")},
    }
    analyzer = mmemo.Analyzer(modalities=("face", "voice"), transcriber=None)

    @FUZZ
    @given(st.data())
    def run(data: st.DataObject) -> None:
        suffix = data.draw(st.sampled_from([*originals]))
        check(analyzer, "c" + suffix, data.draw(damaged([originals[suffix]])))

    run()


def test_texts(check: Check) -> None:
    """Any text that is given, lone surrogates and all: a result, whose document is UTF-8."""
    analyzer = mmemo.Analyzer(modalities=("text",))

    @FUZZ
    @given(st.text(st.characters(), max_size=300))
    def run(text: str) -> None:
        def read(path: Path) -> None:
            found = analyzer(text=text)
            found.to_json().encode()
            found.save(path.with_name("r.html"))

        check(read, "x", b"")

    run()
