"""Names and sentences that readers see."""

from __future__ import annotations

from dataclasses import replace

from mmemo import EmotionResult
from mmemo.micro_expression import MicroExpression
from mmemo.report.style.wording import (
    label_with_share,
    micro_expression_title,
    name_of,
    speaking_share,
    transcript_source,
)
from mmemo.speech.transcript import Transcript


def test_names_of_modalities() -> None:
    assert [name_of(name) for name in ("fused", "text", "body_pose")] == ["Fused", "Words", "Body pose"]


def test_people_and_labels(made: EmotionResult) -> None:
    person = made.people[0]
    assert label_with_share(person) == "happiness 70%"
    shares = [speaking_share(replace(person, speaking=share)) for share in (None, 0.0, 0.25)]
    assert shares == ["", "not seen to speak: face alone", "speaks in 25% of the speech"]


def test_where_words_come_from() -> None:
    assert transcript_source(Transcript((), "recognition", "en", "Whisper tiny.en")) == "recognized by Whisper tiny.en"
    assert transcript_source(Transcript((), "given", "en")) == "as given"


def test_micro_expressions() -> None:
    expression = MicroExpression(0, 1.0, 1.2, 1.4, 25, 30, 35, "brows", 1.52, 0.9)
    assert micro_expression_title(expression) == "micro-expression, 1.00 to 1.40 s, brows, 1.5 px"
    surprise = replace(expression, scores={"surprise": 1.0})
    assert micro_expression_title(surprise).endswith("1.5 px, looks surprise")
