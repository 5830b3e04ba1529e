from .checks import TinyEncoder as TinyEncoder
from .checks import check_encoder as check_encoder
from .checks import check_fusion as check_fusion
from .micro import (
    MadeSequence as MadeSequence,
)
from .micro import (
    Movement as Movement,
)
from .micro import (
    Unrest as Unrest,
)
from .micro import (
    brow_raise as brow_raise,
)
from .micro import (
    corpus_flow as corpus_flow,
)
from .micro import (
    smile_corner as smile_corner,
)
