"""Score tables of other tools (DeepFace, py-feat, FER, FaceReader, emotion2vec, any other) as predictions of clips.

What the tools write, as of their releases of 2023 to 2025:

- DeepFace: rows of `DeepFace.analyze`, with ``emotion`` as a dictionary or one column each, in percent.
- py-feat: ``Fex.to_csv``, a row for each face of a frame, with ``anger`` … ``neutral``, ``FaceRectWidth``, ``frame``.
- FER: ``Video.to_pandas``, a row a frame, with ``box0``, ``angry0`` … for each face, or one face without numbers.
- FaceReader: the detailed log, ``Video Time``, ``Neutral``, ``Happy`` … after lines of metadata; the state log too.
- emotion2vec (FunASR): ``key``, ``labels`` such as "生气/angry" and ``scores``, each a list.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

import numpy as np

from mmemo.clip import Clip
from mmemo.comparison.predictions import Predictions
from mmemo.data.manifest import Manifest
from mmemo.data.spreadsheets import Row, read_rows, read_text_lines
from mmemo.errors import ArgumentError, ManifestError, expected_one_of, shown
from mmemo.labels import LabelSet
from mmemo.media import IMAGE

SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx")
GROUPS = ("speaker", "gender", "language", "corpus")
_CLIP = (
    *("id", "clip", "clip_id", "key", "file", "filename", "file_name", "path", "file_path", "video", "video_path"),
    *("audio", "wav", "input", "image", "img", "image_path", "img_path", "name", "source"),
)
"""Columns that name the clip of a row, the surest first."""
_TIME = ("time", "timestamp", "video time", "seconds", "approx_time")
_FRAME = ("frame", "frame_number", "frame_id", "frame_idx")
_HARD = ("dominant_emotion", "predicted_emotion", "prediction", "predicted", "predicted_label", "emotion")
"""Columns with a label alone."""
_SAME = {
    "happy": "happiness", "joy": "happiness", "sad": "sadness", "angry": "anger", "fearful": "fear", "scared": "fear",
    "afraid": "fear", "disgusted": "disgust", "surprised": "surprise",
}  # fmt: skip
_DROPPED = ("contempt", "other", "others", "unknown", "unk", "calm")
"""Labels of tools that the label sets of clips may lack."""
_NOTHING = ("", "nan", "none", "na", "n/a", "null", "fit_failed", "find_failed", "unknown")
"""Cells of a frame without a face; the two failures are FaceReader's."""
_HEADER_WITHIN = 40
"""Lines in which FaceReader's header is looked for, after its metadata."""
_SHOWN = 3
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_PAIR = re.compile(rf"""['"]([^'"]+)['"]\s*:\s*(?:[\w.]+\()?\s*({_NUMBER}|nan)""")
"""An item of a dictionary as Python or JSON writes it; NumPy 2 writes ``np.float32(0.5)``."""


@dataclass(frozen=True)
class _Reading:
    """One face at one moment: the scores by the tool's words; none where the tool failed."""

    line: int
    moment: str
    seconds: float | None
    area: float
    scores: dict[str, float]


def is_score_table(source: object) -> bool:
    """Whether a source of a comparison is a table of scores, or a folder of such tables, one a clip."""
    if not isinstance(source, str | Path):
        return False
    path = Path(source)
    return path.suffix.lower() in SUFFIXES or (path.is_dir() and bool(_tables(path)))


