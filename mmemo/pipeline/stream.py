"""`stream`: a live person followed by face, voice and words, with an update for every picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from mmemo.errors import ArgumentError, MediaError
from mmemo.media import MAX_SIDE as MAX_SIDE_OF_FILES
from mmemo.media import probe
from mmemo.media.live import (
    LiveSource,
    is_live,
    open_device,
    open_stream,
    pieces_of,
    playback,
)
from mmemo.media.live_writing import LiveWriter
from mmemo.pipeline.analyzer import Analyzer
from mmemo.pipeline.extract import MAX_RATE
from mmemo.pipeline.live_session import LiveSession, needs


def stream(
    source: str | Path | None = None,
    *,
    camera: int | str | Path | None = None,
    microphone: bool | str | Path | None = None,
    analyzer: Analyzer | None = None,
    keep: bool = False,
    record: str | Path | None = None,
    realtime: bool | None = None,
) -> LiveSession:
    """Follow a live person: an update of the scores for every picture, with face, voice and words together.

    The face is scored with every picture, 15 a second at most, the voice twice a second, and words, where the extra
    ``asr`` is installed, at each pause. What comes faster than this machine can follow is dropped, and counted.

    Args:
        source: a file, which is read as quickly as its updates are taken, and nothing of it is dropped; the address of
            a stream (``rtsp://…``), a named pipe, or "-" for the standard input.
        camera: its number, 0 for the first, or its name; or a video file that stands in for it, at its own speed.
        microphone: True for the first, or its name; or a file with sound that stands in for it.
            Without any of the three, give what comes to `push_frame` and `push_sound`.
        analyzer: with the model, modalities, prior, baseline and the like; `Analyzer()` by default.
        keep: keep the scores of all windows, for `result`.
        record: write the pictures and sound that are scored to a file, ``.mkv`` or ``.mp4``.
        realtime: False for pushed pictures and sound of which nothing is to be dropped: each push does its work at
            once. True for a file at its own speed.

    Returns:
        A session, to iterate over, with ``for`` or ``async for``; leaving the loop ends it.

    Raises:
        MediaError: if the file, stream or device can't be opened.
        ArgumentError: for a source beside a camera or a microphone, an analyzer that looks for what is not live, or a
            recording that can't be written.

    >>> import mmemo
    >>> analyzer = mmemo.Analyzer(modalities=("face",))
    >>> with mmemo.stream("clip.mp4", analyzer=analyzer) as session:
    ...     labels = {update.label for update in session}
    >>> labels
    {'happiness'}
    """
    analyzer = analyzer or Analyzer()
    if analyzer._micro or analyzer._prosody:
        raise ArgumentError("Micro-expressions and prosody are not live: analyze a recording for them.")
    devices = camera is not None or microphone not in (None, False)
    if source is not None and devices:
        raise ArgumentError("Give a source, or a camera and a microphone, not both.")
    if realtime is False and (devices or (source is not None and is_live(source))):
        raise ArgumentError("What comes live can't wait: realtime=False is for a file, or what you push.")
    inputs = tuple(one for one in (source, camera, microphone) if isinstance(one, str | Path))
    writer = None if record is None else LiveWriter(record, inputs)
    if source is not None and not is_live(source):
        return _of_file(Path(source).expanduser(), analyzer, writer, keep=keep, realtime=bool(realtime))
    analyzer.model  # noqa: B018 - loaded before a device is opened, which does not wait
    sources: list[LiveSource] = []
    try:
        if source is not None:
            sources.append(open_stream(source, max_rate=MAX_RATE))
        if camera is not None:
            sources.append(_device("camera", camera))
        if microphone not in (None, False):
            sources.append(_device("microphone", microphone))
    except BaseException:
        for opened in sources:
            opened.close()
        raise
    name = ", ".join(one.name for one in sources)
    return LiveSession(
        analyzer,
        tuple(sources),
        realtime=realtime is not False,
        keep=keep,
        name=f"<{name}>" if name else None,
        record=writer,
    )


def _of_file(path: Path, analyzer: Analyzer, writer: LiveWriter | None, *, keep: bool, realtime: bool) -> LiveSession:
    sees, hears, _ = needs(analyzer.modalities)
    info = probe(path)
    how: dict[str, Any] = {"keep": keep, "start": 0.0, "end": info.duration, "name": str(path), "record": writer}
    if realtime:
        return LiveSession(analyzer, (playback(path, sees=sees, hears=hears, max_rate=MAX_RATE),), **how)
    pieces = pieces_of(path, sees=sees, hears=hears, max_rate=MAX_RATE, max_side=MAX_SIDE_OF_FILES)
    return LiveSession(analyzer, (), pieces, realtime=False, **how)


def _device(kind: Literal["camera", "microphone"], given: int | str | bool | Path) -> LiveSource:
    """A device, or the file that stands in for it."""
    path = Path(given).expanduser() if isinstance(given, str | Path) else None
    if path is not None and path.is_file():
        return playback(path, sees=kind == "camera", hears=kind == "microphone", max_rate=MAX_RATE)
    if isinstance(given, Path):
        raise MediaError(f"{given} does not exist: expected a device, or a file that stands in for it.")
    return open_device(kind, given, max_rate=MAX_RATE)
