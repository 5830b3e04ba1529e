"""The verdict in words, and tables that fit a terminal of 80 columns."""

from __future__ import annotations

from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from mmemo.comparison.compare import compare_predictions
from mmemo.comparison.missing_modality import RobustnessCurve
from mmemo.comparison.predictions import Predictions
from mmemo.comparison.result import Comparison
from mmemo.evaluation.bootstrap import Interval

LABELS = ("a", "b", "c")


def compared(**predicted: str) -> Comparison:
    """A comparison of systems whose predictions of 8 clips of 4 people are given as letters; "-" is none."""
    target = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    scores = {
        name.replace("_and_", " + "): np.stack(
            [np.full(3, 1 / 3) if letter == "-" else 0.1 + 0.7 * (np.array(LABELS) == letter) for letter in letters]
        )
        for name, letters in predicted.items()
    }
    people = np.array([f"person {number % 4}" for number in range(8)])
    return compare_predictions(
        Predictions(LABELS, np.arange(8).astype(str), target, scores, groups={"speaker": people}), draws=200
    )


def test_fusing_wins_where_the_best_modality_is_missing_or_wrong() -> None:
    verdict = compared(face="aaaa-bcc", voice="-abb-bbb", face_and_voice="aaaabbbb").verdict
    assert verdict[0].startswith("Fusing wins on these 8 clips of 4 people: face + voice is right in 100.0%, face, the")
    assert "That is 37.5 points more, with a paired 95% interval from +" in verdict[0]
    assert verdict[1] == "By label, fused has right: 4 of 4 b instead of 1."
    assert verdict[2] == "In 3 clips fused is right and face is not, in 1 of them because it is missing there."
    assert verdict[3] == "Missing, of 8 clips: face in 1, voice in 2."


def test_fusing_loses_where_another_modality_outvotes_the_best() -> None:
    verdict = compared(face="aaaabbbb", voice="bbbbbbbb", face_and_voice="bbbbbbbb").verdict
    assert verdict[0].startswith("Fusing loses on these 8 clips of 4 people")
    assert "50.0 points fewer" in verdict[0]
    assert verdict[1:] == (
        "By label, fused has right: 0 of 4 a instead of 4.",
        "In 4 clips face is right and fused is not: the wrong label is that of voice in 4.",
    )


def test_no_difference_and_a_chance_one_are_no_win() -> None:
    same = compared(face="aaaabbbb", voice="bbbbbbbb", face_and_voice="aaaabbbb").verdict
    assert same[0].startswith("Fusing does not win")
    assert "That is no difference" in same[0]
    assert len(same) == 1
    slight = compared(face="aaaabbbc", voice="bbbbbbbb", face_and_voice="aaaabbbb").verdict
    assert slight[0].startswith("Fusing does not win")
    assert slight[0].endswith("points: it may be chance.")


def test_all_modalities_together_are_named_where_a_pair_is_better() -> None:
    verdict = compared(face="aaaabbbc", voice="aaaabbbc", face_and_voice="aaaabbbb", face_and_voice_and_text="aaaacccc")
    assert "face + voice + text, all together, is right in 50.0%." in verdict.verdict


def test_one_modality_alone_has_no_verdict() -> None:
    assert compared(face="aaaabbbb").verdict == ()


def test_corruptions_are_named_with_what_they_leave(predictions: Predictions) -> None:
    def curve(system: str, *accuracy: float) -> RobustnessCurve:
        values = tuple(Interval(value, value, value) for value in accuracy)
        return RobustnessCurve(system, "noise in the sound", "dB signal to noise", (np.inf, 0.0), values, values)

    curves = (curve("late", 0.9, 0.7), curve("voice", 0.6, 0.2), curve("face", 0.5, 0.5))
    verdict = compare_predictions(predictions, draws=50, curves=curves).verdict
    assert verdict[-1] == (
        "Under noise in the sound, at 0 dB signal to noise, late goes from 90.0% to 70.0%; face has 50.0% there."
    )


@pytest.mark.parametrize("by_label", [False, True])
def test_the_tables_fit_80_columns_and_no_figure_is_cut(predictions: Predictions, by_label: bool) -> None:
    long = predictions.rename(lambda name: f"a model with a rather long name: {name}")
    comparison = compare_predictions(long, "long names", draws=100)
    output = StringIO()
    Console(file=output, width=80).print(comparison.to_table(by_label=by_label))
    text = output.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    for system in comparison.systems:
        assert str(system.accuracy).replace("0.", ".") in text.replace("0.", ".")
    assert ("Recall of each label" in text) == by_label
