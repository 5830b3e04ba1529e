"""What a reader sees instead of the names in the code."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmemo.result import Person
    from mmemo.speech.transcript import Transcript

_NAMES = {"text": "Words"}
_ORIGINS = {
    "given": "as given",
    "sidecar": "from the subtitle file",
    "subtitle stream": "from subtitle stream",
    "recognition": "recognised by",
}


def name_of(band: str) -> str:
    """The name of a modality, or of "fused", for people."""
    return _NAMES.get(band, band.replace("_", " ").replace("-", " ").capitalize())


def spoken(person: Person) -> str:
    """What counts for a person's scores, in a word or two; empty where nobody speaks."""
    if person.speaking is None:
        return ""
    return f"speaks in {person.speaking:.0%} of the speech" if person.speaking else "not seen to speak: face alone"


def origin_of(transcript: Transcript) -> str:
    """Where words came from."""
    return f"{_ORIGINS[transcript.source]} {transcript.detail}".strip()
