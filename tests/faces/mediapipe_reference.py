"""Run MediaPipe's own FaceLandmarker; a program of its own, as it opens network sockets and brings another OpenCV.

``python mediapipe_reference.py MODEL PICTURES.npz OUT.npz``: for each picture of the archive (RGB uint8), the landmarks
``NAME.landmarks`` (N, 478, 3) in pixels and the blendshapes ``NAME.blendshapes`` (N, 52), and once their ``names``.
"""

from __future__ import annotations

import sys

import mediapipe as mp
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision


def main(model: str, pictures: str, out: str) -> None:
    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=model), output_face_blendshapes=True, num_faces=4
    )
    found: dict[str, object] = {}
    with vision.FaceLandmarker.create_from_options(options) as landmarker:
        for name, picture in np.load(pictures).items():
            height, width = picture.shape[:2]
            result = landmarker.detect(mp.Image(image_format=mp.ImageFormat.SRGB, data=picture))
            landmarks = [[(p.x * width, p.y * height, p.z * width) for p in face] for face in result.face_landmarks]
            found[f"{name}.landmarks"] = np.array(landmarks).reshape(-1, 478, 3)
            shapes = [[shape.score for shape in face] for face in result.face_blendshapes]
            found[f"{name}.blendshapes"] = np.array(shapes).reshape(-1, 52)
            if result.face_blendshapes:
                found["names"] = [shape.category_name for shape in result.face_blendshapes[0]]
    np.savez(out, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
