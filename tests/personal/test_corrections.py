"""Corrections: that they are kept as numbers, learned from, read past damage, and removed for good."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mmemo import Adaptation, Analyzer, Baseline, EmotionModel
from mmemo.cli import main
from mmemo.encoders.softmax import log_softmax
from mmemo.errors import ArgumentError
from mmemo.fusion.late import LateFusion
from mmemo.personal.adaptation import mean_tokens
from mmemo.personal.corrections import FEWEST, ClipFeatures, Corrections
from mmemo.personal.statistics import centered
from mmemo.testing import TinyEncoder


def tiny(weights: str = "abc") -> EmotionModel:
    encoder = TinyEncoder(modality="text")
    model = EmotionModel([encoder], LateFusion(encoder.labels, {"text": 1.0}))
    model.weights = {"text": weights}
    return model


MODEL = tiny()


def features(seed: int = 0) -> dict[str, ClipFeatures]:
    rng = np.random.default_rng(seed)
    width = len(MODEL.labels)
    return {"text": ClipFeatures(centered(rng.normal(size=width)), rng.normal(size=MODEL.encoders["text"].dim))}


def add(corrections: Corrections, label: str = "anger", seed: int = 0) -> None:
    corrections.add(label, "happiness", features(seed), MODEL)


@pytest.fixture
def corrections(tmp_path: Path) -> Corrections:
    kept = Corrections(tmp_path / "kept")
    for seed, label in enumerate(("anger", "not happiness", "sadness")):
        add(kept, label, seed)
    return kept


def test_what_is_added_is_read(corrections: Corrections) -> None:
    entries = corrections.entries()
    assert [(number, entry.label) for number, entry in entries.items()] == [
        (1, "anger"),
        (2, "not happiness"),
        (3, "sadness"),
    ]
    assert entries[2].predicted == "happiness"
    np.testing.assert_allclose(entries[2].modalities["text"].token, features(1)["text"].token, atol=1e-5)
    document = json.loads(corrections.file.read_text().splitlines()[0])
    assert set(document) == {"format", "time", "label", "predicted", "model", "weights", "modalities"}
    assert set(document["modalities"]["text"]) == {"scores", "token"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_nobody_else_may_read_them(corrections: Corrections) -> None:
    corrections.remove(1)
    assert stat.S_IMODE(corrections.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(corrections.file.stat().st_mode) == 0o600


def test_they_become_an_adaptation_from_three_on(corrections: Corrections) -> None:
    adaptation = corrections.adaptation(MODEL)
    assert isinstance(adaptation, Adaptation)
    assert adaptation.clips == {"anger": 1, "not happiness": 1, "sadness": 1}
    again = Adaptation.of_encodings(
        [
            ({"text": features(seed)["text"].encoding()}, label)
            for seed, label in enumerate(("anger", "not happiness", "sadness"))
        ],
        MODEL,
    )
    np.testing.assert_allclose(adaptation.modalities["text"].offset, again.modalities["text"].offset, atol=1e-4)
    corrections.remove(2)
    assert len(corrections.entries()) == FEWEST - 1
    assert corrections.adaptation(MODEL) is None


def test_other_weights_learn_nothing_from_them(corrections: Corrections) -> None:
    assert corrections.adaptation(tiny("other")) is None


@pytest.mark.parametrize(
    "damage", [lambda line: line[:40], lambda line: b"garbage", lambda line: line.replace(b"anger", b"\xff")]
)
def test_a_damaged_line_costs_itself_alone(corrections: Corrections, damage: Callable[[bytes], bytes]) -> None:
    first, *others = corrections.file.read_bytes().splitlines()
    corrections.file.write_bytes(b"\n".join([damage(first), *others]) + b"\n")
    assert list(corrections.entries()) == [2, 3]
    assert corrections.damaged() == (1,)
    corrections.remove(1)
    assert list(corrections.entries()) == [1, 2]
    assert corrections.damaged() == ()


def test_a_last_line_that_was_cut_off_is_passed_over(corrections: Corrections) -> None:
    corrections.file.write_bytes(corrections.file.read_bytes()[:-20])
    assert list(corrections.entries()) == [1, 2]
    assert corrections.damaged() == ()
    add(corrections, "fear")
    assert [entry.label for entry in corrections.entries().values()] == ["anger", "not happiness", "fear"]


def test_numbers_that_are_not_finite_are_damage(corrections: Corrections) -> None:
    text = corrections.file.read_text()
    document = json.loads(text.splitlines()[0])
    document["modalities"]["text"]["token"][0] = None
    corrections.file.write_text(json.dumps(document) + "\n")
    assert corrections.damaged() == (1,)


def test_several_at_once_lose_none(tmp_path: Path) -> None:
    kept = Corrections(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda seed: add(kept, seed=seed), range(20)))
        list(pool.map(lambda act: act(), [lambda: kept.remove(1), lambda: add(kept)] * 6))
    assert len(kept.entries()) == 20
    assert kept.damaged() == ()


def test_cleared(corrections: Corrections) -> None:
    corrections.clear()
    assert not corrections.file.exists()
    assert corrections.entries() == {}
    corrections.clear()


def test_what_is_not_ours_is_not_removed(tmp_path: Path) -> None:
    kept = Corrections(tmp_path)
    kept.file.write_text("my own notes\n")
    with pytest.raises(ArgumentError, match="holds no corrections, so it is not removed"):
        kept.clear()
    assert kept.file.exists()


def test_what_can_not_be_is_refused(corrections: Corrections, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="Label of a correction"):
        add(corrections, "joyful")
    with pytest.raises(ArgumentError, match="there are none"):
        corrections.add("anger", "fear", {}, MODEL)
    with pytest.raises(ArgumentError, match="There is no correction 4"):
        corrections.remove(4)
    with pytest.raises(ArgumentError, match="holds no corrections"):
        Corrections(tmp_path / "none").remove(1)
    with pytest.raises(ArgumentError, match="is to be the folder of corrections"):
        Corrections(corrections.file)
    (tmp_path / "taken" / "corrections.jsonl").mkdir(parents=True)
    with pytest.raises(ArgumentError, match="can't be written: Is a directory"):
        add(Corrections(tmp_path / "taken"))


@pytest.mark.slow
def test_the_command_lists_removes_and_adapts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    analyzer, kept, out = Analyzer(modalities=("text",)), Corrections(tmp_path), tmp_path / "out.json"
    result, encodings = analyzer.analyze_and_encode(text="Well done, really.")
    of_text = {name: ClipFeatures.of(one) for name, one in encodings.items()}
    for label in ("anger", "fear", "not happiness", "sadness"):
        kept.add(label, result.label, of_text, analyzer.model)

    def call(*arguments: object, status: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["mmemo", "corrections", str(tmp_path), *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        output = capsys.readouterr()
        assert (ended.value.code or 0) == status, output.err
        return output.err if status else output.out

    listed = call("--remove", 2)
    assert [line.split()[0] for line in listed.splitlines()[:-1]] == ["1", "2", "3"]
    assert f"not happiness  (predicted: {result.label})" in listed
    assert "anger 1, not happiness 1, sadness 1" in call("--adapt", out)
    adapted = analyzer.adjusted(adaptation=Adaptation.load(out))(text="Well done, really.")
    assert adapted.scores != result.scores
    assert call("--clear").endswith("0 corrections\n")
    assert "too few to learn from" in call("--adapt", out, status=2)
    assert "give one of them" in call("--adapt", out, "--clear", status=2)


def test_one_analysis_gives_the_result_and_the_plain_encodings() -> None:
    plain = Analyzer(modalities=("text",))
    lines = ["I am so happy!", "I am so sad.", "It makes me angry.", "What a lovely day."]
    baseline = Baseline.fit([plain(text=line) for line in lines], mixed=True)
    adaptation = Adaptation.of_encodings([(plain.analyze_and_encode(text=lines[0])[1], "sadness")] * 3, plain.model)
    known = plain.adjusted("natural", baseline, adaptation)
    result, encodings = known.analyze_and_encode(text=lines[1])
    assert result == known(text=lines[1])
    assert result.scores != plain(text=lines[1]).scores
    expected = plain.analyze_and_encode(text=lines[1])[1]["text"]
    np.testing.assert_array_equal(encodings["text"].logits, expected.logits)
    np.testing.assert_allclose(
        plain.model.scores(expected)[0], list(plain(text=lines[1]).modalities["text"].scores.values()), atol=1e-5
    )


@pytest.mark.slow
def test_the_encodings_are_those_of_encode(clip: Path) -> None:
    analyzer = Analyzer(modalities=("face", "voice"))
    expected, (_, encodings) = analyzer.encode(clip), analyzer.analyze_and_encode(clip)
    assert set(encodings) == set(expected)
    for name, encoding in expected.items():
        np.testing.assert_allclose(
            log_softmax(encodings[name].logits), log_softmax(encoding.logits), atol=1e-5, err_msg=name
        )
        np.testing.assert_allclose(mean_tokens(encodings[name]), mean_tokens(encoding), atol=1e-5, err_msg=name)
