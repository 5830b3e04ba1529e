"""The process that analyzes uploads for the server: ``python -P -m mmemo.app.worker``.

Apart from the server, so that a hang or a crash of a decoder costs one upload, and Stop ends it wherever it is.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from mmemo.batch.process import Handler, Report, Values, serve
from mmemo.batch.settings import Settings
from mmemo.clip import Clip
from mmemo.document import from_document, to_document
from mmemo.errors import MmemoError
from mmemo.media import probe
from mmemo.personal.adaptation import Adaptation
from mmemo.personal.baseline import Baseline
from mmemo.personal.corrections import ClipFeatures
from mmemo.pipeline.analyzer import Analyzer
from mmemo.report.html.page import timeline
from mmemo.report.previews import Previews
from mmemo.result import EmotionResult

Progress = Callable[[float, str], None]
Anonymize = Literal["blur", "mask"]


def prepare(settings: Settings) -> Handler:
    """The function that analyzes an upload.

    Raises:
        MmemoError: if the model can't be loaded.
    """
    analyzer = settings.analyzer()
    analyzer.model  # noqa: B018 - read now

    def handle(request: Values, report: Report) -> Values:
        file = request["file"] and Path(request["file"])
        try:
            return _analyze(analyzer, file, request, lambda done, what: report({"done": done, "what": what}))
        except MmemoError as error:
            message = str(error).replace(str(file), file.name) if file else str(error)  # not where it was put
            return {"error": type(error).__name__, "message": message}
        finally:
            _give_back()

    return handle


def _analyze(analyzer: Analyzer, file: Path | None, request: Values, progress: Progress) -> Values:
    """The document of the result; with a folder, its files, timeline and features are made, too."""
    if request["modalities"]:
        analyzer = Analyzer(analyzer.model, request["modalities"])
    analyzer = analyzer.adjusted(request["prior"], *_personal(request["baseline"], request["adaptation"]))
    share = 0.6 if request["folder"] else 1.0
    progress(0.0, "listening for speech and words")
    result, encodings = analyzer.analyze_and_encode(
        Clip(file, text=request["text"], channel=request["channel"], **request["tracks"]),
        progress=lambda done: progress(share * (0.2 + 0.8 * done), "looking at faces, scoring"),
    )
    named = replace(result, source=file.name if file else None)
    reply: dict[str, Any] = {"result": named.to_dict()}
    if request["folder"]:
        anonymize = request["anonymize"]
        reply["features"] = {name: to_document(ClipFeatures.of(one)) for name, one in encodings.items()}
        reply["course"] = str(timeline(result, Previews(result), faces=anonymize is None))
        folder = Path(request["folder"])
        _write(result, named, file, folder, anonymize, lambda done, what: progress(share + (1 - share) * done, what))
    return reply


def _personal(baseline: Values | str | None, adaptation: Values | None) -> tuple[Any, Any]:
    """Baseline and adaptation as an `Analyzer` takes them, of their documents."""
    return (
        Baseline.from_dict(baseline) if isinstance(baseline, dict) else baseline,
        None if adaptation is None else from_document(Adaptation, adaptation),
    )


def _write(
    result: EmotionResult,
    named: EmotionResult,
    file: Path | None,
    folder: Path,
    anonymize: Anonymize | None,
    progress: Progress,
) -> None:
    """Write what can be downloaded; ``result`` names the file where it lies, ``named`` by its name alone."""
    progress(0.0, "writing the report")
    result.save(folder / "report.html", anonymize=anonymize)
    result.save(folder / "timeline.png", anonymize=anonymize)
    suffixes = [".json", ".csv"]
    if result.transcript is not None and result.duration:
        suffixes += [".srt", ".vtt"]
    for suffix in suffixes:
        named.save(folder / f"result{suffix}")
    if file is not None and probe(file).kind == "video":
        result.save_video(
            folder / "annotated.mp4",
            anonymize=anonymize,
            progress=lambda done: progress(0.1 + 0.9 * done, "writing the annotated video"),
        )
    progress(1.0, "done")


def _give_back() -> None:
    """Hand freed memory back to the system, which glibc does by itself only where nothing lies above it."""
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL("libc.so.6").malloc_trim(0)


if __name__ == "__main__":
    serve(prepare)
