from .bootstrap import Interval as Interval
from .bootstrap import bootstrap as bootstrap
from .calibration import fit_temperature as fit_temperature
from .metrics import (
    accuracy as accuracy,
)
from .metrics import (
    best_thresholds as best_thresholds,
)
from .metrics import (
    brier_score as brier_score,
)
from .metrics import (
    concordance as concordance,
)
from .metrics import (
    confusion as confusion,
)
from .metrics import (
    expected_calibration_error as expected_calibration_error,
)
from .metrics import (
    f1_scores as f1_scores,
)
from .metrics import (
    macro_f1 as macro_f1,
)
from .metrics import (
    multilabel_f1 as multilabel_f1,
)
from .metrics import (
    negative_log_likelihood as negative_log_likelihood,
)
from .metrics import (
    recalls as recalls,
)
from .metrics import (
    uar as uar,
)
from .metrics import (
    weighted_f1 as weighted_f1,
)
from .reliance import Reliance as Reliance
from .reliance import reliance as reliance
from .spotting import SpottingScore as SpottingScore
from .spotting import overlap as overlap
from .spotting import spotting_score as spotting_score