def read_score_table(
    path: str | Path,
    clips: Manifest,
    labels: LabelSet,
    *,
    everything: Manifest | None = None,
    label_names: Mapping[str, str | None] | None = None,
) -> Predictions:
    """The predictions of another tool for labeled clips.

    A row belongs to the clip that its column ``id``, ``file``, ``key``, ``input`` … names, by the clip's id or file;
    without such a column a table is of one clip, whose id or file its name has. Rows of a clip are averaged over its
    frames, of several faces in a frame the largest is taken, and clips that are a span of a file get the rows of their
    time. Scores become shares that sum to 1. A clip that the table has nothing of has no prediction.

    Args:
        path: ``.csv``, ``.tsv``, ``.txt`` or ``.xlsx``; or a folder of them.
        clips: the labeled clips to be compared, with labels of ``labels``.
        labels: the classes of the predictions.
        everything: the whole manifest, whose other clips may be in the table too.
        label_names: for words of the tool that mmemo does not know, the label that each stands for, or None to drop it.

    Raises:
        ManifestError: if columns of clips or scores are missing, no row fits a clip, or cells are no scores; it names
            the lines.
        ArgumentError: for a label that there is not.
    """
    path = Path(path)
    known = _words(labels, label_names or {})
    files = _tables(path) if path.is_dir() else [path]
    finder = _ClipFinder(everything or clips)
    readings: dict[str, list[_Reading]] = defaultdict(list)
    faults: list[str] = []
    foreign: Counter[str] = Counter()
    hard = False
    for file in files:
        table = _Table(file, known)
        hard |= table.hard
        for name, reading in table.readings(faults):
            found = finder.find(name, reading.seconds, table.by_name)
            if found is None:
                faults.append(
                    f"line {reading.line}: {shown(name)} fits several clips, and there is no time to tell which"
                )
            elif not found:
                foreign[name] += 1
            for one in found or ():
                readings[one].append(reading)
    if faults:
        raise ManifestError(path, faults)
    wanted = [clip for clip in clips if clip.label is not None]
    if not any(clip.id in readings for clip in wanted):
        example = f"{wanted[0].id!r}" + (f" or {wanted[0].file.name!r}" if wanted[0].file else "")
        theirs = f", the table names {', '.join(map(shown, list(foreign)[:_SHOWN]))}" if foreign else ""
        raise ManifestError(path, [f"no row fits a clip to be compared. They are called {example}{theirs}"])
    scores = np.full((len(wanted), len(labels)), 1 / len(labels))
    lost: set[str] = set()
    frames = []
    for row, clip in enumerate(wanted):
        still = clip.file is not None and clip.file.suffix.lower() in IMAGE
        of_clip = [_shares(one.scores, known, labels, lost) for one in _largest(readings[clip.id], still)]
        some = [one for one in of_clip if one is not None]
        if some:
            scores[row] = np.mean(some, axis=0)
            frames.append(len(some))
    notes = _notes(path.stem, frames, len(wanted), lost, foreign, hard)
    columns = {name: np.array([getattr(clip, name) or "" for clip in wanted]) for name in GROUPS}
    return Predictions(
        tuple(labels),
        np.array([clip.id for clip in wanted]),
        np.array([labels.index(str(clip.label)) for clip in wanted]),
        {path.stem: scores},
        groups={name: one for name, one in columns.items() if (one != "").any()},
        notes=tuple(notes),
        unimodal=(path.stem,),
    )


def _tables(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)


def _words(labels: LabelSet, given: Mapping[str, str | None]) -> dict[str, str | None]:
    """The label that each word of a tool stands for; None for one that is dropped."""
    for label in given.values():
        if label is not None and label not in labels.labels:
            raise ArgumentError(expected_one_of("Label of a score table", labels, label))
    own = {_SAME.get(label.lower(), label.lower()): label for label in labels}
    words: dict[str, str | None] = dict.fromkeys(_DROPPED)
    words |= {word: own.get(word) for word in (*_SAME.values(), "neutral")}
    words |= {word: own.get(same) for word, same in _SAME.items()}
    words |= {label.lower(): label for label in labels}
    return words | {word.lower(): label for word, label in given.items()}


def _word(text: str) -> str:
    """The word of a column or cell: "生气/angry", "emotion.angry" and "Angry" are angry."""
    return re.split(r"[/.]", text.strip().lower())[-1].strip("<> ")


