from . import data as data
from . import encoders as encoders
from . import errors as errors
from . import evaluation as evaluation
from . import explain as explain
from . import fusion as fusion
from . import labels as labels
from . import samples as samples
from . import testing as testing
from .batch.analyze_many import analyze_many as analyze_many
from .clip import Clip as Clip
from .comparison.compare import compare as compare
from .comparison.predictions import Predictions as Predictions
from .downloads import download as download
from .in_memory import Frames as Frames
from .in_memory import Sound as Sound
from .micro.spot import spot_micro as spot_micro
from .model import EmotionModel as EmotionModel
from .personal.adaptation import Adaptation as Adaptation
from .personal.baseline import Baseline as Baseline
from .pipeline.analyzer import Analyzer as Analyzer
from .pipeline.analyzer import analyze as analyze
from .pipeline.stream import stream as stream
from .pretrained import load_model as load_model
from .result import EmotionResult as EmotionResult

__version__: str
