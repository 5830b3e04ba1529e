from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from mmemo import Clip, media
from mmemo.cli import app
from mmemo.data import Manifest
from mmemo.data.checks.report import Audit
from mmemo.errors import LeakError
from mmemo.labels import EKMAN7, FER7, MELD7, LabelSet
from mmemo.samples import make_clip, speech

pytestmark = pytest.mark.slow

LABELS = LabelSet("two", ("anger", "neutral"))


def said(number: int, split: str, i: int, **more: object) -> Clip:
    values = {"id": f"{number}-{i}", "speaker": f"s{number}", "split": split, "label": LABELS[i % 2]} | more
    return Clip(text=f"{split} {number} says {i}", **values)  # type: ignore[arg-type]


def clean() -> tuple[Clip, ...]:
    return tuple(said(s, "train" if s < 6 else "test", i) for s in range(12) for i in range(6))


def codes(audit: Audit, severity: str = "leak") -> list[str]:
    return [finding.code for finding in audit.findings if finding.severity == severity]


def test_clean_splits_are_quiet() -> None:
    assert Manifest(clean(), LABELS).audit().findings == ()


@pytest.mark.parametrize("attribute", ["speaker", "session", "dialogue"])
def test_what_must_stay_apart_is_found_in_two_splits(attribute: str) -> None:
    shared = (said(1, "train", 10, **{attribute: "x1"}), said(9, "test", 11, **{attribute: "x1"}))
    (leak,) = Manifest((*clean(), *shared), LABELS).audit().leaks
    assert leak.code == f"{attribute}-overlap"
    assert "x1" in leak.message
    assert leak.clips == ("9-11",)


def test_folds_are_audited_like_splits() -> None:
    manifest = Manifest(clean(), LABELS).update(lambda clip: {"split": None})
    assert codes(manifest.folds(4).audit()) == []
    by_clip = manifest.update(lambda clip: {"fold": str(int(clip.id[-1]) % 2)})
    assert codes(by_clip.audit()) == ["speaker-overlap"]


def test_a_text_that_repeats_is_found_whatever_its_case_and_blanks() -> None:
    repeated = (said(0, "train", 10), said(11, "test", 11))
    repeated = (repeated[0], Clip(text=f"  {repeated[0].text.upper()} ", id="r", speaker="s11", split="test"))  # type: ignore[union-attr]
    (leak,) = Manifest((*clean(), *repeated), LABELS).audit().leaks
    assert (leak.code, leak.clips) == ("same-text", ("r",))


