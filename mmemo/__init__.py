"""What emotion a person shows, from face, voice and words together: ``mmemo.analyze("clip.mp4")``.

Names are imported when they are first used, so that ``import mmemo`` loads no model.
"""

from mmemo.namespace import attach

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = attach(__name__, __file__)
