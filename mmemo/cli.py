"""The command line: `mmemo analyze`, `baseline`, `adapt`, `compare`, `train`, `calibrate`, `app` and more."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from enum import StrEnum
from io import TextIOWrapper
from json import dumps as escaped
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from mmemo.errors import ArgumentError, ManifestError, MmemoError, missing_extra

if TYPE_CHECKING:
    from mmemo.clip import Clip
    from mmemo.pipeline.analyzer import Analyzer, Progress
    from mmemo.pipeline.live_session import LiveSession
    from mmemo.result import EmotionResult

Classes = Annotated[
    list[str] | None,
    typer.Option(metavar="MODULE:CLASS", help="An encoder or fusion head of your own that a model needs; repeatable."),
]
PriorText = Annotated[
    str, typer.Option(metavar="PRIOR", help="balanced, natural, or shares of labels: neutral=0.6,anger=0.1.")
]
BaselineFile = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="What `mmemo baseline` wrote; or auto: each person's own earlier windows."),
]
AdaptationFile = Annotated[Path | None, typer.Option(help="What `mmemo adapt` wrote.")]

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="What emotion a person shows, from face, voice and words together. Nothing leaves this machine.",
)


_GRACE = 0.5
"""Seconds that an interrupted analysis has to undo what it began."""


class Media(StrEnum):
    """How closely an audit compares media: by fingerprints, by hashes only, or not at all."""

    fingerprints = "fingerprints"
    hashes = "hashes"
    none = "none"


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        import mmemo

        print(mmemo.__version__)
        raise typer.Exit


@contextmanager
def _ending_promptly() -> Iterator[None]:
    """Let Ctrl-C end the process even where a decoder or a network holds it, which runs no Python for seconds.

    What was begun is undone as far as half a second allows, and what is written is whole or not there in any case.
    """
    if threading.current_thread() is not threading.main_thread():  # only that one gets signals
        yield
        return
    received, arriving = os.pipe()
    os.set_blocking(arriving, False)

    def end() -> None:
        while number := os.read(received, 1):
            if number[0] == signal.SIGINT:
                time.sleep(_GRACE)
                if sys.stderr.isatty():
                    os.write(2, b"\x1b[?25h\n")  # the cursor, which a progress bar hides
                os._exit(130)
        os.close(received)

    threading.Thread(target=end, daemon=True).start()
    before = signal.set_wakeup_fd(arriving)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(arriving)


@app.command()
@_ending_promptly()
def analyze(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH",
            help="A video, audio or image file, or none with --text. Many: files, a folder, a pattern, a manifest.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Also write .html .json .jsonl .csv .parquet .srt .vtt .eaf .rttm …; of many, the table."),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Also draw the timeline: .png, .svg or .pdf.")] = None,
    video: Annotated[Path | None, typer.Option(help="Also write the video with the result drawn in: .mp4.")] = None,
    frames: Annotated[
        Path | None, typer.Option(help="Also write the faces frame by frame, pose to action units: .csv or .parquet.")
    ] = None,
    every_frame: Annotated[
        bool, typer.Option("--every-frame", help="With --frames: every frame of the file, not at most 15 a second.")
    ] = False,
    anonymize: Annotated[
        str | None, typer.Option(help="blur or mask: hide every face in the video, show none in a report or plot.")
    ] = None,
    text: Annotated[str | None, typer.Option(help="The spoken words, if you know them.")] = None,
    subtitles: Annotated[
        Path | None, typer.Option(help="A file with the words: .srt .vtt .ass .sbv .ttml .lrc .txt, .json of Whisper.")
    ] = None,
    modalities: Annotated[str | None, typer.Option(help="Some of face,voice,text; all by default.")] = None,
    model: Annotated[str, typer.Option(help="default, large, or a folder that a recipe saved.")] = "default",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps, directml or openvino.")] = "auto",
    window: Annotated[float, typer.Option(help="Length of a window in seconds.")] = 2.0,
    hop: Annotated[float, typer.Option(help="Seconds from one window's start to the next.")] = 1.0,
    micro: Annotated[bool, typer.Option("--micro", help="Look for micro-expressions too.")] = False,
    prosody: Annotated[bool, typer.Option("--prosody", help="Measure pitch, speaking rate and pauses too.")] = False,
    people: Annotated[int | None, typer.Option(help="How many people are seen, if you know it.", min=1)] = None,
    max_faces: Annotated[int | None, typer.Option(help="The most faces at once; 8 in a video.", min=1)] = None,
    channel: Annotated[
        str, typer.Option(help="left or right: that channel of the sound alone, as of a recorded call; mix by default.")
    ] = "mix",
    audio_track: Annotated[
        str | None, typer.Option(metavar="TRACK", help="Which of several sound tracks: its number, or language, as en.")
    ] = None,
    subtitle_track: Annotated[
        str | None, typer.Option(metavar="TRACK", help="Which of several subtitles beside or in the file, likewise.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Of many clips: processes; half of the cores by default.", min=1)
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Of many clips: CPU threads of each process; 1 by default.", min=1)
    ] = None,
    ray: Annotated[str | None, typer.Option(help="Of many clips: a Ray cluster, as auto or HOST:6379.")] = None,
    clip_timeout: Annotated[
        float | None,
        typer.Option(help="Of many clips: seconds that one may take, an hour by default; 0 for no limit.", min=0),
    ] = None,
    summary: Annotated[Path | None, typer.Option(help="Of many clips: also write the summary page, .html.")] = None,
    prior: PriorText = "balanced",
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="What `mmemo baseline` wrote; auto: each person's own earlier windows; of many also speaker, folder "
            "or place: the other clips of it. A file of such a name is ./speaker.",
        ),
    ] = None,
    adaptation: AdaptationFile = None,
    raw_cells: Annotated[
        bool, typer.Option("--raw-cells", help="In a .csv, keep text that a spreadsheet may take for a formula.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Download what --model large takes, without a question.")] = False,
    classes: Classes = None,
) -> None:
    """Analyze one clip and print a table, or JSON; or many clips into one table, resumable."""
    if not paths and text is None:
        raise ArgumentError("Nothing to analyze: give a media file, or --text.")
    chosen = None if modalities is None else _names(modalities)
    own = _import(classes)
    from mmemo.clip import track_choice

    tracks = {"audio_track": track_choice(audio_track), "subtitle_track": track_choice(subtitle_track)}
    _offer_download(model, yes)
    from mmemo.batch.sources import By

    if paths and (len(paths) > 1 or _stands_for_many(paths[0])):
        from mmemo.batch.cli import analyze_and_summarize
        from mmemo.files import check_file
        from mmemo.personal.baseline import Baseline

        alone = {
            "json": json, "plot": plot, "video": video, "anonymize": anonymize, "text": text, "subtitles": subtitles,
            "micro": micro, "prosody": prosody, "people": people, "max-faces": max_faces, "frames": frames,
            "every-frame": every_frame,
        }  # fmt: skip
        how = {"model": model, "modalities": chosen, "device": device, "window": window, "hop": hop, "classes": own}
        how |= tracks | {
            "channel": channel,
            "workers": workers,
            "threads": threads or 1,
            "ray": ray,
            "raw_cells": raw_cells,
        }
        how |= _personal(prior, baseline, adaptation, ("auto", *get_args(By)))
        for file in (out, summary):
            if file is not None:
                check_file(file, (baseline if isinstance(how["baseline"], Baseline) else None, adaptation))
        how |= {} if clip_timeout is None else {"clip_timeout": clip_timeout or None}
        analyze_and_summarize(paths, out, summary, alone, **how)
        return
    of_many: dict[str, object] = {
        "--workers": workers, "--threads": threads, "--ray": ray, "--summary": summary, "--clip-timeout": clip_timeout,
        f"--baseline {baseline}": baseline if baseline in get_args(By) else None,
    }  # fmt: skip
    if given := [name for name, value in of_many.items() if value is not None]:
        raise ArgumentError(f"{', '.join(given)}: for many clips, and this is one.")
    path = paths[0] if paths else None
    if every_frame and frames is None:
        raise ArgumentError("--every-frame: of the table of --frames FILE.")
    from mmemo.face_frames import SUFFIXES
    from mmemo.pipeline.analyzer import Analyzer
    from mmemo.pretrained import model_folder
    from mmemo.report.formats import PICTURES, VIDEOS, check_anonymize, check_output

    personal = (None if baseline in (None, "auto") else baseline, adaptation)
    for file, suffixes in ((out, None), (frames, SUFFIXES), (plot, PICTURES), (video, VIDEOS)):
        if file is not None:
            check_output(file, path, (subtitles, model_folder(model), *personal), suffixes)
    if frames is not None and out is not None and frames.resolve() == out.resolve():
        raise ArgumentError(f"--out and --frames are both {out}: name two files.")
    check_anonymize(anonymize)
    recorded = {"frames": "all" if every_frame else frames is not None}
    known = _personal(prior, baseline, adaptation) | recorded | {"people": people, "max_faces": max_faces}
    analyzer = Analyzer(model, chosen, device, window, hop, micro=micro, prosody=prosody, classes=own, **known)
    with _progress() as progress:
        words = {"text": text, "subtitles": subtitles}
        result = analyzer(path, **words, channel=channel, **tracks, progress=progress)  # type: ignore[arg-type]
    for file in (out, plot):
        if file is not None:
            result.save(file, anonymize=anonymize, raw_cells=raw_cells)  # type: ignore[arg-type]  # it was checked above
    if frames is not None and result.frames is not None:
        result.frames.save(frames)
    if video is not None:
        with _progress("writing the video") as progress:
            result.save_video(video, anonymize=anonymize, progress=progress)  # type: ignore[arg-type]
    if json:
        _print_json(result.to_json())
        return
    from rich.console import Console

    from mmemo.report.terminal import render_result

    Console(highlight=False).print(render_result(result))


@app.command()
def live(
    source: Annotated[
        str | None,
        typer.Argument(help="A file, a stream (rtsp://…), a pipe, - for standard input; else camera and microphone."),
    ] = None,
    camera: Annotated[str, typer.Option(help="Its number or name, a file in its place, or none.")] = "0",
    microphone: Annotated[str, typer.Option(help="Its name, a file in its place, or none.")] = "default",
    seconds: Annotated[float | None, typer.Option(help="End after so many; else with Ctrl+C.", min=0)] = None,
    out: Annotated[Path | None, typer.Option(help="Write the result at the end: .html, .json, .csv …")] = None,
    record: Annotated[Path | None, typer.Option(help="Write picture and sound to a file: .mkv or .mp4.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print each update as a line of JSON.")] = False,
    in_app: Annotated[bool, typer.Option("--app", help="Show the live page in the browser instead.")] = False,
    port: Annotated[int, typer.Option(help="Of --app; 0 takes any that is free.")] = 7860,
    modalities: Annotated[str | None, typer.Option(help="Some of face,voice,text; all by default.")] = None,
    model: Annotated[str, typer.Option(help="default, large, or a folder that a recipe saved.")] = "default",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps, directml or openvino.")] = "auto",
    people: Annotated[int | None, typer.Option(help="How many people are seen, if you know it.", min=1)] = None,
    max_faces: Annotated[int | None, typer.Option(help="The most faces at once; 8 by default.", min=1)] = None,
    prior: PriorText = "balanced",
    baseline: BaselineFile = None,
    adaptation: AdaptationFile = None,
    classes: Classes = None,
) -> None:
    """Follow a live person by face, voice and words, in the terminal or in the browser.

    Nothing is kept without --out and --record.
    """
    personal, own = _personal(prior, baseline, adaptation), _import(classes)
    if in_app:
        from mmemo.app.personal import Personal
        from mmemo.app.server import serve
        from mmemo.batch.settings import Settings

        settings = Settings.of(model, None if modalities is None else _names(modalities), device, classes=own)
        serve(settings, port, personal=Personal(**personal), page="/live")
        return
    from mmemo.pipeline.analyzer import Analyzer
    from mmemo.pipeline.stream import stream
    from mmemo.report.formats import check_output

    if out is not None:
        check_output(out, None if source is None else Path(source), (baseline, adaptation))
    chosen = None if modalities is None else _names(modalities)
    analyzer = Analyzer(model, chosen, device, people=people, max_faces=max_faces, classes=own, **personal)
    given: dict[str, Any] = {}
    if source is None and camera != "none":
        given["camera"] = int(camera) if camera.isdecimal() else camera
    if source is None and microphone != "none":
        given["microphone"] = True if microphone == "default" else microphone
    if source is None and not given:
        raise ArgumentError("Nothing to follow: give a source, a camera or a microphone.")
    with stream(source, **given, analyzer=analyzer, keep=out is not None, record=record) as session:
        with suppress(KeyboardInterrupt):
            _show(session, json, seconds)
        if out is not None:
            session.result().save(out)


def _show(session: LiveSession, json: bool, seconds: float | None) -> None:
    """Print the updates as they come, until the session ends or so many seconds of it have passed."""
    from rich.console import Console
    from rich.live import Live

    from mmemo.report.terminal import render_update

    first: float | None = None
    with nullcontext() if json else Live(console=Console(highlight=False), refresh_per_second=15) as view:
        for update in session:
            first = update.time if first is None else first
            if view is None:
                _print_json(escaped(update.to_dict()))
            else:
                view.update(render_update(update))
            if seconds is not None and update.time - first >= seconds:
                return


@app.command("baseline")
def fit_baseline(
    out: Annotated[Path, typer.Option(help="The baseline to write, .json.")],
    clips: Annotated[
        list[str] | None, typer.Argument(metavar="PATH", help="Clips, folders, patterns or a manifest, without labels.")
    ] = None,
    neutral: Annotated[
        list[Path] | None,
        typer.Option(help="A clip in which the person is known to be neutral; counts as two, and needs no others."),
    ] = None,
    mixed: Annotated[
        bool,
        typer.Option(
            "--mixed", help="You know that the clips show several moods: take their mean off in full, unchecked."
        ),
    ] = False,
    place: Annotated[
        bool,
        typer.Option(
            "--place", help="The clips show three people or more, in several moods, recorded in the same way."
        ),
    ] = False,
    within: Annotated[
        Path | None,
        typer.Option(help="What --place wrote, of where this person was recorded: what is known beforehand."),
    ] = None,
    modalities: Annotated[str | None, typer.Option(help="Some of face,voice,text; all by default.")] = None,
    model: Annotated[str, typer.Option(help="A model's name, or a folder that a recipe saved.")] = "default",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps, directml or openvino.")] = "auto",
    classes: Classes = None,
) -> None:
    """Calibrate to a person: measure how they score on average, to be taken off what they show.

    Give about ten clips of one person in several moods; two are a beginning. Then: mmemo analyze CLIP --baseline FILE
    """
    from mmemo.batch.plan import plan
    from mmemo.files import check_json
    from mmemo.personal.baseline import Baseline
    from mmemo.personal.left_out import LEAST_PEOPLE
    from mmemo.pipeline.analyzer import Analyzer
    from mmemo.speech.transcript import files_read

    calm = list(neutral or ())
    if not clips and not calm:
        raise ArgumentError("Nothing to measure: give clips, or --neutral.")
    for file in calm:
        if not file.is_file():
            raise ArgumentError(f"--neutral: there is no file {file}.")
    apart = {file.resolve() for file in calm}
    tasks = [one for one in (plan(clips, [out]).tasks if clips else ()) if not _is_among(one.clip, apart)]
    check_json(out, [*files_read(one.clip for one in tasks), *calm, within, *map(Path, clips or ())])
    people = {one.clip.speaker for one in tasks if one.clip.speaker}
    if len(people) > 1 and not place:
        raise ArgumentError(
            f"The manifest has {len(people)} speakers, and a baseline is of one: --place for all of them."
        )
    if place and (within is not None or 0 < len(people) < LEAST_PEOPLE):
        raise ArgumentError(f"--place: for clips of {LEAST_PEOPLE} people or more, and not within another place.")
    surroundings = None if within is None else Baseline.load(within)
    chosen = None if modalities is None else _names(modalities)
    analyzer = Analyzer(model, chosen, device, classes=_import(classes))
    with _progress("analyzing clips") as progress:
        results = [_result(analyzer, one.clip, progress, number, len(tasks)) for number, one in enumerate(tasks)]
    fitted = Baseline.fit(
        [one for one in results if one is not None],
        modalities=chosen,
        neutral=calm,
        mixed=mixed,
        of="place" if place else "person",
        place=surroundings,
        analyzer=analyzer,
    )
    fitted.save(out)
    print(f"{out}: {fitted.note().message}")


@app.command("adapt")
def fit_adaptation(
    manifest: Annotated[
        Path, typer.Argument(help='Manifest of labeled clips: columns id, path and label, "anger" or "not anger".')
    ],
    out: Annotated[Path, typer.Option(help="The adaptation to write, .json.")],
    modalities: Annotated[str | None, typer.Option(help="Some of face,voice,text; all by default.")] = None,
    model: Annotated[str, typer.Option(help="A model's name, or a folder that a recipe saved.")] = "default",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps, directml or openvino.")] = "auto",
    classes: Classes = None,
) -> None:
    """Learn a correction from one to five labeled clips of each label, of one person or recording situation.

    Then: mmemo analyze CLIP --adaptation FILE
    """
    from mmemo.data import Manifest
    from mmemo.files import check_json
    from mmemo.personal.adaptation import Adaptation
    from mmemo.pipeline.analyzer import Analyzer
    from mmemo.speech.transcript import files_read

    clips = [clip for clip in Manifest.read(manifest) if clip.label is not None]
    if not clips:
        raise ArgumentError(f"{manifest} has no clip with a label to learn from.")
    check_json(out, [manifest, *files_read(clips)])
    chosen = None if modalities is None else _names(modalities)
    analyzer = Analyzer(model, chosen, device, classes=_import(classes))
    pairs = [(clip, str(clip.label)) for clip in clips if _can_be_read(clip)]
    fitted = Adaptation.fit(pairs, modalities=chosen, analyzer=analyzer)
    fitted.save(out)
    print(f"{out}: {fitted.note().message}")


@app.command("app")
def serve_app(
    port: Annotated[int, typer.Option(help="On this machine; 0 takes any that is free.")] = 7860,
    model: Annotated[str, typer.Option(help="A model's name, or a folder that a recipe saved.")] = "default",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps, directml or openvino.")] = "auto",
    max_mb: Annotated[float, typer.Option(help="Megabytes of one upload.")] = 200.0,
    clip_timeout: Annotated[
        float, typer.Option(help="Seconds that the analysis of an upload may take; 0 for no limit.", min=0)
    ] = 600.0,
    no_token: Annotated[
        bool, typer.Option("--no-token", help="Let in every program of every user of this machine, without the token.")
    ] = False,
    prior: PriorText = "balanced",
    baseline: BaselineFile = None,
    adaptation: AdaptationFile = None,
    corrections: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Keep corrections of results there, and learn from them. Off by default."),
    ] = None,
    classes: Classes = None,
) -> None:
    """Serve a page to drop clips on, and an HTTP endpoint, on this machine only."""
    from mmemo.app.personal import Personal
    from mmemo.app.server import serve
    from mmemo.batch.settings import Settings
    from mmemo.personal.corrections import Corrections

    kept = None if corrections is None else Corrections(corrections)
    personal = Personal(**_personal(prior, baseline, adaptation), corrections=kept)
    settings = Settings.of(model, device=device, classes=_import(classes))
    serve(settings, port, max_mb, with_token=not no_token, clip_timeout=clip_timeout or None, personal=personal)


@app.command("corrections")
def show_corrections(
    folder: Annotated[Path, typer.Argument(help="That of `mmemo app --corrections FOLDER`.")],
    remove: Annotated[int | None, typer.Option(metavar="N", help="Remove the correction of this number.")] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Remove all corrections.")] = False,
    adapt: Annotated[
        Path | None, typer.Option(metavar="OUT", help="Write the adaptation learned from them, .json.")
    ] = None,
    model: Annotated[str, typer.Option(help="That was corrected: its name, or its folder.")] = "default",
    classes: Classes = None,
) -> None:
    """List the corrections that the app keeps, remove some, or write what is learned from them."""
    from mmemo.files import check_json
    from mmemo.personal.corrections import FEWEST, Corrections
    from mmemo.pipeline.analyzer import Analyzer

    if (remove is not None) + clear + (adapt is not None) > 1:
        raise ArgumentError("--remove, --clear, --adapt: give one of them.")
    corrections = Corrections(folder)
    if remove is not None:
        corrections.remove(remove)
    if clear:
        corrections.clear()
    if adapt is not None:
        check_json(adapt, [corrections.file])
        fitted = corrections.adaptation(Analyzer(model, classes=_import(classes)).model)
        if fitted is None:
            raise ArgumentError(f"{folder} holds fewer than {FEWEST} corrections of this model: too few to learn from.")
        fitted.save(adapt)
        print(f"{adapt}: {fitted.note().message}")
        return
    entries = corrections.entries()
    for number, entry in entries.items():
        print(f"{number:>4}  {entry.time[:10]}  {entry.label}  (predicted: {entry.predicted})")
    print(f"{folder}: {len(entries)} correction{'' if len(entries) == 1 else 's'}")
    if damaged := corrections.damaged():
        print(f"No corrections, left out: lines {', '.join(map(str, damaged))} of {corrections.file}", file=sys.stderr)


@app.command()
def prepare(
    corpus: Annotated[str | None, typer.Argument(help="Its name; without one, all names are listed.")] = None,
    path: Annotated[Path | None, typer.Argument(help="Your copy: a folder, or for some corpora a file.")] = None,
    out: Annotated[Path | None, typer.Option(help="The manifest to write, .jsonl or .csv.")] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="Of a table: path=FILE, label=EMOTION … (yours right).")
    ] = None,
    media: Annotated[str | None, typer.Option(help="video or audio, where a corpus has both.")] = None,
    pixels: Annotated[Path | None, typer.Option(help="Where to write the images of fer2013.csv.")] = None,
    probe: Annotated[bool, typer.Option("--probe", help="Also open every file, to find the unreadable.")] = False,
) -> None:
    """Read your copy of a corpus into a manifest, and tell what is in it."""
    from rich.console import Console

    from mmemo.data.corpora import corpus as find_corpus
    from mmemo.data.prepare import columns as parse_columns
    from mmemo.data.prepare import overview, report
    from mmemo.data.prepare import prepare as prepare_corpus

    console = Console(highlight=False)
    if corpus is None:
        console.print(overview())
        return
    if path is None or out is None:
        expected = find_corpus(corpus).layout
        raise ArgumentError(f"Give the path of your copy and --out MANIFEST.jsonl; expected there: {expected}.")
    given = {"columns": parse_columns(column) if column else None, "media": media, "pixels": pixels}
    options = {name: value for name, value in given.items() if value is not None}
    reading = prepare_corpus(corpus, path, out, probe=probe, **options)
    console.print(report(reading, out))


@app.command()
def audit(
    manifest: Annotated[Path, typer.Argument(help="A .jsonl or .csv manifest.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
    out: Annotated[Path | None, typer.Option(help="Also write the findings as .json.")] = None,
    media: Annotated[Media, typer.Option(help="How closely pictures and sounds are compared.")] = Media.fingerprints,
    allow: Annotated[str, typer.Option(help="Codes of leaks that are accepted, with commas between them.")] = "",
) -> None:
    """Look for leaks between the splits of a manifest. Exit status 1 if anything leaks."""
    from mmemo.data import Manifest
    from mmemo.files import check_file, replacing_file
    from mmemo.speech.transcript import files_read

    clips = Manifest.read(manifest)
    inputs = [manifest, *files_read(clips)]
    if out is not None:
        check_file(out, inputs)
    with _progress("reading media") as progress:
        report = clips.audit(media=media.value, progress=progress)
    if out is not None:
        with replacing_file(out, inputs) as partial:
            partial.write_text(report.to_json() + "\n", encoding="utf-8")
    if json:
        _print_json(report.to_json())
    else:
        from rich.console import Console

        Console(highlight=False).print(report.to_table())
    if any(leak.code not in allow.split(",") for leak in report.leaks):
        raise typer.Exit(1)


@app.command()
def train(
    manifest: Annotated[Path, typer.Argument(help="A .jsonl or .csv manifest of labeled clips, with their speakers.")],
    run: Annotated[Path, typer.Option(help="Folder of cache, model, held-out scores and results.")],
    head: Annotated[
        str,
        typer.Option(
            help="mean, max, late, late per class, gated, stacked, boosted, concat, cross-attention: some, with commas "
            "between them, or all. The best on the split val is taken."
        ),
    ] = "late",
    encoders: Annotated[str, typer.Option(help="default, or a folder of a saved model.")] = "default",
    modalities: Annotated[str, typer.Option(help="Those that are used.")] = "face,voice,text",
    refit: Annotated[
        bool, typer.Option("--refit", help="Each encoder gets a probe of the clips' labels, though it has them.")
    ] = False,
    allow: Annotated[str, typer.Option(help="Codes of leaks between splits that are accepted, with commas.")] = "",
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    draws: Annotated[int, typer.Option(help="Resamplings of the speakers behind intervals and tests.")] = 10_000,
    workers: Annotated[int, typer.Option(help="Processes that read media.", min=0)] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    classes: Classes = None,
) -> None:
    """Fit fusion heads on your own clips, save the best as a model, and measure it on people it was not fitted on.

    Then: mmemo analyze CLIP --model RUN
    """
    from rich.console import Console

    from mmemo.fitting.train import HEADS, TrainOptions
    from mmemo.fitting.train import train as fit

    heads = tuple(HEADS) if head == "all" else tuple(_names(head))
    options = TrainOptions(heads, encoders, tuple(_names(modalities)), refit, seed, draws, tuple(_names(allow)))
    with _progress("encoding clips") as progress:
        comparison = fit(
            manifest, run, options, workers=workers, device=device, classes=_import(classes), progress=progress
        )
    Console(highlight=False).print(comparison.to_table())
    print(f"{run}: mmemo analyze CLIP --model {run}")


@app.command()
def calibrate(
    manifest: Annotated[Path, typer.Argument(help="A .jsonl or .csv manifest of some labeled clips.")],
    run: Annotated[Path, typer.Option(help="Folder of cache, model, held-out scores and results.")],
    model: Annotated[str, typer.Option(help="default, large, or a folder of a saved model.")] = "default",
    modalities: Annotated[str | None, typer.Option(help="Some of face,voice,text; all by default.")] = None,
    seed: Annotated[int, typer.Option(help="Of the division of the people.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
    workers: Annotated[int, typer.Option(help="Processes that read media.", min=0)] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    classes: Classes = None,
) -> None:
    """Correct a model's temperatures, priors and fusion weights by a few clips of yours, where that is sure to help.

    Then: mmemo analyze CLIP --model RUN
    """
    from dataclasses import asdict

    from mmemo.fitting.calibrate import CalibrateOptions
    from mmemo.fitting.calibrate import calibrate as fit

    chosen = None if modalities is None else tuple(_names(modalities))
    options = CalibrateOptions(model, chosen, seed=seed)
    with _progress("encoding clips") as progress:
        calibration = fit(
            manifest, run, options, workers=workers, device=device, classes=_import(classes), progress=progress
        )
    if json:
        _print_json(escaped(asdict(calibration), indent=2))
        return
    from rich.console import Console

    Console(highlight=False).print(calibration.to_table())
    print(f"{run}: mmemo analyze CLIP --model {run}")


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Run folder, folder of a saved model, or default.")],
    manifest: Annotated[Path, typer.Argument(help="A .jsonl or .csv manifest of labeled clips.")],
    split: Annotated[str | None, typer.Option(help="test if the manifest has one; all for every clip.")] = None,
    modalities: Annotated[str | None, typer.Option(help="face,voice …; all that the model has by default.")] = None,
    out: Annotated[
        list[Path] | None,
        typer.Option(help="Write .html, .json, .csv, .md, .tex, .png, .svg, .pdf, or a folder of all figures."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the tables.")] = False,
    cache: Annotated[Path | None, typer.Option(help="Keep encodings here, for the next evaluation.")] = None,
    draws: Annotated[int, typer.Option(help="Resamplings of the speakers behind intervals and tests.")] = 10_000,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps, directml or openvino.")] = "auto",
    classes: Classes = None,
) -> None:
    """Measure one model on labeled clips: what is right, of which label and whom, and how far scores can be believed.

    Clips that a run has held-out scores of are not predicted again; those that it was fitted on are refused.
    """
    _compare(
        [model],
        manifest,
        out,
        json,
        cache,
        classes,
        True,
        split=split,
        modalities=modalities,
        draws=draws,
        device=device,
    )


@app.command()
def compare(
    sources: Annotated[
        list[str],
        typer.Argument(help="Run folders, folders of saved models, default, or score tables of other tools, .csv …"),
    ],
    on: Annotated[Path | None, typer.Option(help="Manifest of labeled clips; a run has its held-out ones.")] = None,
    split: Annotated[str | None, typer.Option(help="Of the manifest: test if it has one; all for every clip.")] = None,
    modalities: Annotated[str | None, typer.Option(help="Of models: face,voice …; all they have by default.")] = None,
    systems: Annotated[str | None, typer.Option(help="Only these, with commas between them, in this order.")] = None,
    corruptions: Annotated[
        bool, typer.Option("--corruptions", help="Models also under noise, blur and wrong words.")
    ] = False,
    baseline: Annotated[
        str | None,
        typer.Option(metavar="speaker", help="Models also with each clip relative to the others of its speaker."),
    ] = None,
    out: Annotated[
        list[Path] | None,
        typer.Option(help="Write .html, .json, .csv, .md, .tex, .png, .svg, .pdf, or a folder of all figures."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
    cache: Annotated[Path | None, typer.Option(help="Keep encodings here, for the next comparison.")] = None,
    draws: Annotated[int, typer.Option(help="Resamplings of the speakers behind intervals and tests.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Of the resamplings.")] = 0,
    window: Annotated[float, typer.Option(help="Length of a window in seconds, as of analyze.")] = 2.0,
    hop: Annotated[float, typer.Option(help="Seconds from one window to the next.")] = 1.0,
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="WORD=LABEL", help="What a word of a score table stands for; repeatable. WORD= drops it."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps, directml or openvino.")] = "auto",
    classes: Classes = None,
) -> None:
    """Compare face only, voice only, words only, every pair, all, and each fusion head on the same clips."""
    _compare(
        sources,
        on,
        out,
        json,
        cache,
        classes,
        split=split,
        modalities=modalities,
        systems=None if systems is None else _names(systems),
        corruptions=corruptions,
        baseline=baseline,
        draws=draws,
        seed=seed,
        window=window,
        hop=hop,
        label_names=_label_names(label or []),
        device=device,
    )


def _compare(
    sources: list[str],
    on: Path | None,
    out: list[Path] | None,
    json: bool,
    cache: Path | None,
    classes: list[str] | None,
    by_label: bool = False,
    *,
    modalities: str | None,
    **how: Any,
) -> None:
    """Compare, write and print; ``how`` goes to `mmemo.compare`."""
    from mmemo.comparison.compare import compare as compare_systems
    from mmemo.comparison.compare import inputs_of
    from mmemo.comparison.export import check_output, check_suffix
    from mmemo.data import Manifest

    for file in out or ():
        check_suffix(file)
    own = _import(classes)
    clips = None if on is None else Manifest.read(on)
    inputs = inputs_of(sources, clips, (on, cache))
    for file in out or ():
        check_output(file, inputs)
    chosen = None if modalities is None else _names(modalities)
    with _progress("encoding clips") as progress:
        comparison = compare_systems(
            *sources, on=clips, modalities=chosen, cache=cache, classes=own, progress=progress, **how
        )
    for file in out or ():
        comparison.save(file)
    if json:
        _print_json(comparison.to_json())
        return
    from rich.console import Console

    Console(highlight=False).print(comparison.to_table(by_label=by_label))


@app.command()
def micro(
    path: Annotated[Path, typer.Argument(help="Video file; best at 100 frames a second or more.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
    start: Annotated[float, typer.Option(help="Seconds.")] = 0.0,
    end: Annotated[float | None, typer.Option(help="Seconds; the end of the file by default.")] = None,
    magnify: Annotated[float, typer.Option(help="Enlarge motion so much before it is classified.")] = 0.0,
) -> None:
    """Find micro-expressions: short, faint, isolated movements of a face."""
    from mmemo.micro.spot import spot_micro

    result = spot_micro(path, start, end, magnification=magnify)
    if json:
        _print_json(result.to_json())
        return
    from rich.console import Console

    from mmemo.report.terminal import render_micro

    Console(highlight=False).print(render_micro(result))


@app.command()
def export(
    source: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder of a recipe, or folder of a saved model.")],
    out: Annotated[Path, typer.Argument(help="The new model's folder.")],
    int8: Annotated[bool, typer.Option("--int8", help="Transformers in int8: smaller, faster on a CPU.")] = False,
    web: Annotated[
        Path | None,
        typer.Option(
            metavar="PACKAGE", help="Write a web page too: name the folder of the npm package onnxruntime-web."
        ),
    ] = None,
    classes: Classes = None,
) -> None:
    """Export a trained model to ONNX, so that it runs without torch."""
    own = _import(classes)
    try:
        from mmemo.training.export_onnx import export_model
    except ModuleNotFoundError as error:
        raise missing_extra("Exporting a model", error) from None
    print(export_model(source, out, int8=int8, web=web, classes=own))


@app.command()
def schema() -> None:
    """Print the JSON Schema of a result, as `mmemo analyze --json` prints one."""
    from mmemo.result import EmotionResult

    print(escaped(EmotionResult.json_schema(), indent=2))


def _personal(
    prior: str, baseline: str | None, adaptation: Path | None, names: tuple[str, ...] = ("auto",)
) -> dict[str, Any]:
    """Prior, baseline and adaptation as an `Analyzer` takes them; the baseline may be one of some names."""
    from mmemo.personal.adaptation import Adaptation
    from mmemo.personal.baseline import Baseline

    return {
        "prior": _shares(prior) if "=" in prior else prior,
        "baseline": baseline if baseline is None or baseline in names else Baseline.load(baseline),
        "adaptation": None if adaptation is None else Adaptation.load(adaptation),
    }


def _offer_download(model: str, yes: bool) -> None:
    """Download the model after a question, if it is one that takes a download; a refusal ends the program.

    Raises:
        ArgumentError: if there is nobody to ask.
    """
    from mmemo.pretrained import LARGE, describe_download, is_downloaded

    if model != LARGE or is_downloaded():
        return
    if not yes:
        if sys.stdin is None or not sys.stdin.isatty():
            raise ArgumentError(f"{describe_download()} Add --yes to download it.")
        # typer.confirm prints a space to stdout, where the result goes
        print(describe_download(), "Download it? [y/N] ", sep="\n", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise typer.Abort
    from mmemo.downloads import download

    download(model)


def _shares(text: str) -> dict[str, float]:
    """Shares of labels, from ``neutral=0.6,anger=0.1``."""
    try:
        pairs = [part.split("=") for part in text.split(",")]
        return {label.strip(): float(share) for label, share in pairs}
    except ValueError:
        raise ArgumentError(f"--prior: expected shares such as neutral=0.6,anger=0.1, got {text!r}.") from None


def _label_names(given: list[str]) -> dict[str, str | None]:
    """The label that each word of a score table stands for, from ``WORD=LABEL``."""
    if wrong := [one for one in given if "=" not in one]:
        raise ArgumentError(f"--label: expected WORD=LABEL, such as cheerful=happiness, got {wrong[0]!r}.")
    return {word.strip(): label.strip() or None for word, _, label in (one.rpartition("=") for one in given)}


def _names(text: str) -> list[str]:
    """Names with commas between them."""
    return [name.strip() for name in text.split(",") if name.strip()]


def _is_among(clip: Clip, files: set[Path]) -> bool:
    return clip.file is not None and clip.file.resolve() in files


def _can_be_read(clip: Clip) -> bool:
    """Whether the clip's file is media; what is not is reported on stderr."""
    from mmemo.errors import MediaError
    from mmemo.media import probe

    try:
        if clip.path is not None:
            probe(clip.path)
    except MediaError as error:
        print(f"Left out: {error}", file=sys.stderr)
        return False
    return True


