"""The app's page: upload, result, comparison of modalities, live camera, and help for programs."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import gradio as gr

from mmemo.app import html
from mmemo.app.analysis import SUFFIXES, Analyst, StoppedError
from mmemo.app.examples import NAMES, WORDS, write_example
from mmemo.app.middleware import session_of
from mmemo.app.sessions import Features, StoredResult, Visitor
from mmemo.app.uploads import Uploads
from mmemo.app.worker import Anonymize
from mmemo.errors import MmemoError
from mmemo.personal.adaptation import NOT
from mmemo.personal.corrections import FEWEST
from mmemo.report.style.wording import name_of

log = logging.getLogger(__name__)

CSS = files("mmemo.app").joinpath("ui.css").read_text(encoding="utf-8")
_SWEEP = 600
"""Seconds between looks at uploads that were never analyzed, which go when they are an hour old."""
_WAITING = 16
"""Analyses that run or wait at once, each in a thread of Gradio's 40; more wait for one of these."""
_NO_CORRECTIONS = (
    '<p class="hint">Nothing is remembered. Start the app with <code>mmemo app --corrections FOLDER</code>, and it '
    "learns from what you say of its results.</p>"
)
_HIDING: dict[str, Anonymize | None] = {"shown": None, "blurred": "blur", "masked": "mask"}


def theme() -> gr.themes.Base:
    """Fonts of the system: none is fetched."""
    return gr.themes.Default(
        primary_hue="teal",
        neutral_hue="slate",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )


def blocks(analyst: Analyst, uploads: Uploads, address: str, *, token: bool) -> gr.Blocks:
    """The page as Gradio blocks. What it keeps is kept by the visitor's session, and goes when the page is closed.

    Args:
        uploads: the files that visitors may have analyzed.
        address: of the server, for the examples of requests.
        token: whether requests need one.
    """
    page: gr.Blocks
    with gr.Blocks(title="mmemo", analytics_enabled=False, delete_cache=(_SWEEP, 3600), fill_width=False) as page:
        gr.HTML(
            '<div class="masthead"><h1>mmemo</h1><p>What emotion a person shows, from face, voice and words together. '
            "Nothing leaves this machine.</p></div>"
        )
        with gr.Tab("Analyze"):
            listen = _analyze_tab(analyst, uploads)
        with gr.Tab("Compare modalities"):
            choice, comparison = _compare_tab(analyst)
        with gr.Tab("Live"):
            gr.HTML('<iframe class="live" src="/live" allow="camera; microphone" title="Live view"></iframe>')
        with gr.Tab("For programs"):
            gr.HTML(_programs(analyst, address, token))

        listen(choice, comparison)

        def leave(request: gr.Request) -> None:
            analyst.stop(_visitor(request))
            analyst.results.drop(_visitor(request))

        page.unload(leave)
    page.has_launched = True  # a page that is mounted is never launched, and Gradio would check no path
    return page


Shown = tuple[object, ...]
"""HTML of the result, the modalities to choose from, HTML of their comparison, and updates of the correction form."""
_MOST_CLIPS = 200
"""Clips of a person's baseline; the latest count."""