class _Table:
    """One file: which of its columns are what.

    Attributes:
        hard: whether it has labels alone and no scores.
        by_name: whether no column names the clip, so that the file does.
    """

    def __init__(self, file: Path, known: Mapping[str, str | None]) -> None:
        self._file, self._known = file, known
        header, named = _header(file)
        self._rows = list(read_rows(file, [] if header else ["Video Time"], header=header))
        columns = list(self._rows[0].cells) if self._rows else []
        self._column = {column.strip().lower(): column for column in reversed(columns)}
        self._scores = {column: _word(column) for column in columns if _word(column) in known}
        faces = {column: re.fullmatch(r"([a-z]+)(\d+)", column.strip().lower()) for column in columns}
        self._faces = {(match[2], match[1]): column for column, match in faces.items() if match and match[1] in known}
        self._clip = next((self._column[name] for name in _CLIP if name in self._column), None)
        self._lists = {"labels", "scores"} <= set(self._column)
        first = self._cell(self._rows[0], ("emotion",)) if self._rows else ""
        self._dictionary = first.startswith("{")
        label = next((name for name in _HARD if name in self._column), None)
        enough = len(self._scores) > 1 or self._faces or self._lists or self._dictionary
        self.hard = not enough and label is not None
        self._label = self._column[label] if label is not None else ""
        self.by_name = self._clip is None
        self._name = named or re.sub(r"_(detailed|state)$", "", file.stem)
        if not self._rows:
            raise ManifestError(file, ["it has no rows"])
        if not enough and not self.hard:
            expected = ", ".join(word for word in known if known[word])
            theirs = ", ".join(map(shown, columns[:12]))
            fault = f"no columns of scores: expected such as {expected}, got {theirs}; name them: --label WORD=LABEL"
            raise ManifestError(file, [fault])

    def readings(self, faults: list[str]) -> Iterator[tuple[str, _Reading]]:
        """The name of the clip and the scores of each face of each row; faults go into the list."""
        for row in self._rows:
            name = self._name if self._clip is None else row[self._clip].strip()
            moment = self._cell(row, _FRAME) or self._cell(row, _TIME)
            seconds = _seconds(self._cell(row, _TIME))
            for area, scores in self._of_row(row, faults):
                yield name, _Reading(row.line, moment, seconds, area, scores)

    def _of_row(self, row: Row, faults: list[str]) -> Iterator[tuple[float, dict[str, float]]]:
        if self._dictionary:
            pairs = _PAIR.findall(self._cell(row, ("emotion",)))
            yield self._area(row), _checked(row, {_word(word): value for word, value in pairs}, faults)
        elif self._lists:
            words = re.findall(r"""['"]([^'"]*)['"]""", self._cell(row, ("labels",)))
            values = re.findall(_NUMBER, self._cell(row, ("scores",)))
            if len(words) != len(values):
                faults.append(f"line {row.line}: {len(words)} labels and {len(values)} scores")
            yield 0.0, _checked(row, {_word(word): value for word, value in zip(words, values, strict=False)}, faults)
        elif self._faces:
            for number in sorted({number for number, _ in self._faces}):
                cells = {word: row[column] for (face, word), column in self._faces.items() if face == number}
                yield _box_area(self._cell(row, (f"box{number}",))), _checked(row, cells, faults)
        elif self.hard:
            word = _word(row[self._label])
            if word in _NOTHING:
                yield self._area(row), {}
            elif word in self._known:
                yield self._area(row), {word: 1.0}
            else:
                faults.append(f"line {row.line}: " + expected_one_of("label", self._known, row[self._label]))
        else:
            yield self._area(row), _checked(row, {word: row[column] for column, word in self._scores.items()}, faults)

    def _cell(self, row: Row, names: Iterable[str]) -> str:
        column = next((self._column[name] for name in names if name in self._column), None)
        return "" if column is None else row[column].strip()

    def _area(self, row: Row) -> float:
        sides = [self._cell(row, names) for names in (("facerectwidth", "region.w"), ("facerectheight", "region.h"))]
        if all(re.fullmatch(_NUMBER, side) for side in sides):
            return float(sides[0]) * float(sides[1])
        region = dict(_PAIR.findall(self._cell(row, ("region",))))
        if {"w", "h"} <= set(region):
            return float(region["w"]) * float(region["h"])
        return _box_area(self._cell(row, ("box",)))


def _header(file: Path) -> tuple[int, str]:
    """The line of the header, and the file that FaceReader's metadata name; 0 where its cells tell the header."""
    if file.suffix.lower() == ".xlsx":
        return (0 if _has_video_time(file) else 1), ""
    named = ""
    for number, line in read_text_lines(file):
        cells = [cell.strip().strip('"') for cell in re.split(r"[\t;,]", line)]
        if cells[0].lower() == "video time":
            return number, named
        if cells[0].rstrip(":").lower() == "filename" and len(cells) > 1:
            named = cells[1]
        if number > _HEADER_WITHIN:
            break
    return 1, ""


def _has_video_time(file: Path) -> bool:
    try:
        next(read_rows(file, ["Video Time"]), None)
    except ManifestError:
        return False
    return True


