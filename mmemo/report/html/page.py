"""The report of one clip: a self-contained HTML page without network, with a timeline to point at; prints well."""

from __future__ import annotations

import json
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from mmemo.report.cards import cards
from mmemo.report.html.markup import LIMITS, asset, bar, document, key, listing, section
from mmemo.report.html.svg import LEFT, MOST_POINTS, WIDTH, bands, data_url, drawing
from mmemo.report.micro import html_table
from mmemo.report.previews import Footage
from mmemo.report.style.colors import FAINT, colors
from mmemo.report.style.wording import name_of, origin_of, spoken
from mmemo.report.summary import summary
from mmemo.report.timeline import runs, scores_between, thinned

if TYPE_CHECKING:
    from mmemo.result import EmotionResult, Scores

_THUMBNAILS, _BINS = 12, 880
_MOST_PEOPLE = 12


def page(result: EmotionResult, *, faces: bool = True) -> str:
    """The report as HTML text.

    Args:
        faces: False leaves pictures of people out.
    """
    footage = Footage(result)
    course = timeline(result, footage, faces=faces)
    parts = [
        _head(result),
        section("In words", "".join(f"<p>{escape(sentence)}</p>" for sentence in summary(result))),
        _timeline(result, course),
        section("Micro-expressions", html_table(result.micro_expressions or ())),
        section("By modality", _modalities(result)),
        _people(result, footage if faces else None),
        _transcript(result),
        _notes(result, footage.absence),
        _cards(result),
    ]
    name = Path(result.source).name if result.source else "Text"
    return document(f"{name}: {result.label}", parts, asset("page.js"))


def fragment(result: EmotionResult, course: str | None = None) -> str:
    """The verdict, the timeline and the table by modality, for a notebook: no script, and no file is opened.

    Args:
        course: what `timeline` made while the result's file was there; without it the timeline has no faces and sound.
    """
    style = f"<style>{asset('page.css')}</style>"
    course = drawing(result) if course is None else course
    return f'<div class="mmemo">{style}{_head(result)}{course}{_modalities(result)}</div>'


def timeline(result: EmotionResult, footage: Footage, *, faces: bool = True) -> str:
    """The timeline as an ``<svg>`` element, with small faces and the sound; empty without a course over time."""
    times = [result.start + result.duration * (place + 0.5) / _THUMBNAILS for place in range(_THUMBNAILS)]
    thumbnails = footage.thumbnails(times, 136) if faces and result.duration else ()
    return drawing(result, thumbnails, footage.envelope(_BINS))


def _head(result: EmotionResult) -> str:
    chosen = colors(result.scores)
    name = escape(Path(result.source).name if result.source else "Text")
    return (
        f'<header><h1>{name}</h1><p class="verdict"><i style="background:{chosen[result.label]}"></i>'
        f'{escape(result.label)} <span class="dim">{result.scores[result.label]:.0%} of the fused score</span></p>'
        f"{bar(result.scores)}{key(result.scores)}</header>"
    )


def _timeline(result: EmotionResult, course: str) -> str:
    if not course:
        return ""
    data = {
        "left": LEFT,
        "width": WIDTH,
        "start": result.start,
        "duration": result.duration,
        "labels": list(result.scores),
        "colors": list(colors(result.scores).values()),
        "bands": [
            {
                "name": heading,
                "runs": [
                    {"times": run.times.round(2).tolist(), "shares": run.shares.round(3).tolist()}
                    for run in thinned(runs(segments, band), MOST_POINTS)
                ],
            }
            for _, heading, _, _, segments, band in bands(result)
        ],
    }
    # A script's text ends at the first "</": none may be in it.
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")
    return section(
        "Over time",
        f'{course}<p class="dim hint">Point at the timeline to read the scores of a moment; click to keep it.</p>'
        f'<div class="readout" aria-live="polite"></div><script type="application/json" id="course">{text}</script>',
        "hatched where evidence is missing",
    )


def _modalities(result: EmotionResult) -> str:
    rows = [_row("Fused", result.label, result.scores, "", "")]
    for name, said in result.modalities.items():
        weight = "" if said.weight is None else f"{said.weight:.0%}"
        rows.append(_row(name_of(name), said.label, said.scores, f"{said.coverage:.0%}", weight))
    head = "<tr><th></th><th>label</th><th>scores</th><th>coverage</th><th>weight</th></tr>"
    return f"<table>{head}{''.join(rows)}</table>{_affect(result)}"


