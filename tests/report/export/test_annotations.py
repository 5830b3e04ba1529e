"""Tiers for ELAN and spans of speech, read back by independent readers."""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path

import pytest

from mmemo import EmotionResult

SCHEMA = Path(sys.prefix) / "share" / "pympi_ling-1.71.tar.gz"


def test_speech_as_rttm(made: EmotionResult, tmp_path: Path) -> None:
    """As pyannote.database reads it: a table of ten columns with one blank between them."""
    pandas = pytest.importorskip("pandas")
    names = ["type", "uri", "channel", "start", "duration", "text", "kind", "speaker", "confidence", "lookahead"]
    file = made.save(tmp_path / "r.rttm")
    table = pandas.read_csv(
        file, names=names, sep=" ", keep_default_na=False, dtype={"start": float, "duration": float}
    )
    assert list(table["type"]) == ["SPEAKER"] * 2
    assert list(table["uri"]) == ["a_<b>_&_c"] * 2
    assert list(zip(table["start"], table["duration"], strict=True)) == [(2.0, 2.0), (7.0, 2.0)]
    assert set(table["lookahead"]) == {"<NA>"}


def test_elan_reads_the_tiers(made: EmotionResult, tmp_path: Path) -> None:
    elan = pytest.importorskip("pympi.Elan", reason="needs pympi-ling")
    document = elan.Eaf(made.save(tmp_path / "r.eaf"))
    tiers = {"fused", "face", "voice", "person 0", "speech", "words", "words 2"}
    assert set(document.get_tier_names()) == tiers
    fused = sorted(document.get_annotation_data_for_tier("fused"))
    assert [note[:3] for note in fused] == [
        (0, 2500, "happiness"),
        (2500, 4000, "surprise"),
        (7000, 9000, "anger"),
    ]
    assert sorted(note[:2] for note in document.get_annotation_data_for_tier("speech")) == [(2000, 4000), (7000, 9000)]
    assert [note[2] for note in document.get_annotation_data_for_tier("words 2")] == ["at the same time"]
    entries = document.get_cv_entries("emotion")
    assert {value for values, _ in entries.values() for value, *_ in values} == set(made.scores)
    assert document.get_linked_files()[0]["RELATIVE_MEDIA_URL"].endswith("a%20%3Cb%3E%20%26%20c.mp4")


def test_elan_documents_keep_to_the_schema(made: EmotionResult, real: EmotionResult, tmp_path: Path) -> None:
    """ELAN's own EAFv3.0.xsd, which the source package of pympi-ling carries for its tests."""
    xmlschema = pytest.importorskip("xmlschema")
    if not SCHEMA.is_file():
        pytest.skip(f"needs the source package of pympi-ling as {SCHEMA}: `make test` fetches it")
    with tarfile.open(SCHEMA) as package:
        file = package.extractfile("pympi_ling-1.71/test/EAFv3.0.xsd")
        assert file is not None
        schema = xmlschema.XMLSchema(io.BytesIO(file.read()))
    for number, result in enumerate((made, real)):
        path = result.save(tmp_path / f"{number}.eaf")
        schema.validate(str(path))
        broken = path.read_text(encoding="utf-8").replace("TIME_SLOT_REF2=", "TIME_SLOT_REF9=")
        assert not schema.is_valid(io.StringIO(broken))