def _checked(row: Row, cells: Mapping[str, str], faults: list[str]) -> dict[str, float]:
    """The scores of a row; nothing where the tool failed."""
    scores = {}
    for word, cell in cells.items():
        if cell.strip().lower() in _NOTHING:
            continue
        try:
            value = float(cell.strip().rstrip("%"))
        except ValueError:
            faults.append(f"line {row.line}: {word} is {shown(cell)}, expected a number")
            return {}
        if value < -1e-6:
            faults.append(f"line {row.line}: {word} is {value:g}: expected probabilities or intensities, not logits")
            return {}
        scores[word] = max(value, 0.0)
    return scores if sum(scores.values()) > 0 and np.isfinite(sum(scores.values())) else {}


def _seconds(text: str) -> float | None:
    """Seconds of ``12.5`` or ``00:00:12.500``."""
    try:
        parts = [float(part) for part in text.split(":")]
    except ValueError:
        return None
    return float(sum(part * 60**place for place, part in enumerate(reversed(parts))))


def _box_area(text: str) -> float:
    numbers = re.findall(_NUMBER, text)
    return float(numbers[2]) * float(numbers[3]) if len(numbers) == 4 else 0.0


def _largest(readings: list[_Reading], still: bool) -> list[_Reading]:
    """One reading a moment, of the largest face. Without times, rows are moments; of a still they are faces."""
    best: dict[str, _Reading] = {}
    for one in readings:
        moment = one.moment or ("" if still else f"line {one.line}")
        if one.scores and (moment not in best or one.area > best[moment].area):
            best[moment] = one
    return list(best.values())


def _shares(
    scores: Mapping[str, float], known: Mapping[str, str | None], labels: LabelSet, lost: set[str]
) -> np.ndarray | None:
    """(K,) shares of the labels, or None where nothing is left of the scores."""
    shares = np.zeros(len(labels))
    for word, score in scores.items():
        label = known.get(word)
        if label is None:
            lost.add(word or "one without a name")
        else:
            shares[labels.index(label)] += score
    return shares / shares.sum() if shares.sum() > 0 else None


class _ClipFinder:
    """The clips that a name in a table stands for: an id, or the name or path of a file."""

    def __init__(self, clips: Manifest) -> None:
        self._by_id = {clip.id: clip for clip in clips}
        self._by_file: dict[str, list[Clip]] = defaultdict(list)
        for clip in clips:
            for file in {one for one in (clip.path, clip.audio) if isinstance(one, Path)}:
                parts = file.parts
                for key in {"/".join(parts[-count:]) for count in range(1, len(parts) + 1)} | {file.stem}:
                    self._by_file[key].append(clip)

    def find(self, name: str, seconds: float | None, by_name: bool) -> list[str] | None:
        """Ids of the clips; none if it fits none, None if it fits several and they can't be told apart."""
        if name in self._by_id:
            return [name]
        path = PureWindowsPath(name)  # it reads both kinds of separators
        tails = ["/".join(path.parts[-count:]) for count in range(len(path.parts), 0, -1)]
        candidates = next((self._by_file[key] for key in (*tails, path.stem) if key in self._by_file), [])
        if path.stem in self._by_id and (not candidates or by_name):
            return [path.stem]
        if len({clip.path for clip in candidates}) > 1:
            return None
        spans = [clip for clip in candidates if clip.start or clip.end is not None]
        if seconds is not None:
            whole = [clip for clip in candidates if clip not in spans]
            inside = [clip for clip in spans if clip.start <= seconds < (clip.end or np.inf)]
            return [clip.id for clip in (*whole, *inside)]
        return [clip.id for clip in candidates] if len(candidates) < 2 else None


def _notes(
    name: str,
    frames: list[int],
    clips: int,
    lost: set[str],
    foreign: Counter[str],
    hard: bool,
) -> list[str]:
    """What readers of the comparison must know of the table."""
    notes = []
    if max(frames, default=1) > 1:
        notes.append(
            f"{name}: the scores of a clip are the mean over its frames, {np.mean(frames):.0f} a clip; of several "
            "faces in a frame the largest is taken."
        )
    if len(frames) < clips:
        notes.append(f"{name}: {clips - len(frames)} of {clips} clips have no prediction, which counts as wrong.")
    if lost:
        notes.append(f"{name}: scores of {', '.join(sorted(lost))} are left out, and the others brought to sum to 1.")
    if foreign:
        examples = ", ".join(list(foreign)[:_SHOWN])
        notes.append(f"{name}: {sum(foreign.values())} rows are of no clip of the manifest, such as {examples}.")
    if hard:
        notes.append(f"{name}: the table has labels and no scores, so its ECE, NLL and Brier mean nothing.")
    return notes
