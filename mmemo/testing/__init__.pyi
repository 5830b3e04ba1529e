from .checks import TinyEncoder as TinyEncoder, check_encoder as check_encoder, check_fusion as check_fusion
from .micro import (
    MadeSequence as MadeSequence,
    Movement as Movement,
    Unrest as Unrest,
    brow_raise as brow_raise,
    corpus_flow as corpus_flow,
    smile_corner as smile_corner,
)
