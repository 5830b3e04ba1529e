"""What emotion a person shows, from face, voice and words together: ``mmemo.analyze("clip.mp4")``.

Names are imported when they are first used, so that ``import mmemo`` loads neither torch nor any model.
"""

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
