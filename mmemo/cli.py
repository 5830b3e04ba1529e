"""The command line: `mmemo analyze`, `mmemo micro`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmemo.errors import ArgumentError, MmemoError

if TYPE_CHECKING:
    from mmemo.analyzer import Progress

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="What emotion a person shows, from face, voice and words together. Nothing leaves this machine.",
)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        import mmemo

        print(mmemo.__version__)
        raise typer.Exit


@app.command()
def analyze(
    path: Annotated[Path | None, typer.Argument(help="Video, audio or image file; none with --text alone.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
    out: Annotated[Path | None, typer.Option(help="Also write .json, .csv, .parquet or .html.")] = None,
    text: Annotated[str | None, typer.Option(help="The words said, if you know them.")] = None,
    subtitles: Annotated[Path | None, typer.Option(help="An .srt or .vtt file with the words.")] = None,
    modalities: Annotated[str | None, typer.Option(help="Some of face,voice,text; all by default.")] = None,
    model: Annotated[str, typer.Option(help="A model's name, or a folder that a recipe saved.")] = "default",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    window: Annotated[float, typer.Option(help="Length of a window in seconds.")] = 2.0,
    hop: Annotated[float, typer.Option(help="Seconds from one window's start to the next.")] = 1.0,
    micro: Annotated[bool, typer.Option("--micro", help="Look for micro-expressions too.")] = False,
) -> None:
    """Analyze one clip and print a table, or JSON."""
    from mmemo.analyzer import Analyzer
    from mmemo.report.files import check_suffix

    if path is None and text is None:
        raise ArgumentError("Nothing to analyze: give a media file, or --text.")
    if out is not None:
        check_suffix(out)
    chosen = None if modalities is None else [name.strip() for name in modalities.split(",") if name.strip()]
    analyzer = Analyzer(model, chosen, device, window, hop, micro=micro)
    with _progress() as progress:
        result = analyzer(path, text=text, subtitles=subtitles, progress=progress)
    if out is not None:
        result.save(out)
    if json:
        print(result.to_json())
        return
    from rich.console import Console

    from mmemo.report.tables import terminal

    Console(highlight=False).print(terminal(result))


@app.command()
def micro(
    path: Annotated[Path, typer.Argument(help="Video file; best at 100 frames a second or more.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
    start: Annotated[float, typer.Option(help="Seconds.")] = 0.0,
    end: Annotated[float | None, typer.Option(help="Seconds; the end of the file by default.")] = None,
    magnify: Annotated[float, typer.Option(help="Enlarge motion so much before its class is told.")] = 0.0,
) -> None:
    """Find micro-expressions: short, faint, isolated movements of a face."""
    from mmemo.spot import spot_micro

    result = spot_micro(path, start, end, magnification=magnify)
    if json:
        print(result.to_json())
        return
    from rich.console import Console

    from mmemo.report.micro import terminal

    Console(highlight=False).print(terminal(result))


def main() -> None:
    """Run the command line; an error of mmemo becomes one line on stderr and exit status 2."""
    try:
        app()
    except MmemoError as error:
        print(f"mmemo: {' '.join(str(error).split())}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output went away, as `| head` does


@contextmanager
def _progress() -> Iterator[Progress | None]:
    """A progress bar on stderr, if that is a terminal; it goes away when the work is done."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("analyzing"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda done: bar.update(task, completed=done)
