"""A result for annotation tools: tiers for ELAN (EAF), and spans of speech (RTTM)."""

from __future__ import annotations

import mimetypes
import os
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote
from xml.etree import ElementTree

from mmemo.errors import ArgumentError
from mmemo.in_memory import was_in_memory
from mmemo.report.style.wording import person_title, source_name
from mmemo.report.timeline import Span, spans

if TYPE_CHECKING:
    from mmemo.result import EmotionResult
    from mmemo.speech.line import Line

_UNDETERMINED = {"LANG_ID": "und", "LANG_LABEL": "undetermined (und)"}
_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def rttm(result: EmotionResult) -> str:
    """Spans of speech in NIST's Rich Transcription Time Marked format, one a line.

    All have the speaker "speech": speakers are not distinguished.

    Raises:
        ArgumentError: if speech was not looked for.
    """
    if result.speech is None:
        raise ArgumentError("Speech was not looked for in this clip, so there is nothing to write as RTTM.")
    name = re.sub(r"\s+", "_", Path(source_name(result)).stem) or "clip"
    return "".join(
        f"SPEAKER {name} 1 {start:.3f} {end - start:.3f} <NA> <NA> speech <NA> <NA>\n" for start, end in result.speech
    )


def eaf(result: EmotionResult, folder: Path) -> bytes:
    """An ELAN document (EAF 3.0): tiers of the fused label, each modality, each person, speech, vocal bursts and words.

    The labels are a controlled vocabulary. Neighboring windows with the same label are one annotation. Times are
    those of the media file.

    Args:
        folder: where the document will lie; the media file is named relative to it as well.

    Raises:
        ArgumentError: if the result has no times: it is of a still image, or of text alone.
    """
    if not result.duration:
        raise ArgumentError("A still image or text alone has no times, so there are no tiers to write for ELAN.")
    document = _Document(result, folder)
    for band in ("fused", *result.modalities):
        document.tier(band, "emotion", _labels(spans(result.segments, band)))
    for person in result.people:
        document.tier(person_title(person), "emotion", _labels(spans(person.segments, "fused")))
    if result.speech is not None:
        document.tier("speech", "speech", [(start, end, "speech") for start, end in result.speech])
    if result.vocal_bursts:
        bursts = [(start, end, "vocal burst") for start, end in result.vocal_bursts]
        document.tier("vocal bursts", "speech", bursts)
    for number, lines in enumerate(_lanes(result.transcript.lines if result.transcript else ()), 1):
        name = "words" if number == 1 else f"words {number}"  # lines that overlap, as a tier holds none
        document.tier(name, "words", [(line.start, line.end, line.text) for line in lines])
    return document.finish(list(result.scores))


class _Document:
    """EAF document in the making: its tiers and time slots, in the order that the schema requires."""

    def __init__(self, result: EmotionResult, folder: Path) -> None:
        self._root = ElementTree.Element(
            "ANNOTATION_DOCUMENT",
            {
                "AUTHOR": "mmemo",
                "DATE": datetime.now(UTC).isoformat(timespec="seconds"),
                "FORMAT": "3.0",
                "VERSION": "3.0",
                "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
                "xsi:noNamespaceSchemaLocation": _SCHEMA,
            },
        )
        header = ElementTree.SubElement(self._root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
        if result.source is not None and not was_in_memory(result.source):
            path = Path(result.source).resolve()
            media = {
                "MEDIA_URL": path.as_uri(),
                "MIME_TYPE": mimetypes.guess_type(path.name)[0] or "unknown",
                "RELATIVE_MEDIA_URL": _relative(path, folder.resolve()),
            }
            ElementTree.SubElement(header, "MEDIA_DESCRIPTOR", media)
        self._header = header
        self._slots: list[int] = []
        self._tiers: list[ElementTree.Element] = []
        self._count = 0

    def tier(self, name: str, kind: str, annotations: Iterable[tuple[float, float, str]]) -> None:
        tier = ElementTree.Element("TIER", {"LINGUISTIC_TYPE_REF": kind, "TIER_ID": name})
        for start, end, value in annotations:
            begin = max(0, round(start * 1000))
            self._slots += [begin, max(begin + 1, round(end * 1000))]
            self._count += 1
            first, second = f"ts{len(self._slots) - 1}", f"ts{len(self._slots)}"
            place = {"ANNOTATION_ID": f"a{self._count}", "TIME_SLOT_REF1": first, "TIME_SLOT_REF2": second}
            if kind == "emotion":
                place["CVE_REF"] = _entry(value)
            annotation = ElementTree.SubElement(tier, "ANNOTATION")
            aligned = ElementTree.SubElement(annotation, "ALIGNABLE_ANNOTATION", place)
            ElementTree.SubElement(aligned, "ANNOTATION_VALUE").text = _NOT_XML.sub("", value)
        self._tiers.append(tier)

    def finish(self, labels: Sequence[str]) -> bytes:
        used = ElementTree.SubElement(self._header, "PROPERTY", {"NAME": "lastUsedAnnotationId"})
        used.text = str(self._count)
        order = ElementTree.SubElement(self._root, "TIME_ORDER")
        # ELAN wants the slots by time; their names may come in any order.
        for number in sorted(range(len(self._slots)), key=lambda number: self._slots[number]):
            slot = {"TIME_SLOT_ID": f"ts{number + 1}", "TIME_VALUE": str(self._slots[number])}
            ElementTree.SubElement(order, "TIME_SLOT", slot)
        self._root.extend(self._tiers)
        free = {"GRAPHIC_REFERENCES": "false", "TIME_ALIGNABLE": "true"}
        for kind in ("emotion", "speech", "words"):
            vocabulary = {"CONTROLLED_VOCABULARY_REF": "emotion"} if kind == "emotion" else {}
            ElementTree.SubElement(self._root, "LINGUISTIC_TYPE", {**vocabulary, **free, "LINGUISTIC_TYPE_ID": kind})
        ElementTree.SubElement(self._root, "LANGUAGE", _UNDETERMINED)
        vocabulary_element = ElementTree.SubElement(self._root, "CONTROLLED_VOCABULARY", {"CV_ID": "emotion"})
        about = ElementTree.SubElement(vocabulary_element, "DESCRIPTION", {"LANG_REF": "und"})
        about.text = "The expression that shows, as mmemo scores it"
        for label in labels:
            entry = ElementTree.SubElement(vocabulary_element, "CV_ENTRY_ML", {"CVE_ID": _entry(label)})
            ElementTree.SubElement(entry, "CVE_VALUE", {"LANG_REF": "und"}).text = label
        ElementTree.indent(self._root)
        text: bytes = ElementTree.tostring(self._root, encoding="UTF-8", xml_declaration=True)
        return text


def _entry(label: str) -> str:
    return "cve-" + re.sub(r"[^A-Za-z0-9_.-]", "-", label)


def _labels(spans: Iterable[Span]) -> list[tuple[float, float, str]]:
    return [(span.start, span.end, span.label) for span in spans]


def _lanes(lines: Iterable[Line]) -> list[list[Line]]:
    """Lines in as few lanes as keep overlapping ones apart."""
    lanes: list[list[Line]] = []
    for line in lines:
        free = next((lane for lane in lanes if lane[-1].end <= line.start), None)
        if free is None:
            lanes.append([line])
        else:
            free.append(line)
    return lanes


def _relative(path: Path, folder: Path) -> str:
    try:
        return quote(os.fsencode(Path(os.path.relpath(path, folder)).as_posix()))
    except ValueError:  # another drive, on Windows
        return quote(os.fsencode(path.name))
