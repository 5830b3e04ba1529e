"""Faces: detected, tracked with stable ids, aligned to crops, and rated by quality."""

from mmemo.faces.blendshapes import BLENDSHAPES
from mmemo.faces.face import Face
from mmemo.faces.search import FaceFinder
from mmemo.faces.tracks import FaceTracker

__all__ = ["BLENDSHAPES", "Face", "FaceFinder", "FaceTracker"]
