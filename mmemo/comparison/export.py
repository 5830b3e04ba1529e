"""Export of a comparison to files; the suffix chooses the format."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from mmemo.comparison.result import Comparison, rows
from mmemo.comparison.wording import format_p, format_signed
from mmemo.errors import ArgumentError, expected_one_of, require_extra
from mmemo.evaluation.bootstrap import Interval
from mmemo.files import FIGURES, check_file, check_folder, replacing, replacing_file
from mmemo.report.export.cells import write_csv

if TYPE_CHECKING:
    import pandas

PICTURES = (".png", ".svg", ".pdf")
SUFFIXES = (".json", ".csv", ".md", ".tex", ".html", *PICTURES)
_LATEX = str.maketrans({"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}"})


def check_suffix(path: Path) -> None:
    """Refuse a file name that names no format, before any work is done; a folder has no suffix.

    Raises:
        ArgumentError: if the suffix is not one of `SUFFIXES`.
        MissingExtraError: if the format needs packages that are not installed.
    """
    suffix = path.suffix.lower()
    if suffix and suffix not in SUFFIXES:
        raise ArgumentError(expected_one_of(f"Suffix of {path.name}, of a comparison", SUFFIXES, suffix))
    if not suffix or suffix in (".html", *PICTURES):
        require_extra(f"Writing {path.name}", "report", "matplotlib")


def check_output(path: Path, inputs: Iterable[str | Path | None] = ()) -> None:
    """Refuse a file or folder that a comparison may not be written to, before any work is done.

    Args:
        inputs: what is compared; see `mmemo.files.check_file` and `mmemo.files.check_folder`.

    Raises:
        ArgumentError: see `check_suffix`, and those.
        MissingExtraError: if the format needs packages that are not installed.
    """
    check_suffix(path)
    if path.suffix:
        check_file(path, inputs)
    else:
        check_folder(path, inputs, FIGURES)


def save(comparison: Comparison, path: Path) -> Path:
    """Write a comparison under a temporary name and rename it; see `Comparison.save`."""
    check_suffix(path)
    suffix = path.suffix.lower()
    if not suffix:
        _save_figures(comparison, path)
        return path
    with replacing_file(path, comparison.inputs) as partial:
        if suffix == ".json":
            partial.write_text(comparison.to_json() + "\n", encoding="utf-8")
        elif suffix == ".csv":
            table = rows(comparison)
            columns = dict.fromkeys(name for row in table for name in row)
            write_csv(partial, list(columns), table, raw_cells=False)
        elif suffix == ".md":
            partial.write_text(markdown(comparison), encoding="utf-8")
        elif suffix == ".tex":
            partial.write_text(latex(comparison), encoding="utf-8")
        elif suffix == ".html":
            from mmemo.comparison.html import page

            partial.write_text(page(comparison), encoding="utf-8")
        else:
            from mmemo.report.plots.figure import write_figure

            write_figure(comparison.figures()["systems"], partial, bbox_inches="tight")
    return path


def frame(comparison: Comparison) -> pandas.DataFrame:
    """The rows as a pandas table; see `Comparison.to_frame`."""
    require_extra("A data frame", "export", "pandas")
    import pandas

    return pandas.DataFrame(rows(comparison))


def markdown(comparison: Comparison) -> str:
    """A Markdown table with a row per system."""
    best = comparison.best_unimodal
    head = ["system", "accuracy", "UAR", "weighted F1", "macro F1", "ECE", "NLL", "Brier"]
    head += [f"accuracy gained over {best}", "p"] if best and comparison.fused else []
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for system in comparison.systems:
        cells = [system.name, str(system.accuracy), str(system.uar), str(system.weighted_f1), str(system.macro_f1)]
        cells += [f"{system.ece.value:.3f}", f"{system.nll.value:.3f}", f"{system.brier.value:.3f}"]
        if len(head) > len(cells):
            pair = comparison.gain(system.name)
            cells += ["-", "-"] if pair is None else [format_signed(pair.gain), format_p(pair.bootstrap_corrected)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def latex(comparison: Comparison) -> str:
    """A LaTeX table; needs the package booktabs."""
    best = comparison.best_unimodal
    over = f"{comparison.speakers} speakers" if comparison.speakers else "clips"
    lines = [
        f"% {comparison.clips} clips; 95% intervals and paired bootstrap over {over}, {comparison.draws} resamples,",
        f"% p after Holm over {len(comparison.pairs)} pairs",
        r"\begin{tabular}{lrrrrrr}",
        r"\toprule",
        rf"System & Accuracy & UAR & Macro F1 & ECE & Gain over {_escaped(best or '-')} & $p$ \\",
        r"\midrule",
    ]
    for system in comparison.systems:
        pair = comparison.gain(system.name)
        cells = [
            _escaped(system.name),
            _limits(system.accuracy),
            _limits(system.uar),
            _limits(system.macro_f1),
            f"{system.ece.value:.3f}",
            "--" if pair is None else _limits(pair.gain, "+"),
            "--" if pair is None else format_p(pair.bootstrap_corrected).replace("<", "$<$"),
        ]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _limits(interval: Interval, sign: str = "") -> str:
    return f"{interval.value:{sign}.3f} [{interval.low:{sign}.3f}, {interval.high:{sign}.3f}]"


def _escaped(text: str) -> str:
    return text.translate(_LATEX)


def _save_figures(comparison: Comparison, folder: Path) -> None:
    from mmemo.report.plots.figure import write_figure

    with replacing(folder, comparison.inputs, FIGURES) as partial:
        for name, figure in comparison.figures().items():
            for suffix in ("png", "pdf"):
                write_figure(figure, partial / f"{name}.{suffix}", bbox_inches="tight", dpi=150)
