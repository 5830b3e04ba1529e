"""The model "large": named, asked for, and made of checkpoints from a local cache of the Hub; the network is not used."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import mmemo
from mmemo.cli import _offer_download, main
from mmemo.encoders.known_checkpoints import CHECKPOINTS
from mmemo.errors import ArgumentError, UnknownModelError
from mmemo.pretrained import LARGE_CHECKPOINTS

pytestmark = pytest.mark.slow

transformers = pytest.importorskip("transformers", reason="needs the extra backbones")
constants = pytest.importorskip("huggingface_hub.constants")


def named(names: list[str]) -> dict[str, Any]:
    return {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}


def make_face(folder: Path) -> None:
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, image_size=24, patch_size=8,
        **named(["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"]),
    )  # fmt: skip
    transformers.ViTForImageClassification(config).save_pretrained(folder)
    transformers.ViTImageProcessorPil(size={"height": 24, "width": 24}).save_pretrained(folder)


def make_voice(folder: Path) -> None:
    config = transformers.HubertConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, conv_dim=(8, 8, 8),
        conv_kernel=(10, 8, 4), conv_stride=(10, 8, 4), num_feat_extract_layers=3, num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2, classifier_proj_size=8, feat_extract_norm="layer", do_stable_layer_norm=True,
        **named(["neu", "hap", "ang", "sad"]),
    )  # fmt: skip
    transformers.HubertForSequenceClassification(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(return_attention_mask=True).save_pretrained(folder)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache as huggingface_hub keeps it, with tiny checkpoints of the names and revisions of the model "large"."""
    torch.manual_seed(0)
    cache = tmp_path_factory.mktemp("hub")
    for modality, make in (("face", make_face), ("voice", make_voice)):
        name = LARGE_CHECKPOINTS[modality]
        revision = next(one.revision for one in CHECKPOINTS if one.name == name)
        repository = cache / f"models--{name.replace('/', '--')}"
        commit = revision if len(revision) == 40 else "a" * 40
        make(repository / "snapshots" / commit)
        (repository / "refs" / revision).parent.mkdir(parents=True)
        (repository / "refs" / revision).write_text(commit)
    return cache


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of mmemo and of the Hub, with no network."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "empty"))
    return tmp_path / "cache" / "mmemo" / "large"


def call(monkeypatch: pytest.MonkeyPatch, answer: str | None, *arguments: object) -> int:
    """Exit status of the command line, with a person at the terminal who types ``answer``, or nobody."""
    typed = io.StringIO(f"{answer}\n")
    monkeypatch.setattr(typed, "isatty", lambda: answer is not None, raising=False)
    monkeypatch.setattr(sys, "stdin", typed)
    monkeypatch.setattr(sys, "argv", ["mmemo", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_nothing_is_fetched_unasked(
    home: Path, hub: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(hub))
    with pytest.raises(UnknownModelError, match=r"343 MB, Apache-2\.0(.|\n)*1260 MB(.|\n)*mmemo\.download\('large'\)"):
        mmemo.load_model("large")
    assert call(monkeypatch, None, "analyze", "--text", "hello", "--model", "large") == 2
    told = capsys.readouterr()
    assert told.err.count("\n") == 1
    assert "--yes" in told.err
    assert call(monkeypatch, None, "analyze", "--model", "large") == 2
    assert "Nothing to analyze" in capsys.readouterr().err
    assert call(monkeypatch, "n", "analyze", "--text", "hello", "--model", "large") == 1
    told = capsys.readouterr()
    assert told.out == ""
    for word in (*LARGE_CHECKPOINTS.values(), "1603 MB", str(home), "Download it? [y/N]"):
        assert word in told.err
    assert not home.exists()


def test_without_a_standard_input_nobody_is_asked(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)  # as with `<&-`, and in a service
    with pytest.raises(ArgumentError, match="Add --yes"):
        _offer_download("large", yes=False)


def test_asked_for_it_is_made_of_known_checkpoints_and_the_embedded_words(
    home: Path, hub: Path, clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(hub))
    assert call(monkeypatch, "y", "analyze", clip, "--model", "large", "--text", "I am so happy!", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["model"] == "large"
    assert set(result["modalities"]) == {"face", "voice", "text"}
    model = mmemo.load_model("large", device="cpu")
    assert model.encoders["face"].mapping("sad") == "sadness"
    assert model.encoders["voice"].mapping("hap") == "happiness"
    assert mmemo.download("large") == home
    text = mmemo.analyze(text="I am so happy!").scores
    assert mmemo.analyze(text="I am so happy!", model="large").scores == pytest.approx(text, abs=1e-3)


def test_without_a_network_it_is_one_clear_error(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UnknownModelError, match="can't be fetched from the Hugging Face Hub"):
        mmemo.download("large")
    assert call(monkeypatch, None, "analyze", "--text", "hello", "--model", "large", "--yes") == 2
    assert "can't be fetched" in capsys.readouterr().err
    assert not home.exists()