def test_missing_labels_and_few_speakers_are_warned_of() -> None:
    thin = tuple(clip for clip in clean() if clip.split == "train" or (clip.speaker == "s7" and clip.label == "anger"))
    assert codes(Manifest(thin, LABELS).audit(), "warning") == ["class-missing", "few-speakers"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Twenty different pictures."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    paths = [folder / f"{i}.png" for i in range(20)]
    for path in paths:
        cv2.imwrite(str(path), cv2.resize(rng.integers(0, 255, (6, 6, 3), np.uint8), (64, 64)))
    return paths


def photos(paths: list[Path]) -> Manifest:
    return Manifest(
        tuple(
            Clip(path, id=path.name, label=LABELS[i % 2], split="train" if i < 14 else "test", speaker=f"s{i}")
            for i, path in enumerate(paths)
        ),
        LABELS,
    )


def test_different_pictures_are_no_copies(pictures: list[Path]) -> None:
    assert photos(pictures).audit().findings == ()


@pytest.mark.parametrize(
    ("alter", "code"),
    [
        (lambda picture: picture, "same-media"),
        (lambda picture: cv2.resize(picture, (48, 48), interpolation=cv2.INTER_AREA), "near-duplicate"),
        (lambda picture: cv2.convertScaleAbs(picture, alpha=0.7, beta=20), "near-duplicate"),
        (lambda picture: cv2.imdecode(cv2.imencode(".jpg", picture, [1, 40])[1], 1), "near-duplicate"),
        (lambda picture: cv2.GaussianBlur(picture, (5, 5), 1.5), "near-duplicate"),
    ],
)
def test_a_picture_in_two_splits_is_found(
    pictures: list[Path], tmp_path: Path, alter: Callable[[np.ndarray], np.ndarray], code: str
) -> None:
    copy = tmp_path / "copy.png"
    cv2.imwrite(str(copy), alter(cv2.imread(str(pictures[0]))))
    (leak,) = photos([*pictures, copy]).audit().leaks
    assert (leak.code, leak.clips) == (code, ("copy.png",))


def test_copies_with_different_labels_are_warned_of(pictures: list[Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy.png"
    copy.write_bytes(pictures[15].read_bytes())  # label anger here, neutral there, both in test
    assert codes(photos([*pictures, copy]).audit(), "warning") == ["label-conflict"]
    assert codes(photos([*pictures, copy]).audit(), "leak") == []


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Eight different recordings of one voice: the words in another order."""
    folder, rng = tmp_path_factory.mktemp("voices"), np.random.default_rng(1)
    words = np.array_split(speech(), 9)
    paths = [folder / f"{i}.wav" for i in range(8)]
    for path in paths:
        media.write_video(path, None, np.concatenate([words[k] for k in rng.permutation(9)]))
    return paths


def recordings(paths: list[Path]) -> Manifest:
    return Manifest(
        tuple(
            Clip(path, id=path.name, label=LABELS[i % 2], split="train" if i < 5 else "test", speaker=f"s{i}")
            for i, path in enumerate(paths)
        ),
        LABELS,
    )


def test_different_recordings_of_one_voice_are_no_copies(voices: list[Path]) -> None:
    assert codes(recordings(voices).audit()) == []


@pytest.mark.parametrize("change", ["level", "codec", "silence", "noise", "video"])
def test_a_sound_in_two_splits_is_found(voices: list[Path], tmp_path: Path, change: str) -> None:
    """As RAVDESS has the same speech in its audio-only and its audiovisual part."""
    sound = media.waveform(voices[0])
    if change == "level":
        copy = media.write_video(tmp_path / "copy.wav", None, 0.2 * sound)
    elif change == "codec":
        copy = media.write_video(tmp_path / "copy.m4a", None, sound)
    elif change == "silence":
        quiet = np.zeros(9000, np.float32)
        copy = media.write_video(tmp_path / "copy.wav", None, np.concatenate([quiet, sound, quiet]))
    elif change == "noise":
        noise = np.random.default_rng(0).normal(0, 0.1 * sound.std(), len(sound)).astype(np.float32)
        copy = media.write_video(tmp_path / "copy.wav", None, sound + noise)
    else:
        copy = make_clip(tmp_path / "copy.mp4", seconds=len(sound) / 16_000, size=(160, 120), sound=sound)
    (leak,) = recordings([*voices, copy]).audit().leaks
    assert (leak.code, leak.clips) == ("near-duplicate", (copy.name,))


def test_a_file_under_another_name_is_found_without_decoding(voices: list[Path], tmp_path: Path) -> None:
    copy = tmp_path / "other name.wav"
    copy.write_bytes(voices[0].read_bytes())
    manifest = recordings([*voices, copy])
    assert codes(manifest.audit(media="hashes")) == ["same-media"]
    assert codes(manifest.audit(media="none")) == []


def test_two_spans_of_one_film_are_not_the_same(voices: list[Path]) -> None:
    spans = tuple(
        Clip(voices[0], start, start + 1, id=str(start), label=LABELS[i], split=split, speaker=split)
        for i, (start, split) in enumerate(((0.0, "train"), (1.5, "test")))
    )
    assert codes(Manifest(spans, LABELS).audit()) == []


def test_length_and_level_that_tell_the_label_are_warned_of(tmp_path: Path) -> None:
    rng, clips = np.random.default_rng(0), []
    for i in range(48):
        seconds, level = (0.4 if i % 2 else 0.8) + rng.uniform(0, 0.1), 0.2 if i % 4 < 2 else 0.02
        sound = rng.normal(0, level, round(seconds * 16_000)).astype(np.float32)
        path = media.write_video(tmp_path / f"{i}.wav", None, sound)
        clips.append(Clip(path, id=str(i), speaker=f"s{i // 4}", label=LABELS[i % 2], corpus=f"corpus {i % 4 < 2}"))
    found = codes(Manifest(tuple(clips), LABELS).audit(), "warning")
    assert found == ["length-predicts-label", "level-predicts-corpus"]


def test_a_sentence_that_tells_the_label_is_warned_of() -> None:
    telling = tuple(
        Clip(text=f"sentence {i % 4}", id=f"{s}-{i}", speaker=f"s{s}", label=LABELS[i % 2])
        for s in range(8)
        for i in range(8)
    )
    assert codes(Manifest(telling, LABELS).audit(), "warning") == ["sentence-predicts-label"]
    mute = tuple(
        Clip(text=clip.text, id=clip.id, speaker=clip.speaker, label=LABELS[(i // 4) % 2])
        for i, clip in enumerate(telling)
    )
    assert codes(Manifest(mute, LABELS).audit(), "warning") == []


def test_broken_and_changed_files_are_warned_of(pictures: list[Path], tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no picture")
    (tmp_path / "empty.wav").touch()
    manifest = photos([*pictures, tmp_path / "bad.png", tmp_path / "empty.wav"])
    manifest = manifest.update(lambda clip: {"sha256": "0" * 64} if clip.id == "3.png" else {})
    found = {finding.code: finding for finding in manifest.audit().findings}
    assert found["unreadable"].clips == ("bad.png", "empty.wav")
    assert found["changed-media"].clips == ("3.png",)


def test_recipes_refuse_leaks_unless_told() -> None:
    audit = Manifest((*clean(), said(0, "test", 10)), LABELS).audit()
    with pytest.raises(LeakError, match=r"speaker-overlap.*(\n.*)*--allow speaker-overlap"):
        audit.refuse_leaks()
    audit.refuse_leaks(allow=["speaker-overlap"])
    Manifest(clean(), LABELS).audit().refuse_leaks()


def test_the_command_says_what_leaks_by_its_exit_status(tmp_path: Path) -> None:
    run = CliRunner()
    good = Manifest(clean(), LABELS).write(tmp_path / "good.jsonl")
    assert run.invoke(app, ["audit", str(good)]).exit_code == 0
    bad = Manifest((*clean(), said(0, "test", 10)), LABELS).write(tmp_path / "bad.csv")
    done = run.invoke(app, ["audit", str(bad), "--out", str(tmp_path / "a.json")])
    assert done.exit_code == 1
    assert "speaker-overlap" in done.stdout
    assert json.loads((tmp_path / "a.json").read_text())["findings"][0]["clips"] == ["0-10"]
    assert json.loads(run.invoke(app, ["audit", str(bad), "--json"]).stdout)["findings"][0]["severity"] == "leak"
    assert run.invoke(app, ["audit", str(bad), "--allow", "speaker-overlap"]).exit_code == 0


@pytest.mark.data
def test_the_known_leaks_of_fer2013_are_found(shared_data: Path) -> None:
    """288 and 279 are the published counts; the second is of the images that FER+ has votes for, 280 of all."""
    folder = shared_data / "face" / "fer2013"
    split = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
    manifest = Manifest(
        tuple(
            Clip(
                path, id=f"{path.parent.name}/{path.stem}", label=path.parent.name, split=split[path.name.split("_")[0]]
            )
            for path in sorted(folder.glob("t*/*/*.jpg"))
        ),
        FER7,
    )
    assert len(manifest) == 35_887
    leaks = {
        (leak.code, leak.message.split(" '")[1].split("'")[0], "'train'" in leak.message): leak
        for leak in manifest.audit(media="hashes").leaks
    }
    test, val = leaks["same-media", "test", True], leaks["same-media", "val", True]
    assert len(test.clips) == 288
    assert len(val.clips) == 280
    with (folder / "fer_map.csv").open(newline="") as file:
        voted = {Path(row["jpg"]).parent.name + "/" + Path(row["jpg"]).stem for row in csv.DictReader(file)}
    assert sum(name in voted for name in val.clips) == 279


@pytest.mark.data
def test_the_repeated_texts_of_meld_are_found(shared_data: Path) -> None:
    clips = []
    for split in ("train", "dev", "test"):
        (file,) = (shared_data / "text" / "meld").glob(f"{split}*.csv")
        with file.open(newline="", encoding="utf-8-sig") as lines:
            for row in csv.DictReader(lines):
                name = f"{split}-{row['Dialogue_ID']}-{row['Utterance_ID']}"
                clips.append(Clip(text=row["Utterance"], id=name, label=row["Emotion"], split=split))
    leaks = Manifest(tuple(clips), MELD7).audit().leaks
    assert "331 of 2610 clips of split 'test' are in 'train'" in leaks[0].message


def test_a_manifest_without_splits_has_nothing_to_leak() -> None:
    assert Manifest((Clip(text="x", id="x"), Clip(text="x", id="y")), EKMAN7).audit().findings == ()
