"""`analyze_many`: the analysis of many clips, with a row for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from mmemo.batch.export import check_suffix
from mmemo.batch.journal import Journal
from mmemo.batch.plan import Source, Task, listed, plan
from mmemo.batch.pool import analyze_locally, usable_cores
from mmemo.batch.process import check_limit
from mmemo.batch.relative import people_of, relative_rows
from mmemo.batch.result import Batch
from mmemo.batch.settings import Settings
from mmemo.batch.sources import By
from mmemo.clip import TrackChoice
from mmemo.errors import ArgumentError, expected_one_of
from mmemo.evidence import Channel, Seconds
from mmemo.files import check_file
from mmemo.model import Prior
from mmemo.personal.adaptation import Adaptation
from mmemo.personal.baseline import Baseline
from mmemo.pipeline.rescore import check_rescorable
from mmemo.pretrained import model_folder
from mmemo.speech.transcript import files_read

CLIP_TIMEOUT: Seconds = 3600.0
"""Seconds that a clip may take by default: more than the longest film needs, so that only a hang is ended."""


@dataclass(frozen=True)
class BatchProgress:
    """Progress of a batch: ``done`` of ``total`` clips, ``failed`` of them, ``kept`` from an earlier run."""

    done: int
    total: int
    failed: int
    kept: int


def analyze_many(
    sources: Iterable[Source] | Source,
    out: str | Path | None = None,
    *,
    summary: str | Path | None = None,
    model: str | Path = "default",
    modalities: Sequence[str] | None = None,
    device: str = "auto",
    window: Seconds = 2.0,
    hop: Seconds = 1.0,
    channel: Channel = "mix",
    audio_track: TrackChoice | None = None,
    subtitle_track: TrackChoice | None = None,
    workers: int | None = None,
    threads: int = 1,
    ray: str | None = None,
    clip_timeout: Seconds | None = CLIP_TIMEOUT,
    raw_cells: bool = False,
    classes: Sequence[type] = (),
    prior: Prior = "balanced",
    baseline: Baseline | By | Literal["auto"] | None = None,
    adaptation: Adaptation | None = None,
    progress: Callable[[BatchProgress], None] | None = None,
) -> Batch:
    """Analyze many clips in several processes, or on a cluster. A clip that fails is a row with its error.

    With ``out``, each row is kept in ``OUT.journal`` beside it as soon as it is computed. Stopped midway, at any moment
    and in any way, the next run goes on from there. The journal stays: a later run takes from it the rows of clips
    whose files, span, words, model and settings are the same, and analyzes the others and those that failed. Remove it
    to begin anew.

    Args:
        sources: media files, folders with all below them, patterns such as ``"clips/**/*.mp4"``, clips, manifests,
            their ``.jsonl`` and ``.csv`` files, or pandas data frames with a clip in each row, as
            `mmemo.data.from_frame` reads them.
        out: the table to write at the end, ``.parquet``, ``.csv`` or ``.jsonl``, or the summary page, ``.html``.
        summary: the summary page to write too, ``.html``.
        model: "default", or a folder; ``modalities``, ``device``, ``window`` and ``hop`` as for `Analyzer`.
        channel: as for calling an `Analyzer`, of the clips that name none of their own; ``audio_track`` and
            ``subtitle_track`` likewise.
        workers: processes, or actors of a cluster; by default half of this machine's cores, or all that the
            cluster has room for.
        threads: CPU threads of each process.
        ray: address of a Ray cluster to work on instead, such as "auto" or ``"host:6379"`` (extra ``ray``).
        clip_timeout: seconds that a clip may take, an hour by default; then it is ended, and its row has a
            `TimeLimitError`. None for no limit.
        raw_cells: see `Batch.save`.
        classes: of the model's encoders and fusion head, where they are not mmemo's own; see `mmemo.load_model`. The
            processes import them, so they must stand in a module, which every machine of a cluster must have.
        prior: as for `Analyzer`; ``adaptation`` likewise.
        baseline: as for `Analyzer`, one for all clips. Or each clip's scores are made relative to the other clips:
            "speaker": those of the manifest's same speaker; "folder": those in the same folder as the clip,
            one for each person. These baselines lie within that of the place, of all clips of other people, if there
            are three people at least. "place": that of the place alone. A clip of any length counts once. The journal
            keeps the rows without them, so they take no second analysis; rows that have one have the note "baseline".
        progress: called with a `BatchProgress` at the beginning and after each clip.

    Raises:
        ArgumentError: for arguments that don't fit, if another run is writing to ``out``, and if a file to be written
            is one that is read; for a baseline of other clips if no person is known, or the fusion head reads more than
            scores.
        ManifestError: if a manifest can't be read.
        UnknownModelError: if there is no such model.
        WorkerError: if no process can be started, or none any more.

    Examples:
        >>> import mmemo
        >>> batch = mmemo.analyze_many(["clip.mp4", "missing.mp4"], "emotions.csv", modalities=["voice"], workers=1)
        >>> [(row.path, row.label is None) for row in batch.rows]
        [('clip.mp4', False), ('missing.mp4', True)]
    """
    out = None if out is None else Path(out)
    outputs = [Path(file) for file in (out, summary) if file is not None]
    for file in outputs:
        check_suffix(file)
    if workers is not None and workers < 1:
        raise ArgumentError(f"workers: expected 1 or more, got {workers}.")
    check_limit(clip_timeout)
    by: By | None = None
    if isinstance(baseline, str) and baseline != "auto":
        by, baseline = baseline, None
        if by not in get_args(By):
            raise ArgumentError(expected_one_of("baseline", ("auto", *get_args(By)), by))
        if adaptation is not None:
            raise ArgumentError("A baseline of other clips and an adaptation don't go together: leave one out.")
    settings = Settings.of(model, modalities, device, window, hop, threads, classes, prior, baseline, adaptation)
    own = outputs if out is None else [*outputs, journal_of(out)]
    given = listed(sources)
    planned = plan(given, own, channel, audio_track, subtitle_track)
    tasks = planned.tasks
    inputs = [model_folder(model), *files_read(task.clip for task in tasks)]
    inputs += [Path(source) for source in given if isinstance(source, str | Path) and Path(source).is_file()]
    for file in own:
        check_file(file, inputs)
    people = people_of(tasks, by) if by else []
    used = None
    if by or prior != "balanced" or baseline is not None or adaptation is not None:
        used = replace(settings, device="cpu").analyzer().model  # so that what does not fit it is refused at once
        if by:
            check_rescorable(used)
    with Journal(None if out is None else journal_of(out)) as journal:
        todo = [task for task in tasks if not _known(task, settings, journal)]
        kept = len(tasks) - len(todo)
        done, failed = kept, 0
        if progress is not None:
            progress(BatchProgress(done, len(tasks), failed, kept))
        if todo:
            if ray is None:
                processes = workers or max(1, usable_cores() // 2 // threads)
                completed = analyze_locally(todo, settings, processes, clip_timeout)
            else:
                from mmemo.batch.ray_job import analyze_on_ray

                completed = analyze_on_ray(todo, settings, ray, workers, clip_timeout)
            with closing(completed):
                for task, key, row in completed:
                    journal.put(task.identity, key, row)
                    done, failed = done + 1, failed + (row.error is not None)
                    if progress is not None:
                        progress(BatchProgress(done, len(tasks), failed, kept))
        rows = tuple(journal.row(task.identity).named(task) for task in tasks)
        if by and used:
            rows = relative_rows(rows, people, by, used)
        batch = Batch(rows, settings.modalities, settings.model, planned.passed_over)
        if out is not None:
            batch.save(out, raw_cells=raw_cells)
        if summary is not None:
            batch.save(summary)
    return batch


def journal_of(out: Path) -> Path:
    """The file beside a table that keeps the rows computed so far."""
    return out.with_name(f"{out.name}.journal")


def _known(task: Task, settings: Settings, journal: Journal) -> bool:
    """Whether the journal has the clip's row, and nothing it depends on has changed. Other clips are not read."""
    key = journal.key(task.identity)
    if key is None:
        return False
    try:
        return key == settings.key(task.clip)
    except OSError:
        return False
