"""Reading TTML, the XML of timed text: W3C, "Timed Text Markup Language 2", 2018."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from mmemo.evidence import Seconds
from mmemo.speech.subtitle_names import language_code
from mmemo.speech.subtitle_text import Content, Cue, FaultError

_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d)(?:[.,](\d+)|:(\d+)(?:\.\d+)?)?")
_OFFSET = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|f|t)")
_BREAK = re.compile(r"<(?:\w+:)?br\b[^<>]*>")


def ttml(text: str, faults: list[str]) -> Content:
    """The language and the cues of a document."""
    if re.search(r"<!(DOCTYPE|ENTITY)", text):
        raise FaultError("line 1: a document type or entities, which subtitles have no use for, are not read.")
    try:
        root = ElementTree.fromstring(_BREAK.sub("\n", text.lstrip()).replace("</br>", ""))
    except ElementTree.ParseError as error:
        raise FaultError(f"line {error.position[0]}: no TTML ({error.msg.split(':')[0]}).") from None
    language = next((value for name, value in root.attrib.items() if _local(name) == "lang"), None)
    return language_code(language), _paragraphs(root, faults)


def _local(name: object) -> str:
    """The name of an element or attribute without its namespace."""
    return str(name).rpartition("}")[2]


def _paragraphs(root: ElementTree.Element, faults: list[str]) -> Iterator[Cue]:
    """The paragraphs of a TTML document, and spans that have times of their own; times count from the parent's."""
    settings = {_local(name): value for name, value in root.attrib.items()}
    rate, ticks = (_positive(settings.get(name), default) for name, default in (("frameRate", 30.0), ("tickRate", 0.0)))
    if factor := re.fullmatch(r"([1-9]\d{0,8})\s+([1-9]\d{0,8})", settings.get("frameRateMultiplier", "").strip()):
        rate *= int(factor[1]) / int(factor[2])
    agents = {
        _attribute(agent, "id"): "".join(agent.itertext()).strip()
        for agent in root.iter()
        if _local(agent.tag) == "agent"
    }
    waiting: list[tuple[ElementTree.Element, Seconds, str | None]] = [(root, 0.0, None)]
    number = 0
    while waiting:
        element, began, agent = waiting.pop()
        agent = _attribute(element, "agent") or agent
        tag, begin = _local(element.tag), _attribute(element, "begin")
        timed = tag in ("p", "span") and begin is not None
        try:
            start = began + (_offset(begin, rate, ticks) if begin is not None else 0.0)
            if timed and (tag == "span" or not any(_attribute(one, "begin") for one in [*element.iter()][1:])):
                number += 1
                end, length = _attribute(element, "end"), _attribute(element, "dur")
                if end is None and length is None:
                    raise FaultError("has no end.")
                ends = start + _offset(length or "", rate, ticks) if end is None else began + _offset(end, rate, ticks)
                if ends < start:
                    raise FaultError("ends before it begins.")
                yield Cue(start, ends, "".join(element.itertext()), agents.get(agent) if agent else None)
                continue
        except FaultError as fault:
            faults.append(f"subtitle {number}: {fault}")
            continue
        waiting.extend((child, start, agent) for child in reversed(element))


def _attribute(element: ElementTree.Element, name: str) -> str | None:
    return next((value for key, value in element.attrib.items() if _local(key) == name), None)


def _positive(text: str | None, default: float) -> float:
    return float(text) if text and re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text) and float(text) > 0 else default


def _offset(text: str, rate: float, ticks: float) -> Seconds:
    """A time of TTML in seconds."""
    text = text.strip()[:60]
    if clock := _CLOCK.fullmatch(text):
        hours, minutes, seconds, fraction, frames = clock.groups()
        whole = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
        return whole + float(f"0.{fraction or 0}") + int(frames or 0) / rate
    offset = _OFFSET.fullmatch(text)
    if offset is None or len(offset[1]) > 15:
        raise FaultError(f"{text[:40]!r} is no time; expected one such as 00:01:02.500 or 62.5s.")
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "f": 1 / rate, "t": 1 / (ticks or rate)}
    return float(offset[1]) * units[offset[2]]
