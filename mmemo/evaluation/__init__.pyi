from .bootstrap import Interval as Interval, bootstrap as bootstrap
from .calibration import fit_temperature as fit_temperature
from .metrics import (
    accuracy as accuracy,
    best_thresholds as best_thresholds,
    brier_score as brier_score,
    concordance as concordance,
    confusion as confusion,
    expected_calibration_error as expected_calibration_error,
    f1_scores as f1_scores,
    macro_f1 as macro_f1,
    multilabel_f1 as multilabel_f1,
    negative_log_likelihood as negative_log_likelihood,
    recalls as recalls,
    uar as uar,
    weighted_f1 as weighted_f1,
)
from .reliance import Reliance as Reliance, reliance as reliance
from .spotting import SpottingScore as SpottingScore, overlap as overlap, spotting_score as spotting_score
