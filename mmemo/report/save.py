"""Writing a result to a file, in the format of its suffix."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mmemo.files import replacing_file
from mmemo.report.export.annotations import eaf, rttm
from mmemo.report.export.cells import write_csv
from mmemo.report.export.subtitles import srt, vtt
from mmemo.report.export.tables import columns, frame, rows
from mmemo.report.formats import VIDEOS, check_anonymize, check_suffix, inputs_of

if TYPE_CHECKING:
    from mmemo.result import EmotionResult


def save(
    result: EmotionResult, path: Path, anonymize: Literal["blur", "mask"] | None = None, *, raw_cells: bool = False
) -> Path:
    """Write ``result`` under a temporary name and rename it; see `EmotionResult.save`."""
    check_suffix(path)
    check_anonymize(anonymize)
    suffix = path.suffix.lower()
    if suffix in VIDEOS:
        from mmemo.report.video.render import save_video

        return save_video(result, path, anonymize)
    with replacing_file(path, inputs_of(result.source, result.inputs)) as partial:
        _write(result, partial, suffix, anonymize is None, raw_cells)
    return path


def _write(result: EmotionResult, path: Path, suffix: str, faces: bool, raw_cells: bool) -> None:
    if suffix in _TEXTS:
        path.write_text(_TEXTS[suffix](result), encoding="utf-8")
    elif suffix == ".csv":
        write_csv(path, columns(result), rows(result), raw_cells=raw_cells)
    elif suffix == ".parquet":
        frame(result).to_parquet(path, index=False)
    elif suffix == ".eaf":
        path.write_bytes(eaf(result, path.parent))
    elif suffix == ".html":
        from mmemo.report.html.page import page

        path.write_text(page(result, faces=faces), encoding="utf-8")
    else:
        from mmemo.report.plots.figure import write_figure
        from mmemo.report.plots.timeline import plot

        write_figure(plot(result, faces=faces), path)


def _json(result: EmotionResult) -> str:
    return result.to_json() + "\n"


def _json_lines(result: EmotionResult) -> str:
    lines = (json.dumps(row, ensure_ascii=False, allow_nan=False) for row in rows(result))
    return "".join(f"{line}\n" for line in lines)


_TEXTS: dict[str, Callable[[EmotionResult], str]] = {
    ".json": _json,
    ".jsonl": _json_lines,
    ".srt": srt,
    ".vtt": vtt,
    ".rttm": rttm,
}
