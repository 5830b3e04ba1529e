"""Short cards of the models behind a result, from the settings saved beside their weights."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmemo.report.style.wording import name_of

if TYPE_CHECKING:
    from mmemo.result import EmotionResult

_WEIGHTS = Path(__file__).parent.parent / "weights"
_ASIDE = ("with_", "prepared", "end_to_end", "windows", "tfidf")
"""Parts of the names of scores that repeat others in another way."""
_MOST = 8


@dataclass(frozen=True)
class Card:
    """What a reader should know of one part of a model.

    Attributes:
        corpora: name and terms of each corpus.
        scores: what was measured, and the unweighted average recall (UAR) with its 95% interval.
    """

    part: str
    corpora: tuple[tuple[str, str], ...]
    scores: tuple[tuple[str, str], ...]


def cards(result: EmotionResult) -> list[Card]:
    """A card for each modality that was scored, and one for the fusion; empty for a model that left no settings."""
    folder = _WEIGHTS if result.model == "default" else Path(result.model)
    found = []
    for part in (*result.modalities, "fusion"):
        try:
            settings = json.loads((folder / part / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        corpora = settings.get("corpora", {})
        recipe = settings.get("recipe")
        scores = settings.get("scores") or (recipe.get("scores") if isinstance(recipe, dict) else None) or {}
        found.append(
            Card(
                name_of(part),
                tuple((str(name), str(terms)) for name, terms in corpora.items()) if isinstance(corpora, dict) else (),
                tuple(_measured(scores))[:_MOST] if isinstance(scores, dict) else (),
            )
        )
    return [card for card in found if card.corpora or card.scores]


def _measured(scores: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for name, value in scores.items():
        if not isinstance(value, dict) or any(word in name for word in _ASIDE):
            continue
        where = f"{path} {name}".strip().replace("/", " ").replace("_", " ")
        figure = _interval(value.get("uar"), value)
        if figure:
            yield where, figure
        else:
            yield from _measured(value, where)


def _interval(uar: object, around: Mapping[str, Any]) -> str:
    if isinstance(uar, list) and len(uar) == 3:
        value, low, high = uar
    elif isinstance(uar, dict) and {"value", "low", "high"} <= uar.keys():
        value, low, high = uar["value"], uar["low"], uar["high"]
    elif isinstance(uar, float) and {"low", "high"} <= around.keys():
        value, low, high = uar, around["low"], around["high"]
    else:
        return ""
    return f"{float(value):.3f} [{float(low):.3f}, {float(high):.3f}]"
