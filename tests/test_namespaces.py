"""The public names: a list that is frozen here, equal to what each namespace exports, shows and documents."""

from __future__ import annotations

import doctest
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import mmemo
from mmemo.labels import LabelMapping, LabelSet
from mmemo.samples import make_clip

ROOT = Path(__file__).parent.parent
PUBLIC = {
    "mmemo": """Adaptation Analyzer Baseline CalibrateOptions Calibration Clip EmotionModel EmotionResult Frames Predictions Sound TrainOptions analyze
        analyze_many calibrate compare data download encoders errors evaluation explain fusion labels load_model samples spot_micro stream testing train""",
    "mmemo.encoders": """ActionUnitEncoder BlendshapeEncoder Encoder Encoding FaceEncoder FaceSequenceEncoder
        ImageBackboneEncoder LinearProbe ProbeEncoder SavableEncoder SpeechBackboneEncoder TextBackboneEncoder TextEncoder VoiceEncoder
        WhisperLayersEncoder load_image_backbone load_speech_backbone load_text_backbone""",
    "mmemo.fusion": """BoostingFusion ConcatFusion CrossAttentionFusion FittableHead FusionHead GatedFusion LateFusion
        RuleFusion SavableHead StackedFusion Trust""",
    "mmemo.data": """Audit ClipDataset EncodedClips FeatureCache Manifest MmsaFeatures audit collate encode from_dataset
        from_frame prepare read_audformat read_corpus read_emobox read_mmsa_features read_mmsa_labels to_dataset to_frame
        write_audformat write_emobox write_mmsa_features write_mmsa_labels""",
    "mmemo.evaluation": """Interval Reliance SpottingScore accuracy best_thresholds bootstrap brier_score concordance
        confusion expected_calibration_error f1_scores fit_temperature macro_f1 multilabel_f1 negative_log_likelihood
        overlap recalls reliance spotting_score uar weighted_f1""",
    "mmemo.explain": "FaceExplanation TextExplanation VoiceExplanation face text voice",
    "mmemo.testing": """MadeSequence Movement TinyEncoder Unrest brow_raise check_encoder check_fusion corpus_flow
        smile_corner""",
    "mmemo.samples": "ASSETS SPEECH_TEXT Sound make_clip make_corpus moved_portrait portrait sound speech",
}
NAMES = [(namespace, name) for namespace, names in PUBLIC.items() for name in names.split()]


def _module(namespace: str) -> ModuleType:
    return importlib.import_module(namespace)


@pytest.mark.parametrize("namespace", PUBLIC)
def test_a_namespace_exports_what_is_public_and_shows_nothing_else(namespace: str) -> None:
    module = _module(namespace)
    assert sorted(module.__all__) == sorted(PUBLIC[namespace].split())
    assert sorted(dir(module)) == sorted(module.__all__)


@pytest.mark.parametrize(("namespace", "name"), NAMES)
def test_every_public_name_can_be_imported(namespace: str, name: str) -> None:
    exported: Any = getattr(_module(namespace), name)
    assert exported is not None


@pytest.mark.parametrize("namespace", ["mmemo.labels", "mmemo.errors"])
def test_labels_and_errors_show_their_own_names_only(namespace: str) -> None:
    module = _module(namespace)
    own = {
        name
        for name, value in vars(module).items()
        if isinstance(value, LabelSet | LabelMapping)
        or (isinstance(value, type) and value.__module__ == namespace and not name.startswith("_"))
    }
    assert own <= set(module.__all__)
    assert sorted(dir(module)) == sorted(module.__all__)


def test_a_name_is_its_function_though_a_module_is_called_so_too() -> None:
    code = (
        "import mmemo.data.prepare, mmemo.evaluation.bootstrap, mmemo.evaluation.reliance, mmemo.batch.analyze_many;"
        "from mmemo.data import prepare; from mmemo.evaluation import bootstrap, reliance; from mmemo import analyze_many;"
        "assert all(callable(one) for one in (prepare, bootstrap, reliance, analyze_many))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=120)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        mmemo.nonsense  # noqa: B018


@pytest.mark.parametrize("namespace", PUBLIC)
def test_the_reference_has_every_public_name(namespace: str) -> None:
    page = (ROOT / "docs" / "reference" / f"{namespace.removeprefix('mmemo.')}.md").read_text(encoding="utf-8")
    shown = set(re.findall(rf"^::: ({re.escape(namespace)}(?:\.\w+)?)$", page, re.MULTILINE))
    if namespace == "mmemo.samples":
        assert shown == {namespace}
        return
    wanted = {f"{namespace}.{name}" for name in PUBLIC[namespace].split() if f"mmemo.{name}" not in _NAMESPACES}
    assert shown == wanted


_NAMESPACES = {*PUBLIC, "mmemo.labels", "mmemo.errors"}


def _documented() -> list[Any]:
    names = [*NAMES, *(("mmemo.labels", name) for name in ("LabelSet", "LabelMapping", "find_mapping"))]
    names += [("mmemo.errors", name) for name in _module("mmemo.errors").__all__]
    objects = [(f"{namespace}.{name}", getattr(_module(namespace), name)) for namespace, name in names]
    return [
        pytest.param(value, id=name)
        for name, value in objects
        if callable(value) and getattr(value, "__module__", "").startswith("mmemo")
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the examples run: it holds ``clip.mp4``, two seconds of a smiling face and a spoken sentence."""
    return make_clip(tmp_path_factory.mktemp("examples") / "clip.mp4", seconds=2.0).parent


@pytest.mark.slow
@pytest.mark.parametrize("value", _documented())
def test_each_public_name_has_an_example_that_runs(value: Any, folder: Path) -> None:
    examples = [test for test in doctest.DocTestFinder().find(value, value.__name__) if test.examples]
    assert examples, f"{value.__name__} has no >>> example"
    before = Path.cwd()
    os.chdir(folder)
    try:
        for test in examples:
            report: list[str] = []
            runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
            runner.run(test, out=report.append)
            assert not runner.failures, "".join(report)
    finally:
        os.chdir(before)
