"""Report of a comparison: it has every part, needs nothing from elsewhere, and text of a user stays text."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from mmemo.comparison.html import page
from mmemo.comparison.result import Comparison

pytestmark = pytest.mark.slow

Check = Callable[[Callable[[str], str]], None]


@pytest.fixture(scope="module")
def html(comparison: Comparison) -> str:
    return page(comparison)


def test_it_has_every_part(html: str, comparison: Comparison) -> None:
    for heading in ("Systems", "Is the gain real?", "Where a modality is lost", "Recall by class", "By gender"):
        assert f"<h2>{heading}" in html
    assert "<h2>Under noise" not in html  # nothing was measured under it
    assert html.count(f"{comparison['late'].accuracy.value:.3f}") >= 2
    assert "made up" in html
    assert html.count('<tr class="best"><td>late</td>') == 1
    assert "&lt;.001" in html


def test_it_needs_nothing_from_elsewhere(html: str) -> None:
    assert not re.search(r"""(src|href)=["']https?:""", html)
    assert html.count("<img") == html.count("data:image/svg+xml") == 8


def test_many_pairs_are_folded(html: str, comparison: Comparison) -> None:
    assert "<details>" not in html
    assert "All 12 pairs" in page(replace(comparison, pairs=comparison.pairs * 4))


@pytest.mark.filterwarnings("ignore:constrained_layout")  # the names leave no room for axes
def test_text_of_a_user_stays_text(comparison: Comparison, check_escaping: Check) -> None:
    """The title, the names of systems, labels, columns and dimensions, and the notes."""
    check_escaping(lambda text: page(named(comparison, text)))


def named(comparison: Comparison, text: str) -> Comparison:
    def rename(name: str) -> str:
        return text if name == "late" else name

    systems = tuple(
        replace(
            system,
            name=rename(system.name),
            recalls={text if label == "a" else label: one for label, one in system.recalls.items()},
            groups=tuple(replace(group, column=text, value=text) for group in system.groups[:1]),
            concordance={text: system.accuracy},
        )
        for system in comparison.systems
    )
    pairs = tuple(replace(pair, first=rename(pair.first), second=rename(pair.second)) for pair in comparison.pairs)
    curves = tuple(replace(curve, system=rename(curve.system)) for curve in comparison.curves)
    return replace(
        comparison,
        title=text,
        labels=(text, *comparison.labels[1:]),
        systems=systems,
        pairs=pairs,
        curves=curves,
        notes=(text,),
    )