def _analyze_tab(analyst: Analyst, uploads: Uploads) -> Callable[[gr.CheckboxGroup, gr.HTML], None]:
    """The tab; returns a function that connects it to the comparison, once that is there."""
    megabytes = analyst.most_bytes / 1e6
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            with gr.Tab("File"):
                file = gr.File(
                    label=f"Video, sound or picture, up to {megabytes:.0f} MB",
                    file_types=list(SUFFIXES),
                    elem_id="file",
                    height=170,
                )
            with gr.Tab("Camera"):
                camera = gr.Video(
                    sources=["webcam"],
                    include_audio=True,
                    label="Record yourself, with sound",
                    webcam_options=gr.WebcamOptions(mirror=False),
                    height=280,
                )
            with gr.Tab("Microphone"):
                microphone = gr.Audio(sources=["microphone"], type="filepath", label="Record your voice")
            words = gr.Textbox(
                label="Words", placeholder="The spoken words, if you know them. Words alone are analyzed, too.", lines=2
            )
            faces = gr.Radio(list(_HIDING), value="shown", label="Faces in what you download")
            with gr.Accordion("The person", open=False):
                one_person = gr.Checkbox(
                    label="All clips on this page so far show one person: use them as a baseline",
                    info="Each further clip is scored relative to those before it, as far as they show several moods. "
                    "Untick it before the next person comes: then they are forgotten.",
                    elem_id="one-person",
                )
            with gr.Row():
                start = gr.Button("Analyze", variant="primary", elem_id="start", scale=2)
                stop = gr.Button("Stop", elem_id="stop", scale=1)
                clear = gr.ClearButton([file, camera, microphone, words], elem_id="clear", scale=1)
            gr.HTML('<p class="hint">Or try an example:</p>')
            with gr.Row():
                tries = {name: gr.Button(title, size="sm", min_width=80) for name, title in NAMES.items()}
        with gr.Column(scale=4, min_width=320):
            result = gr.HTML(html.placeholder(), elem_id="result", min_height=180)
            form = _CorrectionForm(analyst)
    clips: gr.State = gr.State([])  # features of each clip, in the order of their analysis

    def shown(request: gr.Request, panel: str) -> Shown:
        stored = analyst.results.of(_visitor(request))
        names = list(stored.result.modalities) if stored else []
        choices = [(name_of(name), name) for name in names]
        choice = gr.CheckboxGroup(choices=choices, value=names, visible=bool(names))
        return panel, choice, _compared(analyst, request, names), *form.updates(stored)

    def run(
        request: gr.Request,
        past: list[Features],
        same: bool,
        given: str | None,
        filmed: str | None,
        spoken: str | None,
        text: str,
        hidden: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio hands one in
    ) -> tuple[object, ...]:
        path, visitor = next((one for one in (given, filmed, spoken) if one), None), _visitor(request)
        try:
            file = uploads.own(visitor.session, path) if path else None
        except MmemoError as error:
            return past, *shown(request, html.failure(str(error)))
        panel = _analyze(analyst, visitor, file, text, hidden, progress, past if same else ())
        stored = analyst.results.of(visitor)
        return [*past, *([stored.features] if stored else [])][-_MOST_CLIPS:], *shown(request, panel)

    def run_example(
        request: gr.Request,
        name: str,
        hidden: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Shown:
        with tempfile.TemporaryDirectory(dir=analyst.results.root) as folder:
            path = write_example(name, Path(folder))
            text = WORDS if path is None else ""
            return shown(request, _analyze(analyst, _visitor(request), path, text, hidden, progress))

    def end(request: gr.Request) -> None:
        analyst.stop(_visitor(request))

    def clear_result(request: gr.Request) -> Shown:
        analyst.results.drop(_visitor(request))
        return shown(request, html.placeholder())

    def listen(choice: gr.CheckboxGroup, comparison: gr.HTML) -> None:
        # The analyst has a queue of its own, from which Stop can take an analysis that waits. All that changes comes in
        # one response: Gradio loses a click that meets the end of the responses to the one before.
        outputs: list[Any] = [result, choice, comparison, *form.outputs]
        queue: dict[str, Any] = {"concurrency_limit": _WAITING, "concurrency_id": "analysis"}
        queue |= {"api_visibility": "private"}
        inputs = [clips, one_person, file, camera, microphone, words, faces]
        start.click(run, inputs, [clips, *outputs], show_progress_on=result, **queue)
        one_person.input(_kept, [one_person, clips], clips, show_progress="hidden", api_visibility="private")
        for name, button in tries.items():
            button.click(run_example, [gr.State(name), faces], outputs, show_progress_on=result, **queue)
        stop.click(end, None, None, api_visibility="private", show_progress="hidden")
        clear.click(clear_result, None, outputs, show_progress="hidden", api_visibility="private")
        # A recording reaches the server a moment after its end; an analysis started before then would have no file.
        for recorder in (camera, microphone):
            recorder.start_recording(lambda: gr.Button(interactive=False), None, start, api_visibility="private")
            recorder.stop_recording(lambda: gr.Button(interactive=True), None, start, api_visibility="private")

    return listen


def _compare_tab(analyst: Analyst) -> tuple[gr.CheckboxGroup, gr.HTML]:
    choice = gr.CheckboxGroup([], label="Look at", elem_id="choice", visible=False)
    comparison = gr.HTML(html.modalities_panel(None, analyst.model, ()), elem_id="comparison")

    def compare(request: gr.Request, chosen: Sequence[str]) -> str:
        return _compared(analyst, request, chosen)

    choice.input(compare, choice, comparison, api_visibility="private", show_progress="hidden")
    return choice, comparison


def _compared(analyst: Analyst, request: gr.Request, chosen: Sequence[str]) -> str:
    """HTML of the fused scores of the chosen modalities, or of the error."""
    try:
        return html.modalities_panel(analyst.results.of(_visitor(request)), analyst.model, chosen)
    except MmemoError as error:
        return html.failure(str(error))


class _CorrectionForm:
    """Below a result: what the clip shows in truth, to be remembered; and what is remembered, to be forgotten.

    Attributes:
        outputs: components that `updates` changes.
    """

    def __init__(self, analyst: Analyst) -> None:
        self._analyst = analyst
        self.outputs: list[Any] = []
        corrections = analyst.personal.corrections
        with gr.Accordion("Was this right?", open=False, elem_id="correction"):
            if corrections is None:
                gr.HTML(_NO_CORRECTIONS)
                return
            self._corrections = corrections
            with gr.Row(equal_height=True):
                label = gr.Dropdown([], label="It shows", interactive=False, elem_id="label", scale=3)
                remember = gr.Button("Remember", interactive=False, elem_id="remember", scale=1)
            with gr.Accordion("What is remembered", open=False):
                memory = gr.HTML(self._memory, elem_id="memory")
                forget = gr.Button("Forget all", size="sm", elem_id="forget")
        self.outputs = [label, remember, memory]
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        label.input(lambda: gr.Button(interactive=True), None, remember, **quiet)
        remember.click(self._remember, label, self.outputs, **quiet)
        forget.click(self._forget, None, memory, **quiet)

    def updates(self, stored: StoredResult | None) -> tuple[object, ...]:
        """Of the form, for this result or none."""
        if not self.outputs:
            return ()
        labels = [*self._analyst.model.labels, *([f"{NOT}{stored.result.label}"] if stored else [])]
        return gr.Dropdown(labels, value=None, interactive=stored is not None), _inactive(), self._memory()

    def _remember(self, request: gr.Request, label: str | None) -> tuple[object, ...]:
        stored = self._analyst.results.of(_visitor(request))
        if stored is None or label is None:
            return gr.Dropdown(), _inactive(), html.failure("This result is not kept any more. Analyze the clip again.")
        try:
            self._corrections.add(label, stored.result.label, stored.features, self._analyst.model)
        except MmemoError as error:
            return gr.Dropdown(), gr.Button(), html.failure(str(error))
        return gr.Dropdown(interactive=False), _inactive(), self._memory()

    def _forget(self) -> str:
        try:
            self._corrections.clear()
        except MmemoError as error:
            return html.failure(str(error))
        return self._memory()

    def _memory(self) -> str:
        try:
            count = len(self._corrections.entries())
        except MmemoError as error:
            return html.failure(str(error))
        return html.memory(count, FEWEST)


def _inactive() -> gr.Button:
    return gr.Button(interactive=False)


def _kept(same: bool, past: list[Features]) -> list[Features]:
    """The clips so far, unless they are no longer to be those of one person."""
    return past if same else []


def _analyze(
    analyst: Analyst,
    visitor: Visitor,
    path: Path | None,
    text: str,
    hidden: str,
    progress: gr.Progress,
    earlier: Sequence[Features] = (),
) -> str:
    """HTML of the result, or of the error."""
    hide = _HIDING.get(hidden)
    try:
        stored = analyst.find(visitor, path, text, hide, lambda done, what: progress(done, desc=what), earlier)
    except MmemoError as error:
        analyst.results.drop(visitor)
        return html.failure(str(error))
    except StoppedError:
        analyst.results.drop(visitor)
        return html.failure("Stopped.")
    except Exception:
        log.exception("an analysis failed")
        analyst.results.drop(visitor)
        return html.failure("This is a fault of mmemo. The window in which the app was started says what happened.")
    return html.result_panel(stored)


def _visitor(request: gr.Request) -> Visitor:
    assert request.request is not None  # Gradio leaves it out only where a function is called by hand
    return Visitor(session_of(request.request), str(request.session_hash))


def _programs(analyst: Analyst, address: str, token: bool) -> str:
    curl = 'curl -H "Authorization: Bearer $TOKEN"' if token else "curl"
    how = "<p><code>TOKEN</code> is what follows <code>?token=</code> in the link that was printed at the start.</p>"
    kinds = ", ".join(suffix.removeprefix(".") for suffix in SUFFIXES)
    return f"""<div class="programs finding"><h3>The same analysis over HTTP</h3>
<p>Send a file to <code>/api/analyze</code>; the response is the JSON that <code>mmemo analyze --json</code> prints.
The description for programs (OpenAPI) is at <a href="/openapi.json" target="_blank">/openapi.json</a>.</p>
<pre>{curl} -F file=@clip.mp4 {address}/api/analyze
{curl} -F file=@clip.mp4 -F text="What a lovely day." -F modalities=face,text {address}/api/analyze
{curl} -F text="What a lovely day." {address}/api/analyze</pre>
{how if token else ""}
<p>Up to {analyst.most_bytes / 1e6:.0f} MB; {kinds}. A refusal has the status 401, 413 or 422 and says why:</p>
<pre>{{"error": "MediaError", "message": "clip.mp4 can't be read as video, audio or image …"}}</pre>
<p class="small">Uploads are removed as soon as they are analyzed.</p></div>"""
