from .base import FittableHead as FittableHead, FusionHead as FusionHead
from .boosting import BoostingFusion as BoostingFusion
from .concat import ConcatFusion as ConcatFusion
from .cross_attention import CrossAttentionFusion as CrossAttentionFusion
from .gated import GatedFusion as GatedFusion
from .late import LateFusion as LateFusion, RuleFusion as RuleFusion
from .stacked import StackedFusion as StackedFusion
