from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmemo.clip import Clip
from mmemo.data import Manifest, encode
from mmemo.encoders.face.action_units import ActionUnitEncoder, ActionUnits, read_openface
from mmemo.encoders.linear_probe import LinearProbe
from mmemo.errors import ArgumentError, MediaError, WeightsError
from mmemo.evidence import Evidence
from mmemo.fusion.late import LateFusion
from mmemo.labels import EKMAN7, LabelSet
from mmemo.model import EmotionModel
from mmemo.pretrained import load_model
from mmemo.samples import make_clip
from mmemo.testing import check_encoder

CSV = "frame, face_id, timestamp, confidence, success, AU01_r, AU12_r, AU12_c\n"
ROWS = "1, 0, 0.00, 0.98, 1, 0.25, 4.00, 1\n2, 0, 0.04, 0.10, 0, 9.00, 9.00, 1\n3, 0, 0.08, 0.97, 1, 1.00, 2.25, 0\n"


@pytest.fixture
def units(tmp_path: Path) -> ActionUnits:
    (tmp_path / "one.csv").write_text(CSV + ROWS)
    return read_openface(tmp_path / "one.csv")


def test_frames_that_openface_failed_on_are_left_out(units: ActionUnits) -> None:
    np.testing.assert_allclose(units.times, [0.0, 0.08])
    np.testing.assert_allclose(units.values, [[0.25, 4.0, 1.0], [1.0, 2.25, 0.0]])


def test_it_is_an_encoder(units: ActionUnits) -> None:
    probe = LinearProbe(np.zeros(3), np.ones(3), np.ones((3, 7)), np.zeros(7))
    encoder = ActionUnitEncoder({"one": units, "two": ActionUnits(units.times[:1], units.values[:1])}, EKMAN7, probe)
    check_encoder(encoder, [Evidence(0.0, 1.0, source=Path(f"clips/{name}.mp4")) for name in ("one", "two")])


def test_a_window_has_its_own_frames_and_roots(units: ActionUnits) -> None:
    encoder = ActionUnitEncoder({"one": units}, EKMAN7)
    found = encoder.prepare(Evidence(0.05, 1.0, source=Path("one.mp4")))
    assert found is not None
    np.testing.assert_allclose(found, [[1.0, 1.5, 0.0]])
    assert encoder.prepare(Evidence(0.2, 1.0, source=Path("one.mp4"))) is None
    assert encoder.prepare(Evidence(0.0, 1.0, source=Path("other.mp4"))) is None


def test_a_manifest_is_encoded_by_the_names_of_its_files(units: ActionUnits, tmp_path: Path) -> None:
    path = make_clip(tmp_path / "one.wav", seconds=0.5, picture=False)
    manifest = Manifest((Clip(path, id="a", label="anger"), Clip(text="Good.", id="b", label="fear")), EKMAN7)
    face = encode(manifest, [ActionUnitEncoder({"one": units}, EKMAN7)]).batch()["face"]
    np.testing.assert_array_equal(face.present, [True, False])


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(MediaError, match="no file of OpenFace"):
        read_openface(tmp_path / "x.csv")
    (tmp_path / "y.csv").write_text(CSV + "1, 0, 0.0, 1, 1, much, 2, 0\n")
    with pytest.raises(MediaError, match="much"):
        read_openface(tmp_path / "y.csv")
    with pytest.raises(ArgumentError, match="one width"):
        ActionUnitEncoder({}, EKMAN7)


def test_saved_and_loaded_it_knows_the_same_clips(units: ActionUnits, tmp_path: Path) -> None:
    probe = LinearProbe(np.zeros(3), np.ones(3), np.arange(21.0).reshape(3, 7), np.zeros(7))
    other = ActionUnits(units.times[:1], units.values[:1])
    encoder = ActionUnitEncoder({"one": units, "two": other}, EKMAN7, probe)
    model = EmotionModel([encoder], LateFusion(EKMAN7, {"face": 1.0}))
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model").encoders["face"]
    assert isinstance(again, ActionUnitEncoder)
    assert again.fingerprint == encoder.fingerprint
    for name in ("one", "two"):
        window = Evidence(0.0, 1.0, source=Path(f"{name}.mp4"))
        first, second = (each.prepare(window) for each in (encoder, again))
        np.testing.assert_array_equal(first, second)  # type: ignore[arg-type]
        np.testing.assert_array_equal(encoder.encode([first]).logits, again.encode([second]).logits)  # type: ignore[list-item]
    again.units["new"] = units
    assert again.prepare(Evidence(0.0, 1.0, source=Path("new.mp4"))) is not None
    ActionUnitEncoder({"one": units}, EKMAN7).save(tmp_path / "plain")
    assert ActionUnitEncoder.load(tmp_path / "plain").probe is None
    (tmp_path / "plain" / "config.json").write_text('{"kind": "voice"}')
    with pytest.raises(WeightsError, match="expected 'action-units'"):
        ActionUnitEncoder.load(tmp_path / "plain")


def test_labels_of_ones_own_are_saved_and_former_folders_load(units: ActionUnits, tmp_path: Path) -> None:
    mine = LabelSet("mine", ("calm", "tense"))
    config = ActionUnitEncoder({"one": units}, mine).save(tmp_path / "mine") / "config.json"
    assert ActionUnitEncoder.load(tmp_path / "mine").labels == mine
    config.write_text(config.read_text().replace('"labels": {', '"label_set": {'))
    assert ActionUnitEncoder.load(tmp_path / "mine").labels == mine


@pytest.mark.parametrize(
    "content",
    ["", CSV.replace("timestamp", "time"), CSV + "1, 0, 0.0, 1, 1, nan, 1, 1\n", CSV + "1, 0, 0.0, 1, 1, 1e300, 1, 1\n",
     CSV + "1, 0, 0.0\n", CSV + '1, 0, "' + "0" * 200_000 + '", 1, 1, 1, 1, 1\n', "<html>", "version https://git-lfs.github.com/spec/v1\n"],
    ids=["empty", "another", "no number", "large", "short", "long", "page", "pointer"],
)  # fmt: skip
def test_what_is_no_file_of_openface(content: str, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(content)
    with pytest.raises(MediaError, match=r"c\.csv"):
        read_openface(tmp_path / "c.csv")
