"""What emotion a person shows, from face, voice and words together: ``mmemo.analyze("clip.mp4")``.

Names are imported when they are first used, so that ``import mmemo`` loads neither torch nor any model.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmemo import explain as explain
    from mmemo.batch.analyze_many import analyze_many
    from mmemo.clip import Clip
    from mmemo.comparison.compare import compare
    from mmemo.micro.spot import spot_micro
    from mmemo.model import EmotionModel
    from mmemo.pipeline.analyzer import Analyzer, analyze
    from mmemo.pretrained import load_model
    from mmemo.result import EmotionResult

__version__ = "0.1.0"
__all__ = [
    "Analyzer",
    "Clip",
    "EmotionModel",
    "EmotionResult",
    "analyze",
    "analyze_many",
    "compare",
    "load_model",
    "spot_micro",
]

_HOMES = {
    "Analyzer": "mmemo.pipeline.analyzer",
    "Clip": "mmemo.clip",
    "EmotionModel": "mmemo.model",
    "EmotionResult": "mmemo.result",
    "analyze": "mmemo.pipeline.analyzer",
    "analyze_many": "mmemo.batch.analyze_many",
    "compare": "mmemo.comparison.compare",
    "load_model": "mmemo.pretrained",
    "spot_micro": "mmemo.micro.spot",
}


def __getattr__(name: str) -> Any:
    if name == "explain":
        return import_module("mmemo.explain")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'mmemo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