def _result(analyzer: Analyzer, clip: Clip, progress: Progress | None, number: int, total: int) -> EmotionResult | None:
    """The result of one of several clips; None, reported on stderr, where there is nothing to analyze."""
    from mmemo.errors import MediaError, MissingStreamError

    try:
        result = analyzer.without_baseline()(clip)
    except (MediaError, MissingStreamError) as error:
        print(f"Left out: {error}", file=sys.stderr)
        result = None
    if progress is not None:
        progress((number + 1) / total)
    return result


def main() -> None:
    """Run the command line; an error becomes one line on stderr (of a manifest, one a fault) and exit status 2.

    A sign that the terminal's encoding does not have is printed as a question mark.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # here, where it can be reported, and not when Python ends
    except (MmemoError, ModuleNotFoundError) as failed:
        error = missing_extra("This", failed) if isinstance(failed, ModuleNotFoundError) else failed
        if not isinstance(error, MmemoError):
            raise
        message = str(error) if isinstance(error, ManifestError) else " ".join(str(error).split())
        print(f"mmemo: {message}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output went away, as `| head` does
    except OSError as error:
        if error.filename is None:
            _drop_output()
        place = f"{error.filename}: " if error.filename else ""
        print(f"mmemo: {place}{error.strerror or error}", file=sys.stderr)
        raise SystemExit(2) from None


def _drop_output() -> None:
    """Let what could not be written to stdout, as of a full disk, go nowhere: Python would try again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_json(text: str) -> None:
    """Print JSON that any encoding can hold, with escapes where it lacks a sign."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = re.sub(r"[^\x00-\x7f]", lambda sign: escaped(sign[0])[1:-1], text)
    print(text)


def _import(classes: list[str] | None) -> list[type]:
    """The classes of ``--classes``: of installed packages, and of modules in the current folder."""
    if not classes:
        return []
    from mmemo.encoders.registry import import_class

    sys.path.append(str(Path.cwd()))
    return [import_class(path) for path in classes]


def _stands_for_many(path: Path) -> bool:
    from mmemo.batch.sources import is_many

    return is_many(path)


@contextmanager
def _progress(what: str = "analyzing") -> Iterator[Progress | None]:
    """A progress bar on stderr, if that is a terminal; it goes away when the work is done."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda done: bar.update(task, completed=done)
