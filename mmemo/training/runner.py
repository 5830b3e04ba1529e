"""What runs face and voice of an exported model without mmemo, written beside it: in Python, and in a browser."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from mmemo.encoders.face.encoder import FaceEncoder
from mmemo.encoders.voice.architecture import HOP
from mmemo.encoders.voice.encoder import TOGETHER, VoiceEncoder
from mmemo.encoders.voice.waveform import MARGIN, SHORTEST
from mmemo.errors import ArgumentError
from mmemo.evidence import SAMPLE_RATE
from mmemo.faces.align import ANCHORS, SIZE
from mmemo.faces.landmarks import LEFT_EYE_OUTER, RIGHT_EYE_OUTER
from mmemo.faces.model import DETECTOR, FOLDER, LANDMARKS
from mmemo.faces.search import MIN_SCORE
from mmemo.files import GRAPH, GRAPH_INT8, TENSORS
from mmemo.model import EmotionModel
from mmemo.reading import parse_json, read_bytes
from mmemo.report.style.colors import colors
from mmemo.speech import activity, level
from mmemo.training import run_exported

RUNNER, SETTINGS = "run.py", "run.json"
RATE = 15.0
"""Hz: frames of a video that are scored, as in an analysis."""
WINDOW, STRIDE = 2.0, 1.0
"""Seconds of sound that are scored, and between two of them, as in an analysis."""
LIVE_STRIDE = 0.5
"""Seconds between scores of a live voice, as in a live session."""
PAGE = Path(__file__).parent / "live_page"
ONNXRUNTIME_WEB = "1.30.0"
"""Version of the npm package onnxruntime-web that the page was tested with."""
_OF_ONNXRUNTIME_WEB = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")


def write_runner(model: EmotionModel, folder: Path, *, int8: bool = False) -> None:
    """Write ``run.py``, its settings and the networks that find faces and voices into the folder of an exported model.

    A face counts if a `FaceEncoder` scores it, a voice if a `VoiceEncoder` does; nothing is written without either.

    Args:
        int8: run the voice in int8.

    Raises:
        ArgumentError: if no network of the model was exported in int8.
    """
    if int8 and not list(folder.glob(f"*/{GRAPH_INT8}")):
        raise ArgumentError(
            "int8 has no effect on this model: its networks have no large matrices, or were exported without int8 "
            "before. Leave --int8 out, or export the model from its run folder."
        )
    settings: dict[str, Any] = {"labels": list(model.labels), "colors": colors(model.labels)}
    face, voice = (model.encoders.get(name) for name in ("face", "voice"))
    if isinstance(face, FaceEncoder):
        settings["face"] = _calibration(model, "face") | _face(face, folder)
    if isinstance(voice, VoiceEncoder):
        settings["voice"] = _calibration(model, "voice") | _voice(folder, int8)
    if "face" in settings or "voice" in settings:
        (folder / SETTINGS).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        shutil.copyfile(run_exported.__file__, folder / RUNNER)


def check_onnxruntime_web(package: Path) -> None:
    """Refuse a folder that is not the npm package onnxruntime-web in the version of the page.

    Raises:
        ArgumentError: see above.
    """
    try:
        version = parse_json(read_bytes(package / "package.json"))["version"]
    except (OSError, ValueError, KeyError, TypeError):
        version = None
    if version != ONNXRUNTIME_WEB or not all((package / "dist" / name).is_file() for name in _OF_ONNXRUNTIME_WEB):
        there = "is not that package" if version is None else f"holds version {version}"
        raise ArgumentError(
            f"The web page takes the npm package onnxruntime-web {ONNXRUNTIME_WEB}, and {package} {there}. Install it "
            f"with `npm install onnxruntime-web@{ONNXRUNTIME_WEB}` and name node_modules/onnxruntime-web."
        )


def write_page(folder: Path, package: Path) -> None:
    """Write a web page into the folder of an exported model, that runs its face and voice in the browser.

    Args:
        package: folder of the npm package onnxruntime-web.

    Raises:
        ArgumentError: if it is none; or the model has no face that `write_runner` writes.
    """
    check_onnxruntime_web(package)
    if not (folder / SETTINGS).is_file() or "face" not in json.loads((folder / SETTINGS).read_text(encoding="utf-8")):
        raise ArgumentError("The web page takes a model whose face is scored by a FaceEncoder, and this one has none.")
    shutil.copytree(PAGE, folder, dirs_exist_ok=True)
    (folder / "onnxruntime").mkdir()
    for name in _OF_ONNXRUNTIME_WEB:
        shutil.copyfile(package / "dist" / name, folder / "onnxruntime" / name)


def _calibration(model: EmotionModel, modality: str) -> dict[str, Any]:
    prior = model.priors.get(modality, np.ones(len(model.labels)))
    return {"temperature": model.temperatures[modality], "prior": prior.tolist()}


def _face(encoder: FaceEncoder, folder: Path) -> dict[str, Any]:
    places, weights = zip(*(((x, y), weight) for x, y, weight in ANCHORS.values()), strict=True)
    return {
        "networks": {  # each with the file of its weights, where that is another one
            "detector": [_copied(FOLDER / DETECTOR, folder)],
            "landmarks": [_copied(FOLDER / LANDMARKS, folder)],
            "classifier": [f"face/{GRAPH}", f"face/{TENSORS}"],
        },
        "min_score": MIN_SCORE,
        "rate": RATE,
        "eyes": [RIGHT_EYE_OUTER, LEFT_EYE_OUTER],
        "anchors": {"landmarks": list(ANCHORS), "places": places, "weights": weights},
        "crop": SIZE,
        "size": encoder.size,
        "turn": encoder.turn,
        "mirror": encoder.mirror,
    }


def _voice(folder: Path, int8: bool) -> dict[str, Any]:
    samples = {
        "shortest": activity.SHORTEST_SPEECH,
        "pause": activity.SHORTEST_PAUSE,
        "margin": activity.MARGIN,
    }
    graph = GRAPH_INT8 if int8 and (folder / "voice" / GRAPH_INT8).is_file() else GRAPH
    return {
        "networks": {
            "activity": [_copied(activity.NETWORK, folder)],
            "classifier": [f"voice/{graph}", f"voice/{TENSORS}"],
        },
        "sample_rate": SAMPLE_RATE,
        "window": WINDOW,
        "hop": STRIDE,
        "live_stride": LIVE_STRIDE,
        "together": TOGETHER,
        "step": HOP,
        "shortest": SHORTEST,
        "margin": MARGIN,
        "level": {"target": _amplitude(level.TARGET_DB), "knee": level.KNEE},
        "activity": {
            "block": activity.BLOCK,
            "live_block": activity.LIVE_BLOCK,
            "chunk": activity.CHUNK,
            "context": activity.CONTEXT,
            "speech": activity.SPEECH,
            "burst": activity.BURST,
            "burst_layer": np.load(activity.VOCAL_BURSTS).tolist(),
            "quiet": _amplitude(activity.QUIET_DB),
            "target": _amplitude(activity.TARGET_DB),
            "gain": [0.05, _amplitude(activity.HIGHEST_GAIN_DB)],
            **{name: seconds * SAMPLE_RATE for name, seconds in samples.items()},
        },
    }


def _copied(file: Path, folder: Path) -> str:
    """Copy a file that mmemo ships into a folder of its folder's name; its new path within the model."""
    (folder / file.parent.name).mkdir(exist_ok=True)
    shutil.copyfile(file, folder / file.parent.name / file.name)
    return f"{file.parent.name}/{file.name}"


def _amplitude(level_db: float) -> float:
    return float(10 ** (level_db / 20))
