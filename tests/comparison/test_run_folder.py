from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mmemo
from mmemo.comparison.predictions import Answers
from mmemo.comparison.run_folder import SCORES, is_run, read_run, write_run
from mmemo.errors import ArgumentError, UnknownModelError, WeightsError


def test_what_is_written_is_read(answers: Answers, tmp_path: Path) -> None:
    rich = replace(
        answers,
        true_values={"valence": np.linspace(-1, 1, len(answers))},
        values={"late": {"valence": np.linspace(-1, 1, len(answers)) ** 2}},
    )
    write_run(tmp_path, rich, fitted_on=["x", "y"])
    assert is_run(tmp_path)
    found, fitted = read_run(tmp_path)
    assert fitted == {"x", "y"}
    assert found.labels == rich.labels
    np.testing.assert_array_equal(found.ids, rich.ids)
    np.testing.assert_array_equal(found.target, rich.target)
    for name, scores in rich.scores.items():
        np.testing.assert_array_equal(found.scores[name], scores)
        assert set(found.removed[name]) == set(rich.removed[name])
        for gone, one in rich.removed[name].items():
            np.testing.assert_array_equal(found.removed[name][gone], one)
    assert set(found.groups) == {"speaker", "gender"}
    np.testing.assert_array_equal(found.values["late"]["valence"], rich.values["late"]["valence"])
    np.testing.assert_array_equal(found.true_values["valence"], rich.true_values["valence"])


def test_what_can_not_be_read_says_why(answers: Answers, tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match="run folder of a recipe"):
        read_run(tmp_path)
    write_run(tmp_path, answers)
    whole = (tmp_path / SCORES).read_bytes()
    (tmp_path / SCORES).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match="damaged"):
        read_run(tmp_path)
    with (tmp_path / SCORES).open("wb") as file:
        np.savez(file, format=np.array(99), labels=["a"], target=np.zeros(2, int))
    with pytest.raises(WeightsError, match=r"newer mmemo \(format 99"):
        mmemo.compare(tmp_path)
    with (tmp_path / SCORES).open("wb") as file:
        np.savez(file, labels=np.array(["a", {}], object), target=np.zeros(2, int))
    with pytest.raises(WeightsError, match="none of ours"):  # a pickle inside is never run
        read_run(tmp_path)


def test_nan_in_held_out_scores_is_refused(answers: Answers, tmp_path: Path) -> None:
    write_run(tmp_path, answers)
    with np.load(tmp_path / SCORES) as archive:
        arrays = dict(archive)
    arrays["scores late"][3, 1] = np.nan
    with (tmp_path / SCORES).open("wb") as file:
        np.savez(file, **arrays)
    with pytest.raises(ArgumentError, match=r"'late'.*without NaN"):
        mmemo.compare(tmp_path)