def _affect(result: EmotionResult) -> str:
    if result.affect is None:
        return ""
    told = ", ".join(f"{name} {value:+.2f}" for name, value in asdict(result.affect).items())
    return f'<p class="dim">The words: {told} (each from -1 to 1).</p>'


def _row(name: str, label: str, scores: Scores, coverage: str, weight: str) -> str:
    return (
        f"<tr><td>{escape(name)}</td><td>{escape(label)} {scores[label]:.0%}</td><td>{bar(scores)}</td>"
        f"<td>{coverage}</td><td>{weight}</td></tr>"
    )


def _people(result: EmotionResult, footage: Footage | None) -> str:
    most = sorted(sorted(result.people, key=lambda person: -person.coverage)[:_MOST_PEOPLE], key=lambda p: p.id)
    portraits = footage.portraits(most, 160) if footage is not None else {}
    chosen = colors(result.scores)
    shown = []
    for person in most:
        portrait = portraits.get(person.id)
        image = (
            f'<img src="{data_url(portrait.image)}" width="96" height="96" alt="Person {person.id}" '
            f'style="border-color:{chosen[person.label]}">'
            if portrait
            else ""
        )
        when = (
            f"{person.start:.1f} to {person.end:.1f} s, seen {person.coverage:.0%} of the time"
            if result.duration
            else ""
        )
        when = "; ".join(part for part in (when, spoken(person)) if part)
        shown.append(
            f'<div class="person">{image}<div><strong>Person {person.id}</strong> {escape(person.label)} '
            f'{person.scores[person.label]:.0%}{bar(person.scores)}<span class="dim">{when}</span></div></div>'
        )
    aside = "voice and words count for who speaks, the face for all"
    if len(result.people) > len(most):
        aside += f"; the {len(most)} of {len(result.people)} that are seen longest"
    return section("People", f'<div class="people">{"".join(shown)}</div>' if shown else "", aside)


def _transcript(result: EmotionResult) -> str:
    transcript = result.transcript
    if transcript is None or not transcript.lines:
        return ""
    chosen = colors(result.scores)
    lines = []
    for line in transcript.lines:
        scores = scores_between(result, line.start, line.end) or (result.scores if not result.duration else None)
        label = max(scores, key=lambda label: scores[label]) if scores else ""
        color = chosen.get(label, FAINT)
        share = f"{escape(label)} {scores[label]:.0%}" if scores else "nothing scored"
        time = f'<button data-time="{line.start:.3f}">{_clock(line.start)}</button>' if result.duration else ""
        lines.append(
            f'<p class="line" style="border-color:{color};background:{color}2e">{time}<span>{escape(line.text)}</span>'
            f'<span class="dim">{share}</span></p>'
        )
    coloured = "coloured by the fused label of their time" if result.duration else "coloured by the fused label"
    return section("Words", "".join(lines), f"{origin_of(transcript)}; {coloured}")


def _notes(result: EmotionResult, absence: str) -> str:
    notes = [note.message for note in result.notes] + [absence] * bool(absence)
    found = f"<h3>Notes on this clip</h3>{listing(notes)}" if notes else ""
    return section("Notes and limits", f"{found}<h3>Limits</h3>{listing(LIMITS)}")


def _cards(result: EmotionResult) -> str:
    rows = []
    for card in cards(result):
        corpora = "<br>".join(
            f'{escape(name)} <span class="dim">{escape(terms)}</span>' for name, terms in card.corpora
        )
        scores = "<br>".join(f"{escape(name)}: {escape(figure)}" for name, figure in card.scores)
        rows.append(f"<tr><td>{escape(card.part)}</td><td>{corpora}</td><td>{scores}</td></tr>")
    head = "<tr><th></th><th>corpora and their terms</th><th>mean recall of the classes, 95% interval</th></tr>"
    body = f'<table class="cards">{head}{"".join(rows)}</table>' if rows else ""
    about = f'<p class="dim">Model: {escape(result.model)}. The full cards are in mmemo\'s documentation.</p>'
    return section("Models", body + about)


def _clock(time: float) -> str:
    return f"{int(time) // 60}:{time % 60:04.1f}"
