"""What is known of published checkpoints: the documentation says the same, and their labels are labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmemo.encoders.external import HUB_NAME
from mmemo.encoders.known_checkpoints import CHECKPOINTS, KnownCheckpoint, find_checkpoint
from mmemo.errors import WeightsError
from mmemo.labels import EKMAN7, MEGC3

PAGES = {"face": "use_a_face_checkpoint.md", "voice": "use_a_wav2vec2_checkpoint.md"}
DOCS = Path(__file__).parents[2] / "docs" / "how_to"


def row(known: KnownCheckpoint) -> str:
    """Its row in the table of the documentation."""
    link = f"[`{known.name}`]({known.url})"
    if known.obstacle:
        return f"| {link} | {known.license} | {known.obstacle} |"
    pairs = [name if name == to else f"{name} → {to or 'dropped'}" for name, to in known.classes.items()]
    size = "" if known.megabytes is None else f"{known.megabytes} MB"
    meaning = ", ".join(pairs) or "arousal, dominance, valence"
    return f"| {link} | {meaning} | {known.trained_on} | {known.license} | {size} |"


@pytest.mark.parametrize("known", CHECKPOINTS, ids=lambda known: known.name)
def test_the_documentation_has_its_row(known: KnownCheckpoint) -> None:
    assert row(known) in (DOCS / PAGES[known.modality]).read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("known", CHECKPOINTS, ids=lambda known: known.name)
def test_its_classes_mean_labels_and_its_name_leads_to_it(known: KnownCheckpoint) -> None:
    assert {label for label in known.classes.values() if label is not None} <= set(EKMAN7)
    assert all(name == name.lower() for name in known.classes)
    assert (known.preprocessing is not None) == known.name.endswith(".onnx")
    assert known.source is not None or HUB_NAME.fullmatch(known.name)
    if known.obstacle:
        with pytest.raises(WeightsError, match="can't be loaded: it"):
            find_checkpoint(known.name)
    else:
        assert find_checkpoint(known.name) is known
        assert known.classes or known.modality == "voice"


def test_names_that_differ_in_case_are_recognized_and_others_are_not() -> None:
    known = find_checkpoint("trpakov/vit-face-expression")
    assert known is not None
    assert known.labels(["Happy", "Sad"], EKMAN7) == {"Happy": "happiness", "Sad": "sadness"}
    assert known.labels(["happy", "bored"], EKMAN7) is None
    assert known.labels(["happy", "sad"], MEGC3) is None
    onnx = find_checkpoint(Path("downloads") / "emotion-ferplus-8.onnx")
    assert onnx is not None
    assert list(onnx.classes)[-1] == "contempt"
    assert find_checkpoint("someone/their-faces") is None


def test_a_local_copy_of_what_cannot_be_loaded_is_left_to_the_loader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "ehcalabres/wav2vec2-lg-xlsr-en-speech-emotion-recognition"
    Path(name).mkdir(parents=True)
    known = find_checkpoint(name)
    assert known is not None
    assert known.labels(["calm"], EKMAN7) == {"calm": "neutral"}
