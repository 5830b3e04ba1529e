"""People across cuts. The portrait's mirror image is somebody else to the landmarks and gradients: nobody is symmetric."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

import mmemo
from mmemo import Analyzer, Clip, EmotionResult, media
from mmemo.errors import ArgumentError, WeightsError
from mmemo.faces import FaceFinder, FaceTracker, identity
from mmemo.faces.identity import PersonGallery, gradients, identity_projection
from mmemo.faces.model import FOLDER, IDENTITY
from mmemo.media import Frame, write_video

pytestmark = pytest.mark.slow

Stage = Callable[..., np.ndarray]
FPS, SHOT = 15, 10  # frames a second and of a shot


@pytest.fixture(scope="module")
def scenes(stage: Stage) -> dict[str, np.ndarray]:
    """Four scenes with their own background: the portrait in two of them, its mirror image in the others, and both."""
    night = np.linspace(0, 1, 640)[None, :, None] ** 3
    one = stage((300, 180))
    other = stage((340, 170), side=200, mirror=(0,))
    closer = stage((250, 190), side=240)
    both = stage((160, 180), (480, 180), mirror=(1,))
    window = lambda picture, box: np.where(box, picture, (255 * night).astype(np.uint8))  # noqa: E731
    inside = np.zeros((360, 640, 1), bool)
    inside[60:300, 230:450] = True
    return {"A": one, "B": window(other, inside), "a": closer, "AB": both}


def run(pictures: Sequence[np.ndarray], people: int | None = None) -> tuple[list[list[int]], list[list[int]]]:
    """The tracks of each frame, and its people."""
    tracker = FaceTracker() if people is None else FaceTracker(max_faces=people)
    gallery = PersonGallery(people)
    tracks = []
    for number, picture in enumerate(pictures):
        faces = tracker.update(picture, number / FPS)
        gallery.add(faces, number / FPS)
        tracks.append([face.person for face in faces])
    person_of = gallery.finish()
    return tracks, [[person_of[track] for track in frame] for frame in tracks]


def film(scenes: dict[str, np.ndarray], *shots: str) -> list[np.ndarray]:
    return [scenes[shot] for shot in shots for _ in range(SHOT)]


def test_two_people_cut_against_each_other_are_two(scenes: dict[str, np.ndarray]) -> None:
    tracks, people = run(film(scenes, "A", "B", "A", "B", "a"))
    assert {track for frame in tracks for track in frame} == {0, 1, 2, 3, 4}
    assert people == [[person] for person in (0, 1, 0, 1, 0) for _ in range(SHOT)]


def test_who_is_beside_somebody_is_somebody_else(stage: Stage, scenes: dict[str, np.ndarray]) -> None:
    """The same picture twice in one frame is two people; alone again, it is one of them."""
    twice = stage((160, 180), (480, 180))
    _, people = run([twice] * SHOT + [scenes["B"]] * SHOT + [scenes["a"]] * SHOT + [twice] * SHOT)
    assert all(sorted(frame) == [0, 1] for frame in (*people[:SHOT], *people[3 * SHOT :]))
    assert people[SHOT] == [2]
    assert people[2 * SHOT] in ([0], [1])


def test_two_who_come_together_are_who_they_were(scenes: dict[str, np.ndarray]) -> None:
    _, people = run(film(scenes, "B", "A", "AB"))
    assert people[0] == [0]
    assert people[-1] == [1, 0]  # the portrait at the left is the larger: its track comes first
    assert {person for frame in people for person in frame} == {0, 1}


def test_who_comes_back_keeps_the_id(stage: Stage, scenes: dict[str, np.ndarray]) -> None:
    _, people = run([scenes["A"]] * SHOT + [stage()] * 30 + [scenes["A"]] * SHOT)
    assert [frame for frame in people if frame] == [[0]] * 2 * SHOT


def test_the_number_of_people_is_kept_to(scenes: dict[str, np.ndarray]) -> None:
    _, people = run(film(scenes, "A", "B", "a"), people=1)
    assert {person for frame in people for person in frame} == {0}
    _, people = run(film(scenes, "AB"), people=1)
    assert people == [[0]] * SHOT


def test_without_anybody_to_compare_with_nothing_is_compared(
    stage: Stage, scenes: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    def compare() -> None:
        pytest.fail("vectors were made")

    monkeypatch.setattr(identity, "identity_projection", compare)
    tracks, people = run([stage((300 - step, 180)) for step in range(SHOT)])
    assert people == tracks == [[0]] * SHOT
    tracks, people = run(film(scenes, "AB"))
    assert people == tracks == [[0, 1]] * SHOT


def test_vectors_show_the_person_not_light_nor_size(portrait: np.ndarray) -> None:
    finder, vector = FaceFinder(), identity_projection()
    dark = cv2.convertScaleAbs(portrait, alpha=0.5, beta=10)
    small = cv2.resize(portrait, (300, 300), interpolation=cv2.INTER_AREA)
    first, darker, smaller, mirrored = (
        vector(finder.find(np.ascontiguousarray(picture))[0]) for picture in (portrait, dark, small, portrait[:, ::-1])
    )
    assert first.shape == (250,)
    assert min(first @ darker, first @ smaller) > 0.9
    assert first @ mirrored < 0.4


def test_gradients_of_a_flat_crop_are_none() -> None:
    assert not gradients(np.full((112, 112, 3), 90, np.uint8)).any()


@pytest.fixture(scope="module")
def face_analyzer() -> Analyzer:
    return Analyzer(modalities=("face",))


@pytest.fixture(scope="module")
def counted(cuts: Path, face_analyzer: Analyzer) -> EmotionResult:
    return face_analyzer(cuts)


@pytest.fixture(scope="module")
def cuts(tmp_path_factory: pytest.TempPathFactory, scenes: dict[str, np.ndarray]) -> Path:
    """Four shots of two thirds of a second."""
    pictures = film(scenes, "A", "B", "a", "B")
    frames = (Frame(number / FPS, picture) for number, picture in enumerate(pictures))
    return write_video(tmp_path_factory.mktemp("cuts") / "cuts.mp4", frames, rate=FPS)


def test_analyze_counts_two(counted: EmotionResult) -> None:
    assert [person.id for person in counted.people] == [0, 1]
    first, second = counted.people
    middles = [(shot + 0.5) * SHOT / FPS for shot in range(4)]
    assert [first.box_at(time) is not None for time in middles] == [True, False, True, False]
    assert [second.box_at(time) is not None for time in middles] == [False, True, False, True]


def test_every_frame_is_given_once_and_in_order(cuts: Path, face_analyzer: Analyzer) -> None:
    """Frames wait for the people of their tracks; at the end of a span none is left waiting."""
    result = face_analyzer(Clip(cuts, 0.0, 0.8))
    assert [person.id for person in result.people] == [0, 1]
    assert result.people[1].end == pytest.approx(11 / FPS, abs=0.01)
    assert sum(person.coverage for person in result.people) == pytest.approx(1.0, abs=0.05)


def test_analyze_with_the_number_of_people(cuts: Path) -> None:
    assert [person.id for person in mmemo.analyze(cuts, modalities=("face",), people=1).people] == [0]


def test_nothing_of_the_appearance_is_in_a_result(counted: EmotionResult) -> None:
    """The longest list of numbers of a result with people is a box; a vector has 250."""

    def longest(node: object) -> int:
        inside = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        own = len(node) if isinstance(node, list) and all(isinstance(item, float) for item in node) else 0
        return max([own, *(longest(item) for item in inside)])

    assert 0 < longest(json.loads(counted.to_json())) < 50


@pytest.mark.parametrize("people", [0, -1, 1.5, True])
def test_an_impossible_number_of_people(people: object) -> None:
    with pytest.raises(ArgumentError, match=r"people: expected .* 1 or more"):
        mmemo.Analyzer(modalities=("face",), people=people)  # type: ignore[arg-type]


def test_a_damaged_projection_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shutil.copytree(FOLDER, tmp_path / "faces")
    (folder / IDENTITY).write_bytes(b"nothing")
    monkeypatch.setattr(identity, "FOLDER", folder)
    with pytest.raises(WeightsError, match=r"identity.npz is not the file"):
        identity_projection.__wrapped__()


@pytest.mark.data
def test_three_people_of_one_studio(shared_data: Path) -> None:
    """Other takes, other expressions, the same backdrop and light."""

    def shot(person: str, mood: str) -> list[np.ndarray]:
        path = shared_data / f"av/mead/mead_{person}_front_{mood}_level3_001.mp4"
        return [frame.image for frame in media.frames(path, max_rate=FPS)][5 : 5 + SHOT]

    people = ("M030", "W009", "W011")
    shots = [(person, mood) for mood in ("sad", "happy", "angry") for person in people]
    tracks, found = run([picture for person, mood in shots for picture in shot(person, mood)])
    assert len({track for frame in tracks for track in frame}) == len(shots)
    assert found == [[people.index(person)] for person, _ in shots for _ in range(SHOT)]
