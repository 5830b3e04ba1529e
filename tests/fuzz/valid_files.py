"""Small files without a fault, of each kind that is read: what the inputs are made of."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import shutil
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import mmemo
from mmemo.clip import Clip
from mmemo.data import MmsaFeatures, write_mmsa_features
from mmemo.encoders.face.action_units import ActionUnitEncoder, ActionUnits
from mmemo.encoders.linear_probe import LinearProbe
from mmemo.encoders.probe_encoder import ProbeEncoder
from mmemo.fusion.late import LateFusion
from mmemo.labels import EKMAN7, LabelSet

CLIPS = (
    Clip(Path("a.mp4"), 0.5, 2.0, id="a", label="happiness", speaker="x", perceived={"happiness": 0.75, "anger": 0.25},
         labels={"face": "anger"}, extra={"take": "1"}, valence=0.5, turn=3, split="test", dialogue="d"),
    Clip(text="Oh no, \u00e9\u4e16\U0001f600.", id="b", label="sadness", language="en"),
)  # fmt: skip
SRT = b"1\n00:00:00,000 --> 00:00:01,500\n<i>Hello</i> there [door] &amp; you\n\n2\n00:00:01,600 --> 00:00:02,000\n- No!\n"
VTT = (
    b"WEBVTT\nLanguage: en\n\nNOTE x\n\nSTYLE\n::cue {}\n\n1\n00:00.000 --> 00:01.500 line:0\n<v.loud Ann>Hello</v> "
    b"<00:01.000><c>you</c>\n\n00:01.500 --> 01:00:02.000\nHello you\nagain\n"
)
ASS = (
    b"[Script Info]\n[Events]\nFormat: Layer, Start, End, Style, Name, Text\n"
    b"Dialogue: 0,0:00:00.00,0:00:01.00,Default,Ann,{\\b1}Hello,\\Nyou\nDialogue: 0,0:00:01.00,0:00:02.00,D,,{\\p1}m 0 0\n"
)
SBV = b"0:00:01.000,0:00:02.500\nANN: Where?\n\n0:00:03.000,0:00:04.000\n(laughs) At *home*.\n"
LRC = b"[ar:x]\n[offset:+500]\n[00:01.50]Where <00:02.00>to?\n[00:03.50][00:40.5]Home.\n"
TTML = (
    b'<tt xml:lang="en" frameRate="25"><metadata><agent id="a"><name>Ann</name></agent></metadata><body begin="1s">'
    b'<p begin="00:00:00:10" dur="1500ms" agent="a">Where<br/>to?</p><p><span begin="2s" end="3f">Home.</span></p></body></tt>'
)
WHISPER = (
    b'{"language": "en", "segments": [{"start": 1.0, "end": 2.5, "text": "Hi", "speaker": "A", "avg_logprob": -0.1, '
    b'"words": [{"word": " Hi", "start": 1.0, "end": 1.5, "probability": 0.5}]}, {"timestamp": [3.0, null], "text": "Ho"}]}'
)
TSV = b"start\tend\ttext\n1000\t2500\tHi\n2500\t3000\tHo\n"
OPENFACE = b"frame, face_id, timestamp, confidence, success, AU01_r, AU12_c\n1, 0, 0.000, 0.98, 1, 0.25, 1.0\n2, 0, 0.033, 0.9, 0, 1, 0\n"


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


def pickles(folder: Path) -> list[bytes]:
    """Feature pickles as MMSA's, in all protocols, and a nested one."""
    features = {
        "test": MmsaFeatures(
            ("v$_$1", "v$_$2"), {"audio": np.ones((2, 3, 2), np.float32), "raw_text": np.array(["a", "b"])}
        )
    }
    whole = written(lambda path: write_mmsa_features(features, path), "f.pkl", folder)
    nested: Any = []
    for _ in range(50):
        nested = (nested, nested)
    plain: Any = {"test": {"id": ["a", ("b",), {1}], "x": [[1.5, None], b"y"]}}
    return [
        whole,
        *(pickle.dumps(plain, protocol) for protocol in range(6)),
        pickle.dumps({"test": {"id": [nested], "x": nested}}),
    ]


def model_folder(folder: Path) -> Path:
    """A model of small parts: action units, a probe, late fusion."""
    labels = LabelSet("mine", ("calm", "tense"))
    units = ActionUnits(np.array([0.0, 0.5]), np.array([[4.0, 1.0], [2.25, 0.0]], np.float32))
    probe = LinearProbe(np.zeros(2), np.ones(2), np.ones((2, 2)), np.zeros(2))
    inner = ActionUnitEncoder({"clip": units}, EKMAN7, modality="units")
    encoders = [ActionUnitEncoder({"clip": units}, labels, probe), ProbeEncoder(inner, probe, labels)]
    return mmemo.EmotionModel(encoders, LateFusion(labels, {"face": 1.0, "units": 2.0})).save(folder)


def with_file(model: Path, folder: Path, name: str, content: bytes) -> None:
    """Copies a model with another content of one file; the hash of arrays is made good, so that they are read."""
    shutil.copytree(model, folder)
    (folder / name).write_bytes(content)
    if name.endswith("model.safetensors"):
        config = folder / name.replace("model.safetensors", "config.json")
        config.write_text(
            json.dumps({**json.loads(config.read_bytes()), "sha256": hashlib.sha256(content).hexdigest()})
        )


def written(write: Callable[[Path], Any], name: str, folder: Path) -> bytes:
    """What a writer puts into a file."""
    write(folder / name)
    return (folder / name).read_bytes()
