"""Face tracking: the faces of a video from frame to frame, each with a stable id."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mmemo.errors import ArgumentError
from mmemo.evidence import Seconds
from mmemo.faces.align import SIZE
from mmemo.faces.appearance import appearance, correlation, unit
from mmemo.faces.cuts import MIN_SIMILARITY, ShotSimilarity
from mmemo.faces.detector import overlaps
from mmemo.faces.enhance import denoised
from mmemo.faces.face import Face, check_image, describe
from mmemo.faces.landmarker import Mesh
from mmemo.faces.landmarks import box_of, eye_distance
from mmemo.faces.search import SAME_FACE, UPSIDE_DOWN, FaceSearch, clearer, depth_of, turn_of

_SEARCH_WHEN_LOST: Seconds = 0.1  # between searches while a face is missed, or none is there
_SEARCH_DEEP: Seconds = 2.0  # between searches for small faces, which take three times as long
_SEARCH_DEEP_WHEN_ALONE: Seconds = 0.5  # the same while no face is there
_SEARCH_DEEPEST: Seconds = 8.0  # between searches as deep as those of a still, which take as long as tracking a second
_SEARCH_DEEPEST_SOON: Seconds = 3.0  # the same at the start of a shot, and while no face is there
_SHALLOW, _DEEP = 1, 2  # how small the tiles of a search are, as in `FaceSearch.scan`
_MAX_DOUBTS = 2  # searches in a row in which the detector sees no face where one is followed
_SUDDEN = 0.6  # similarity to the frame before, below which this is another face, or no face
# After a cut to another person in the same place and framing, pictures correlate by 0.8 to 0.94, faces by 0.7 to 0.92.
_UNSTEADY, _CHANGED = 0.95, 0.94
_QUICK: Seconds = 0.1
_CLEAR = 15.0  # pixels between the eyes from which the appearance is stable from frame to frame
# Similarity that makes a face the missed one: in its place at once; more for each width or second away; anywhere
_SIMILAR_HERE, _SIMILAR_STEP, _SIMILAR_ANYWHERE = 0.2, 0.4, 0.75
_LEARNING = 0.1  # share of the newest frame in the average appearance of a face


@dataclass(eq=False)
class _Track:
    """One person's face: where it was last, and its appearance."""

    person: int
    mesh: Mesh
    seen: Seconds
    average: np.ndarray  # appearance over all frames
    latest: np.ndarray  # appearance in the last frame
    followed: bool = True  # False while it is missed
    doubts: int = 0  # searches in a row without a detection of it
    score_sum: float = 0.0  # of the detector, 0 where it did not detect the face
    looks: int = 0  # of the detector

    @property
    def box(self) -> np.ndarray:
        return box_of(self.mesh.landmarks)

    def see(self, face: Face, mesh: Mesh, time: Seconds) -> None:
        self.mesh, self.seen, self.followed = mesh, time, True
        self.latest = appearance(face.crop)
        self.average = unit((1 - _LEARNING) * self.average + _LEARNING * self.latest)
        if mesh.score or not self.looks:
            self.rate(mesh.score)

    @property
    def score(self) -> float:
        """Mean of the detector's scores so far."""
        return self.score_sum / self.looks

    def rate(self, score: float) -> None:
        """Count one look of the detector."""
        self.score_sum, self.looks = self.score_sum + score, self.looks + 1

    def rated(self, face: Face) -> Face:
        """The face with the confidence of the whole track so far."""
        return replace(face, confidence=self.score * face.presence)


