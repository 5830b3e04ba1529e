"""Names and sentences that readers see: of modalities, speakers, transcripts, micro-expressions, and the limits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mmemo.reading import well_formed

if TYPE_CHECKING:
    from mmemo.micro_expression import MicroExpression
    from mmemo.result import EmotionResult, ModalityScores, Person
    from mmemo.speech.transcript import Transcript

LIMITS = (
    "Scores tell the expression that shows, not what a person feels or intends.",
    "The models learned from acted speech, posed and found pictures and written text, mostly English; they are uneven "
    "between people, languages and situations, and were not measured by age, skin tone, accent or disability.",
    "Not for decisions about people, and no test of honesty or health. In the EU, inferring emotions at work and in "
    "education is forbidden but for medical or safety reasons (Regulation 2024/1689, Article 5).",
)
"""What every page states about its figures."""
_NAMES = {"text": "Words"}
VOCAL_BURST = "(vocal burst)"
"""What a transcript has in place of words for a laugh, a cry or a sigh."""
_SOURCES = {
    "given": "as given",
    "sidecar": "from the subtitle file",
    "subtitle stream": "from subtitle stream",
    "recognition": "recognized by",
}


def name_of(band: str) -> str:
    """Display name of a modality, or of "fused"."""
    return _NAMES.get(band, band.replace("_", " ").replace("-", " ").capitalize())


def source_name(result: EmotionResult) -> str:
    """The name of the analyzed file, without its folder; "Text" where there is none."""
    return well_formed(Path(result.source).name) if result.source else "Text"


def label_with_share(scores: EmotionResult | ModalityScores | Person) -> str:
    """Label and its score, such as ``"happiness 57%"``."""
    return f"{scores.label} {scores.scores[scores.label]:.0%}"


def sound_shading(result: EmotionResult) -> str:
    """What the shades behind the sound mean, in a few words; empty without any."""
    if result.vocal_bursts:
        return "speech, bursts" if result.speech else "vocal bursts"
    return "speech is shaded" if result.speech else ""


def person_title(person: Person) -> str:
    """What a person is called: the number, and the name in the transcript where that is known."""
    return f"person {person.id}" + (f" ({person.name})" if person.name else "")


def speaking_share(person: Person) -> str:
    """Whether voice and words count in a person's scores, in a few words; empty where there is no voice."""
    if person.speaking is None:
        return ""
    return f"speaks in {person.speaking:.0%} of the speech" if person.speaking else "not seen to speak: face alone"


def affect_origin(modalities: Mapping[str, ModalityScores]) -> str:
    """Where affect comes from, such as ``"face, voice: derived from scores; words: predicted"``; empty without any."""
    names: dict[str, list[str]] = {}
    for name, scores in modalities.items():
        if scores.affect is not None:
            origin = "derived from scores" if scores.affect.derived else "predicted"
            if scores.arousal is not None:
                origin = "arousal predicted, else derived from scores"
            names.setdefault(origin, []).append(name_of(name).lower())
    return "; ".join(f"{', '.join(each)}: {origin}" for origin, each in names.items())


def transcript_source(transcript: Transcript) -> str:
    """Where the words come from."""
    return f"{_SOURCES[transcript.source]} {transcript.detail}".strip()


def micro_expression_title(expression: MicroExpression) -> str:
    """One line on a micro-expression, as the tooltip of its mark."""
    looks = f", looks {expression.label}" if expression.label else ""
    times = f"{expression.onset:.2f} to {expression.offset:.2f} s"
    return f"micro-expression, {times}, {expression.region}, {expression.strength:.1f} px{looks}"
