from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import mmemo
from mmemo.data.encoding import encoder_fingerprint
from mmemo.encoders.base import Encoder
from mmemo.encoders.linear_probe import LinearProbe
from mmemo.encoders.probe_encoder import ProbeEncoder, mean_tokens
from mmemo.errors import ArgumentError, UnknownModelError, WeightsError
from mmemo.evidence import Evidence, TextEvidence
from mmemo.fusion.late import LateFusion
from mmemo.labels import LabelSet
from mmemo.testing import TinyEncoder, check_encoder

pytestmark = pytest.mark.slow

MOODS = LabelSet("moods", ("good", "bad", "so-so"))


@pytest.fixture(scope="module")
def text() -> Encoder:
    return mmemo.load_model(modalities=("text",)).encoders["text"]


def probe_of(width: int, seed: int = 0) -> LinearProbe:
    rng = np.random.default_rng(seed)
    return LinearProbe(rng.normal(size=width), np.ones(width), rng.normal(size=(width, 3)), rng.normal(size=3))


def test_the_scores_are_the_probes_of_the_mean_token(text: Encoder) -> None:
    probed = ProbeEncoder(text, probe_of(text.dim), MOODS)
    check_encoder(probed)
    window = Evidence(0.0, 1.0, text=TextEvidence("What a day.", "en", 1.0, 1.0))
    prepared = probed.prepare(window)
    assert prepared is not None
    found = probed.encode([prepared])
    mean = found.tokens[0][found.mask[0]].mean(axis=0, dtype=np.float64)
    np.testing.assert_allclose(found.logits[0], probed.probe.logits(mean[None])[0], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(mean_tokens(found)[0], mean, atol=1e-6)
    np.testing.assert_allclose(found.tokens, text.encode([prepared]).tokens)


def test_a_model_with_labels_of_its_own_is_saved_and_loaded(text: Encoder, tmp_path: Path) -> None:
    probed = ProbeEncoder(text, probe_of(text.dim), MOODS)
    model = mmemo.EmotionModel([probed], LateFusion(MOODS, {"text": 1.0}))
    model.save(tmp_path / "model")
    again = mmemo.load_model(tmp_path / "model")
    assert again.labels == MOODS
    one, two = (mmemo.analyze(text="What a lovely day.", model=each) for each in (model, again))
    assert one.scores == pytest.approx(two.scores, abs=1e-3)
    assert encoder_fingerprint(probed) == encoder_fingerprint(again.encoders["text"])
    assert encoder_fingerprint(probed) != encoder_fingerprint(ProbeEncoder(text, probe_of(text.dim, 1), MOODS))


def test_what_does_not_fit_is_told(text: Encoder, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"4 features and there are 3 labels, the probe is \(5, 3\)"):
        ProbeEncoder(TinyEncoder(), probe_of(5), MOODS)
    with pytest.raises(ArgumentError, match="can't be saved"):
        ProbeEncoder(TinyEncoder(), probe_of(4), MOODS).save(tmp_path / "tiny")
    with pytest.raises(UnknownModelError, match="No probe"):
        ProbeEncoder.load(tmp_path)
    folder = ProbeEncoder(text, probe_of(text.dim), MOODS).save(tmp_path / "text")
    (folder / "probe.safetensors").write_bytes(b"no tensors")
    with pytest.raises(WeightsError, match="damaged"):
        ProbeEncoder.load(folder)
    settings = json.loads((folder / "probe.json").read_text())
    (folder / "probe.json").write_text(json.dumps({**settings, "base": "os.system"}))
    with pytest.raises(WeightsError):
        ProbeEncoder.load(folder)


def test_folders_of_the_first_version_load(text: Encoder, tmp_path: Path) -> None:
    settings = ProbeEncoder(text, probe_of(text.dim), MOODS).save(tmp_path / "text") / "probe.json"
    assert json.loads(settings.read_text())["labels"] == MOODS.to_config()
    settings.write_text(json.dumps({"base": "TextEncoder", **MOODS.to_config()}))
    assert ProbeEncoder.load(tmp_path / "text").labels == MOODS
