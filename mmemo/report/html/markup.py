"""What all pages are made of: self-contained HTML in which only the page's own script may run."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from mmemo.report.style.colors import colors

if TYPE_CHECKING:
    from mmemo.result import Scores

LIMITS = (
    "Scores tell the expression that shows, not what a person feels or intends.",
    "The models learned from acted speech, posed and found pictures and written English; they are uneven between "
    "people, languages and situations, and were not measured by age, skin tone, accent or disability.",
    "Not for decisions about people, and no test of honesty or health. In the EU, inferring emotions at work and in "
    "education is forbidden but for medical or safety reasons (Regulation 2024/1689, Article 5).",
)
"""What every page says of its figures."""


def document(title: str, parts: Iterable[str], script: str) -> str:
    """A whole page; ``parts`` are markup, ``title`` is text."""
    # Only this script may run, whatever a file name or a transcript holds.
    allowed = b64encode(sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{allowed}'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{asset('page.css')}</style></head>\n"
        '<body class="mmemo page">\n'
        + "\n".join(part for part in parts if part)
        + f"\n<script>{script}</script></body></html>\n"
    )


def asset(name: str, package: str = "mmemo.report.html") -> str:
    """A script or style that lies in a package."""
    return files(package).joinpath(name).read_text(encoding="utf-8").strip()


def section(title: str, body: str, aside: str = "") -> str:
    """A part of a page under a heading; nothing where there is no body."""
    small = f' <span class="dim">{escape(aside)}</span>' if aside else ""
    return f"<section><h2>{escape(title)}{small}</h2>{body}</section>" if body else ""


def bar(shares: Scores) -> str:
    """Shares that sum to 1, side by side in their colours."""
    chosen = colors(shares)
    pieces = "".join(
        f'<span style="width:{share:.2%};background:{chosen[label]}" title="{escape(label)} {share:.0%}"></span>'
        for label, share in shares.items()
    )
    return f'<div class="bar">{pieces}</div>'


def key(labels: Iterable[str]) -> str:
    """Which colour stands for which label."""
    chosen = colors(labels)
    said = "".join(f'<span><i style="background:{color}"></i>{escape(label)}</span>' for label, color in chosen.items())
    return f"<p class='key'>{said}</p>"


def listing(items: Iterable[str]) -> str:
    """A list of sentences."""
    return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>"
