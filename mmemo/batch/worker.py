"""The process that analyzes clips for another one: ``python -P -m mmemo.batch.worker``. A key and a row for each."""

from __future__ import annotations

import logging
from contextlib import suppress

from mmemo.batch.plan import unpack
from mmemo.batch.process import Handler, Report, Values, serve
from mmemo.batch.row import Row
from mmemo.batch.settings import Settings
from mmemo.clip import Clip
from mmemo.errors import MmemoError
from mmemo.pipeline.analyzer import Analyzer

log = logging.getLogger(__name__)


def prepare(settings: Settings) -> Handler:
    """The function that analyzes a clip.

    Raises:
        MmemoError: if the model can't be loaded, which is no clip's fault.
    """
    analyzer = settings.analyzer()
    analyzer.model  # noqa: B018 - read now

    def handle(request: Values, _: Report) -> Values:
        key, row = analyze(analyzer, settings, unpack(request))
        return {"key": key, "row": row.to_json()}

    return handle


def analyze(analyzer: Analyzer, settings: Settings, clip: Clip) -> tuple[str, Row]:
    """A clip's key and row; an error is kept in the row."""
    key = ""
    with suppress(OSError):  # of a file that can't be read the analysis says more
        key = settings.key(clip)  # before the analysis: if the file changes meanwhile, the row is out of date
    try:
        return key, Row.of(analyzer(clip))
    except MmemoError as error:
        return key, Row.failed(error)
    except Exception as error:  # whatever a decoder or a model comes up with
        log.exception("clip %s", clip.path or clip.id)
        return key, Row.failed(error)


if __name__ == "__main__":
    serve(prepare)