class FaceTracker:
    """Face tracker for one video.

    The landmarks of a frame give the region to use in the next, so a followed face costs no detection. The
    detector runs when a face is missed, and by time every ``search_every`` seconds, to find new faces and to drop what
    turned out to be none. Nothing is smoothed: each frame's landmarks are its own.

    Args:
        size: side of the crops in pixels.
        max_faces: the most faces at once; of new ones the largest come first.
        search_every: seconds between searches while all faces are followed.
        forget_after: seconds after which a face that was missed comes back as a new person.
        threads: CPU threads of one run of a model.
        enhance: where a search finds nobody, use noisy frames denoised (`mmemo.faces.enhance`) from then on, until
            nobody is found in those.

    Attributes:
        crowded: whether more faces than ``max_faces`` were in view at once.

    Raises:
        ArgumentError: if a number makes no sense.
    """

    def __init__(
        self,
        *,
        size: int = SIZE,
        max_faces: int = 8,
        search_every: Seconds = 0.5,
        forget_after: Seconds = 1.5,
        threads: int = 1,
        enhance: bool = True,
    ) -> None:
        if size < 1 or max_faces < 1 or search_every < 0 or forget_after < 0:
            raise ArgumentError(
                "FaceTracker: expected size and max_faces of 1 or more and times of 0 or more, got "
                f"size={size}, max_faces={max_faces}, search_every={search_every}, forget_after={forget_after}."
            )
        self._size = size
        self._max_faces = max_faces
        self._enhance = enhance
        self._search_every = search_every
        self._forget_after = forget_after
        self._search = FaceSearch(threads)
        self._shots = ShotSimilarity()
        self._tracks: list[_Track] = []
        self.reset()

    def reset(self) -> None:
        """Forget everything, for another video: ids begin with 0 again."""
        self._shots.reset()
        self._denoise = False
        self._unsearched: np.ndarray | None = None
        self._next_person = 0
        self._time: Seconds = -np.inf
        self._searched_deepest: Seconds = -np.inf
        self.crowded = False
        self._start_shot()

    def update(self, image: np.ndarray, time: Seconds, *, later: bool = False) -> list[Face]:
        """The faces of the next frame, by id.

        A shot cut, or a step back in time, ends all tracks: the faces after it are new persons.

        Args:
            image: (H, W, 3) uint8 RGB.
            time: of the frame in seconds. Frames may come at any rate, also an uneven one.
            later: leave the search for new faces, which takes up to five times as long as following one, to `search`,
                unless nobody is followed. New faces then appear one frame later.

        Raises:
            ArgumentError: if the image has another shape or type.
            WeightsError: if the face models are missing or damaged.
        """
        check_image(image)
        similarity = self._shots.update(image)
        image, self._noise = denoised(image) if self._denoise else (image, 0.0)
        if similarity < MIN_SIMILARITY or time < self._time:
            self._searched_deepest = min(self._searched_deepest, time)
            self._start_shot()
        # Only in quick succession does a change of what is seen mean another shot.
        unsteady = similarity < _UNSTEADY and time - self._time < _QUICK
        self._time = time
        self._tracks = [track for track in self._tracks if time - track.seen <= self._forget_after]
        faces: dict[int, Face] = {}
        strangers = self._follow(image, faces, unsteady)
        if later and faces:
            self._unsearched = image
        else:
            self._unsearched = None
            strangers += self._search_frame(image)
        self._welcome(image, strangers, faces)
        return [track.rated(faces[track.person]) for track in self._tracks if track.followed]

    def search(self) -> None:
        """Search the last frame, if that was left for later and it is time to, for faces to follow in the next one."""
        image, self._unsearched = self._unsearched, None
        if image is not None:
            self._welcome(image, self._search_frame(image), {})

    def _start_shot(self) -> None:
        self._tracks = []
        self._searched = self._searched_deep = self._confirmed = -np.inf
        self._lost_one, self._new_shot = False, True

    def _follow(self, image: np.ndarray, faces: dict[int, Face], unsteady: bool) -> list[Mesh]:
        """Find the faces of the frame before, into ``faces``; gives the meshes that turn out to be someone else's.

        In an ``unsteady`` frame, a change of all faces at once is a cut to people in the same framing.
        """
        strangers, changes = [], []
        for track in [track for track in self._tracks if track.followed]:
            mesh = self._search.follow(image, track.mesh.landmarks)
            if mesh is None:
                self._miss(track)
                continue
            face = self._describe(image, mesh, track.person)
            similarity = correlation(appearance(face.crop), track.latest)
            if eye_distance(mesh.landmarks) > _CLEAR:
                changes.append(similarity)
            if similarity < _SUDDEN:
                self._miss(track)
                detection = self._search.confirm(image, face.box, turn_of(mesh.landmarks))
                if detection is not None:
                    strangers.append(replace(mesh, score=detection.score))
                continue
            track.see(face, mesh, self._time)
            faces[track.person] = face
        if unsteady and changes and max(changes) < _CHANGED:
            strangers += [replace(track.mesh, score=track.score) for track in self._tracks if track.followed]
            faces.clear()
            self._start_shot()
        self._part(faces)
        return strangers

    def _miss(self, track: _Track) -> None:
        track.followed = False
        self._lost_one = True

    def _part(self, faces: dict[int, Face]) -> None:
        """A face that two tracks claim, as when people pass each other, goes to the one with its appearance."""
        followed = sorted(
            (track for track in self._tracks if track.followed),
            key=lambda track: -correlation(track.latest, track.average),
        )
        kept: list[_Track] = []
        for track in followed:
            boxes = np.array([other.box for other in kept]).reshape(-1, 4)
            if len(kept) and overlaps(boxes, track.box).max() > SAME_FACE:
                self._miss(track)
                del faces[track.person]
            else:
                kept.append(track)

    def _search_frame(self, image: np.ndarray) -> list[Mesh]:
        """Search the frame for faces that are not followed, if it is time to; drop tracks of what is no face."""
        missed = [track for track in self._tracks if not track.followed]
        alone = len(missed) == len(self._tracks)
        pause = min(_SEARCH_WHEN_LOST, self._search_every) if missed or alone else self._search_every
        if not self._lost_one and self._time - self._searched < pause:
            return []
        if self._time - self._confirmed >= self._search_every:
            self._doubt(image)
        self._searched, self._lost_one = self._time, False
        followed = [track.box for track in self._tracks if track.followed]
        depth, deepest = self._depth(image, alone)
        room = self._max_faces - len(followed)
        if not self.crowded and (room > 0 or deepest):
            room += 1  # one more than can be followed shows that there are too many
        if room <= 0:
            return []
        known = np.array(followed).reshape(-1, 4)
        meshes = self._search.scan(image, depth, room, known)
        if alone and deepest:
            meshes = clearer(meshes, lambda: self._search.scan(image, depth, room, known, UPSIDE_DOWN))
        # A small face is not detected in the whole frame: search closely where one was.
        for track in missed:
            known = np.concatenate([known, *(box_of(mesh.landmarks)[None] for mesh in meshes)])
            if not len(known) or overlaps(known, track.box).max() < SAME_FACE:
                meshes += self._search.scan_near(image, track.box, 1, known)
        if self._enhance and not followed and not meshes:
            self._denoise = not self._denoise
        return meshes

    def _depth(self, image: np.ndarray, alone: bool) -> tuple[int, bool]:
        """How deep to search now, as in `FaceSearch.scan`, and whether that is as deep as a still."""
        soon = alone or self._new_shot
        self._new_shot = False
        pause = max(_SEARCH_DEEPEST_SOON if soon else _SEARCH_DEEPEST, self._search_every)
        if self._time - self._searched_deepest >= pause:
            self._searched_deep = self._searched_deepest = self._time
            return depth_of(image), True
        pause = max(_SEARCH_DEEP_WHEN_ALONE if alone else _SEARCH_DEEP, self._search_every)
        if self._time - self._searched_deep >= pause:
            self._searched_deep = self._time
            return depth_of(image, _DEEP), False
        return depth_of(image, _SHALLOW), False

    def _doubt(self, image: np.ndarray) -> None:
        """Detect again what is followed: the landmark model follows many things that are no faces."""
        self._confirmed = self._time
        for track in [track for track in self._tracks if track.followed]:
            detection = self._search.confirm(image, track.box, turn_of(track.mesh.landmarks))
            track.rate(0.0 if detection is None else detection.score)
            track.doubts = 0 if detection is not None else track.doubts + 1
            if track.doubts >= _MAX_DOUBTS:
                track.doubts = 0
                self._miss(track)

    def _welcome(self, image: np.ndarray, strangers: list[Mesh], faces: dict[int, Face]) -> None:
        """Give each new face the id of the missed person with its appearance, or a new id."""
        strangers.sort(key=lambda mesh: -eye_distance(mesh.landmarks))
        for mesh in strangers:
            followed = [track.box for track in self._tracks if track.followed]
            if followed and overlaps(np.array(followed), box_of(mesh.landmarks)).max() > SAME_FACE:
                continue
            if len(followed) >= self._max_faces:
                self.crowded = True
                break
            face = self._describe(image, mesh, self._next_person)
            new = appearance(face.crop)
            track = self._missed_one(face, new)
            if track is None:
                track = _Track(face.person, mesh, self._time, new, new)
                self._tracks.append(track)
                self._next_person += 1
            else:
                face = replace(face, person=track.person)
            track.see(face, mesh, self._time)
            faces[track.person] = face

    def _missed_one(self, face: Face, new: np.ndarray) -> _Track | None:
        """The missed track that a face continues, or None."""
        best, best_similarity = None, -1.0
        for track in self._tracks:
            if track.followed:
                continue
            similarity = max(correlation(new, track.average), correlation(new, track.latest))
            # What is at the same place a moment later may have quite another appearance, as when a head turns.
            distance = _steps(track.box, face.box) + self._time - track.seen
            needed = min(_SIMILAR_HERE + _SIMILAR_STEP * distance, _SIMILAR_ANYWHERE)
            if similarity > max(best_similarity, needed):
                best, best_similarity = track, similarity
        return best

    def _describe(self, image: np.ndarray, mesh: Mesh, person: int) -> Face:
        return describe(image, mesh, person, self._time, self._size, self._noise)


def _steps(before: np.ndarray, now: np.ndarray) -> float:
    """How far a face moved, in sides of its box (4,); infinite if its size changed more than twofold."""
    sides = (before[2:] - before[:2]).max(), (now[2:] - now[:2]).max()
    if not 0.5 < sides[0] / sides[1] < 2.0:
        return float("inf")
    distance = np.linalg.norm((before[:2] + before[2:]) / 2 - (now[:2] + now[2:]) / 2)
    return float(distance) / float(np.sqrt(sides[0] * sides[1]))
