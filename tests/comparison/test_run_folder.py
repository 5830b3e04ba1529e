from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mmemo
from mmemo.comparison.predictions import Predictions
from mmemo.comparison.run_folder import SCORES, is_run, read_run, write_run
from mmemo.errors import ArgumentError, UnknownModelError, WeightsError


def test_written_predictions_are_read(predictions: Predictions, tmp_path: Path) -> None:
    rich = replace(
        predictions,
        true_values={"valence": np.linspace(-1, 1, len(predictions))},
        values={"late": {"valence": np.linspace(-1, 1, len(predictions)) ** 2}},
    )
    write_run(tmp_path, rich, fitted_on=["x", "y"])
    assert is_run(tmp_path)
    saved, fitted = read_run(tmp_path)
    assert fitted == {"x", "y"}
    assert saved.labels == rich.labels
    np.testing.assert_array_equal(saved.ids, rich.ids)
    np.testing.assert_array_equal(saved.target, rich.target)
    for name, scores in rich.scores.items():
        np.testing.assert_array_equal(saved.scores[name], scores)
        assert set(saved.ablations[name]) == set(rich.ablations[name])
        for missing, one in rich.ablations[name].items():
            np.testing.assert_array_equal(saved.ablations[name][missing], one)
    assert set(saved.groups) == {"speaker", "gender"}
    np.testing.assert_array_equal(saved.values["late"]["valence"], rich.values["late"]["valence"])
    np.testing.assert_array_equal(saved.true_values["valence"], rich.true_values["valence"])


def test_a_folder_that_can_not_be_read_is_refused(predictions: Predictions, tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match="run folder of a recipe"):
        read_run(tmp_path)
    write_run(tmp_path, predictions)
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
    with pytest.raises(WeightsError, match="not written by mmemo"):  # a pickle inside is never run
        read_run(tmp_path)


def test_nan_in_held_out_scores_is_refused(predictions: Predictions, tmp_path: Path) -> None:
    write_run(tmp_path, predictions)
    with np.load(tmp_path / SCORES) as archive:
        arrays = dict(archive)
    arrays["scores late"][3, 1] = np.nan
    with (tmp_path / SCORES).open("wb") as file:
        np.savez(file, **arrays)
    with pytest.raises(ArgumentError, match=r"'late'.*without NaN"):
        mmemo.compare(tmp_path)


def test_the_arrays_of_a_run_folder_keep_their_names(tmp_path: Path) -> None:
    """Runs written by every version are read by their arrays' names."""
    face, fused = np.array([[0.8, 0.2], [0.4, 0.6]]), np.array([[0.9, 0.1], [0.3, 0.7]])
    arrays = {
        "format": np.array(1),
        "labels": np.array(["calm", "angry"]),
        "ids": np.array(["a", "b"]),
        "target": np.array([0, 1]),
        "fitted on": np.array(["c"]),
        "group speaker": np.array(["x", "y"]),
        "scores face": face,
        "scores late": fused,
        "scores late without voice": face,
        "scores late without face and voice": np.full((2, 2), 0.5),
        "true valence": np.array([0.5, -0.5]),
        "value valence of late": np.array([0.4, -0.4]),
    }
    np.savez(tmp_path / SCORES, **arrays)  # type: ignore[arg-type]
    saved, fitted = read_run(tmp_path)
    assert fitted == {"c"}
    assert saved.labels == ("calm", "angry")
    assert set(saved.scores) == {"face", "late"}
    assert set(saved.ablations["late"]) == {("voice",), ("face", "voice")}
    np.testing.assert_array_equal(saved.ablations["late"]["voice",], face)
    np.testing.assert_array_equal(saved.values["late"]["valence"], [0.4, -0.4])
    assert saved.speakers is not None
    (tmp_path / "again").mkdir()
    write_run(tmp_path / "again", saved, fitted_on=fitted)
    with np.load(tmp_path / "again" / SCORES) as archive:
        written = set(archive.files)
    assert written - {"allow_pickle"} >= set(arrays)
