"""What runs the face of an exported model without mmemo, written beside the model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from mmemo.encoders.face.encoder import FaceEncoder
from mmemo.faces.align import ANCHORS, SIZE
from mmemo.faces.landmarks import LEFT_EYE_OUTER, RIGHT_EYE_OUTER
from mmemo.faces.model import DETECTOR, FOLDER, LANDMARKS
from mmemo.faces.search import MIN_SCORE
from mmemo.files import GRAPH
from mmemo.model import EmotionModel
from mmemo.training import run_face

RUNNER, SETTINGS = "run.py", "run.json"
RATE = 15.0
"""Hz: frames of a video that are scored, as in an analysis."""


def write_runner(model: EmotionModel, folder: Path) -> None:
    """Write ``run.py``, its settings and the networks that find faces into the folder of an exported model.

    Nothing is written for a model whose face is not scored by a `FaceEncoder`.
    """
    encoder = model.encoders.get("face")
    if not isinstance(encoder, FaceEncoder):
        return
    faces = folder / FOLDER.name
    faces.mkdir()
    for name in (DETECTOR, LANDMARKS):
        shutil.copyfile(FOLDER / name, faces / name)
    places, weights = zip(*(((x, y), weight) for x, y, weight in ANCHORS.values()), strict=True)
    equal = [1.0] * len(model.labels)
    settings = {
        "labels": list(model.labels),
        "temperature": model.temperatures["face"],
        "prior": model.priors["face"].tolist() if "face" in model.priors else equal,
        "networks": {
            "detector": f"{faces.name}/{DETECTOR}",
            "landmarks": f"{faces.name}/{LANDMARKS}",
            "classifier": f"face/{GRAPH}",
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
    (folder / SETTINGS).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    shutil.copyfile(run_face.__file__, folder / RUNNER)
