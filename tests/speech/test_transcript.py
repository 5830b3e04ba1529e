import csv
import os
import time
from pathlib import Path

import pytest

from mmemo.errors import ArgumentError, TranscriptError
from mmemo.evidence import Turn
from mmemo.speech.language import detect_language
from mmemo.speech.line import Line, Word
from mmemo.speech.subtitle_names import language_of
from mmemo.speech.subtitle_text import Cue, spoken
from mmemo.speech.transcript import (
    UNDECIDED,
    Transcript,
    from_lines,
    given,
    read_subtitles,
    sidecars,
    words_between,
)

SRT = """1
00:00:01,000 --> 00:00:02,500
<i>Where</i> were you?

2
00:00:03,000 --> 00:00:05,250 X1:100 X2:200
{\\an8}- I was at home,
- all day &amp; all night.
"""

ROLLING = """WEBVTT
Kind: captions
Language: en

00:00:00.000 --> 00:00:02.000 align:start position:0%
\x20
hello<00:00:00.480><c> there</c>

00:00:02.000 --> 00:00:02.010 align:start position:0%
hello there
\x20

00:00:02.010 --> 00:00:04.000 align:start position:0%
hello there
how<00:00:02.480><c> are you</c>

00:00:04.000 --> 00:00:04.010
how are you
\x20
"""


@pytest.fixture
def write(tmp_path: Path):
    def put(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return put


def read(path: Path, duration: float = 0.0) -> Transcript:
    """The transcript of a file without a fault."""
    transcript, notes = read_subtitles(path, duration)
    assert notes == ()
    return transcript


def lines(transcript: Transcript) -> list[tuple[float, float, str]]:
    return [(line.start, line.end, line.text) for line in transcript.lines]


class TestReading:
    def test_srt(self, write) -> None:
        transcript = read(write("clip.srt", SRT))
        assert lines(transcript) == [
            (1.0, 2.5, "Where were you?"),
            (3.0, 5.25, "I was at home, all day & all night."),
        ]
        assert (transcript.source, transcript.detail, transcript.language) == ("sidecar", "clip.srt", "en")
        assert transcript.text == "Where were you? I was at home, all day & all night."

    def test_rolling_lines_come_once(self, write) -> None:
        transcript = read(write("clip.vtt", ROLLING))
        assert lines(transcript) == [(0.0, 2.0, "hello there"), (2.01, 4.0, "how are you")]
        assert transcript.language == "en"

    def test_rolling_with_overlap(self, write) -> None:
        text = "1\n00:00:00,000 --> 00:00:04,000\none two\n\n2\n00:00:02,000 --> 00:00:06,000\none two\nthree four\n"
        assert [line.text for line in read(write("a.srt", text)).lines] == ["one two", "three four"]

    def test_words_said_twice_stay(self, write) -> None:
        text = "1\n00:00:00,000 --> 00:00:01,000\nNo!\n\n2\n00:00:01,000 --> 00:00:02,000\nNo!\n"
        assert [line.text for line in read(write("a.srt", text)).lines] == ["No!", "No!"]

    def test_overlapping_cues_are_kept(self, write) -> None:
        text = "WEBVTT\n\n00:05.000 --> 00:09.000\n<v Ann>Listen!</v>\n\n00:04.000 --> 00:08.000\nWhat?\n"
        transcript = read(write("a.vtt", text))
        assert lines(transcript) == [(4.0, 8.0, "What?"), (5.0, 9.0, "Listen!")]

    def test_notes_and_styles_are_no_words(self, write) -> None:
        text = (
            "WEBVTT - title\n\nSTYLE\n::cue { color: red }\n\nNOTE\n00:01.000 --> 00:02.000 is a comment\n\n"
            "intro\n01:00:01.5 --> 01:00:02.000 line:0\nHello [door slams]\n\n00:03.000 --> 00:04.000\n[Music] \u266a\n"
        )
        assert lines(read(write("a.vtt", text))) == [(3601.5, 3602.0, "Hello")]

    def test_cue_right_after_the_header(self, write) -> None:
        assert lines(read(write("a.vtt", "WEBVTT\n00:01.000 --> 00:02.000\nHi\n"))) == [(1.0, 2.0, "Hi")]

    def test_missing_blank_line(self, write) -> None:
        text = "1\n00:00:01,000 --> 00:00:02,000\nOne\n2\n00:00:02,000 --> 00:00:03,000\nTwo\n"
        assert [line.text for line in read(write("a.srt", text)).lines] == ["One", "Two"]

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
    def test_encodings(self, write, encoding: str) -> None:
        text = "1\r\n00:00:01,000 --> 00:00:02,000\r\nIt\u2019s a caf\xe9\r\n"
        assert lines(read(write("a.srt", text.encode(encoding))))[0][2] == "It\u2019s a caf\xe9"

    @pytest.mark.parametrize(
        ("encoding", "text", "language"),
        [
            (
                "gb18030",
                "\u4f60\u4e3a\u4ec0\u4e48\u4e0d\u65e9\u70b9\u544a\u8bc9\u6211\uff1f\u6211\u5f88\u751f\u6c14\u3002",
                "zh",
            ),
            (
                "big5",
                "\u4f60\u70ba\u4ec0\u9ebc\u4e0d\u65e9\u9ede\u544a\u8a34\u6211\uff1f\u6211\u5f88\u751f\u6c23\u3002",
                "zh",
            ),
            (
                "shift_jis",
                "\u306a\u305c\u3082\u3063\u3068\u65e9\u304f\u8a00\u3063\u3066\u304f\u308c\u306a\u304b\u3063\u305f\u306e\uff1f",
                "ja",
            ),
            (
                "cp1251",
                "\u041f\u043e\u0447\u0435\u043c\u0443 \u0442\u044b \u043d\u0435 \u0441\u043a\u0430\u0437\u0430\u043b \u0440\u0430\u043d\u044c\u0448\u0435? \u042f \u043e\u0447\u0435\u043d\u044c \u0437\u043b\u044e\u0441\u044c.",
                "ru",
            ),
            ("cp1250", "Dlaczego nie powiedzia\u0142e\u015b mi wcze\u015bniej? Jestem bardzo z\u0142y.", "pl"),
            ("cp1252", "Pourquoi ne me l\u2019as-tu pas dit plus t\xf4t\u00a0? Je suis tr\xe8s f\xe2ch\xe9.", "fr"),
        ],
    )
    def test_old_encodings(self, write, encoding: str, text: str, language: str) -> None:
        transcript = read(write("a.srt", SRT.splitlines()[1].join(["1\n", f"\n{text}\n"]).encode(encoding)))
        assert (transcript.text, transcript.language) == (" ".join(text.split()), language)

    def test_latin_1_where_windows_has_no_letter(self, write) -> None:
        text = b"1\n00:00:01,000 --> 00:00:02,000\ncaf\xe9\x81\n"
        assert lines(read(write("a.srt", text)))[0][2].startswith("caf\xe9")

    @pytest.mark.parametrize("name", ["a.srt", "a.vtt"])
    def test_empty_file_is_an_empty_transcript(self, write, name: str) -> None:
        assert read(write(name, "")).lines == ()


ASS = r"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname
Style: Default,Arial

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:03.10,0:00:04.50,Default,Bob,0,0,0,,I don't know, {\i1}really{\i0}.\NDo you?
Comment: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,not said
Dialogue: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,Where were you?
Dialogue: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,{\p1}m 0 0 l 1 1
"""


class TestOtherFormats:
    @pytest.mark.parametrize("name", ["a.ass", "a.SSA"])
    def test_ass(self, write, name: str) -> None:
        transcript = read(write(name, ASS))
        assert lines(transcript) == [(1.0, 2.5, "Where were you?"), (3.1, 4.5, "I don't know, really. Do you?")]
        assert [line.speaker for line in transcript.lines] == [None, "Bob"]

    def test_ass_found_beside_the_media_after_srt(self, write) -> None:
        ass = write("clip.ass", ASS)
        assert sidecars(ass.with_name("clip.mp4")) == [ass]
        srt = write("clip.srt", SRT)
        assert sidecars(ass.with_name("clip.mp4")) == [srt, ass]

    @pytest.mark.parametrize(
        ("row", "what"),
        [
            ("Dialogue: 0,0:00:03.10,0:0x:04.50,Default,Bob,0,0,0,,Hi", "line 10: '0:0x:04.50' is no time"),
            ("Dialogue: 0,0:00:03.10", "line 10: expected 10 values"),
        ],
    )
    def test_damaged_ass(self, write, row: str, what: str) -> None:
        rows = ASS.splitlines()
        rows[9] = row
        transcript, (note,) = read_subtitles(write("a.ass", "\n".join(rows)))
        assert what in note.message
        assert lines(transcript) == [(1.0, 2.5, "Where were you?")]

    def test_ass_without_its_format(self, write) -> None:
        with pytest.raises(TranscriptError, match="line 2: no Format"):
            read(write("a.ass", "[Events]\nDialogue: 0,0:00:03.10,0:00:04.50,Hi\n"))

    def test_plain_text_fills_the_clip(self, write) -> None:
        transcript = read(write("a.txt", "I know. I know!\r\n\r\ncaf\xe9".encode("cp1252")), 10.0)
        assert [line.text for line in transcript.lines] == ["I know.", "I know!", "caf\xe9"]
        assert (transcript.lines[0].start, transcript.lines[-1].end) == (0.0, 10.0)
        assert (transcript.source, transcript.detail) == ("sidecar", "a.txt")

    def test_plain_text_is_not_taken_unasked(self, write) -> None:
        assert sidecars(write("clip.txt", "notes of mine").with_name("clip.mp4")) == []

    def test_speakers_of_webvtt(self, write) -> None:
        text = "WEBVTT\n\n00:01.000 --> 00:02.000\n<v.loud Ann Lee>Listen!</v>\n\n00:03.000 --> 00:04.000\nWhat?\n"
        assert [line.speaker for line in read(write("a.vtt", text)).lines] == ["Ann Lee", None]

    def test_signs_that_do_not_show(self, write) -> None:
        text = "1\n00:00:01,000 --> 00:00:02,000\nI\u200b kn\x0cow\x1b you\u202e \x07now\n"
        assert lines(read(write("a.srt", text)))[0][2] == "I kn ow you now"


class TestDamage:
    @pytest.mark.parametrize(
        ("name", "content", "line", "what"),
        [
            ("a.srt", "1\n00:00:01,000 --> 00:00:0x\nHi\n", 2, "00:00:0x"),
            ("a.srt", "1\n00:00:01,000 --> \nHi\n", 2, "no time"),
            ("a.srt", "1\n00:61:01,000 --> 00:62:02,000\nHi\n", 2, "00:61:01"),
            ("a.srt", "1\n00:00:05,000 --> 00:00:02,000\nHi\n", 2, "before it begins"),
            ("a.srt", "Just some text\nand more\n", 1, "no subtitle"),
            ("a.srt", b"PK\x03\x04\n\x00\x00", 2, "not a text file"),
            ("a.vtt", "1\n00:00:01.000 --> 00:00:02.000\nHi\n", 1, "WEBVTT"),
            ("a.vtt", "WEBVTT\n\nabc --> def\nHi\n", 3, "'abc' is no time"),
        ],
    )
    def test_file_and_line_are_named(self, write, name: str, content: str | bytes, line: int, what: str) -> None:
        with pytest.raises(TranscriptError, match=what) as error:
            read(write(name, content))
        assert f"{name}, line {line}:" in str(error.value)

    def test_other_suffix(self, write) -> None:
        with pytest.raises(TranscriptError, match=r"\.srt"):
            read(write("a.sub", "x"))

    def test_missing_file_and_folder(self, tmp_path: Path) -> None:
        (tmp_path / "b.srt").mkdir()
        for name in ("a.srt", "b.srt"):
            with pytest.raises(TranscriptError, match="can't be read"):
                read_subtitles(tmp_path / name)


class TestSidecar:
    def test_none(self, write) -> None:
        media = write("clip.mp4", b"")
        for other in ("clip2.srt", "other.srt", "clip.part.srt", "clip.txt"):
            write(other, SRT)
        assert sidecars(media) == []
        assert sidecars(media.parent / "no such folder" / "clip.mp4") == []

    def test_order(self, write) -> None:
        media = write("My.Clip.mp4", b"")
        for name in ("my.clip.PL.srt", "My.Clip.en.vtt", "My.Clip.en-US.SRT", "my.clip.vtt", "MY.CLIP.srt"):
            write(name, SRT)
        assert [path.name for path in sidecars(media)] == [
            "MY.CLIP.srt",
            "my.clip.vtt",
            "My.Clip.en-US.SRT",
            "My.Clip.en.vtt",
            "my.clip.PL.srt",
        ]

    def test_language_of_the_name(self, write) -> None:
        assert read(write("clip.pl.srt", SRT)).language == "pl"
        assert language_of(Path("clip.eng.sdh.srt")) == "en"
        assert language_of(Path("clip.pt-BR.vtt")) == "pt"
        assert language_of(Path("clip.srt")) is None


class TestGiven:
    def test_sentences_fill_the_clip(self) -> None:
        transcript = given("I won! I can't believe it.\n\nWow", 30.0)
        assert [line.text for line in transcript.lines] == ["I won!", "I can't believe it.", "Wow"]
        assert transcript.lines[0].start == 0
        assert transcript.lines[-1].end == pytest.approx(30.0)
        assert transcript.lines[1].start == transcript.lines[0].end == pytest.approx(30 * 6 / 28)
        assert (transcript.source, transcript.language) == ("given", "en")

    def test_text_alone(self) -> None:
        evidence = words_between(given("What? No!", 0.0), 0.0, 0.0)
        assert evidence is not None
        assert (evidence.text, evidence.coverage, evidence.confidence) == ("What? No!", 1.0, UNDECIDED)

    def test_emoji_need_no_language(self) -> None:
        evidence = words_between(given("\U0001f621", 0.0), 0.0, 0.0)
        assert evidence is not None
        assert (evidence.text, evidence.language, evidence.confidence) == ("\U0001f621", None, 1.0)

    def test_blank(self) -> None:
        assert words_between(given(" \n ", 5.0), 0.0, 5.0) is None

    def test_negative_duration(self) -> None:
        with pytest.raises(ArgumentError, match="duration"):
            given("Hi", -1.0)


class TestWindows:
    transcript = Transcript(
        (Line(1.0, 3.0, "one", 0.5), Line(2.0, 6.0, "two", 1.0), Line(8.0, 9.0, "three")), "recognition", "en"
    )

    def test_whole_lines_that_touch(self) -> None:
        evidence = words_between(self.transcript, 2.5, 4.5)
        assert evidence is not None
        assert evidence.text == "one two"
        assert evidence.language == "en"
        assert evidence.coverage == 1.0
        assert evidence.confidence == pytest.approx((0.5 * 0.5 + 2.0 * 1.0) / 2.5)

    def test_coverage_counts_overlaps_once(self) -> None:
        evidence = words_between(self.transcript, 0.0, 10.0)
        assert evidence is not None
        assert evidence.text == "one two three"
        assert evidence.coverage == pytest.approx(0.6)

    def test_borders_do_not_touch(self) -> None:
        assert words_between(self.transcript, 6.0, 8.0) is None
        assert words_between(self.transcript, 0.0, 1.0) is None
        assert words_between(self.transcript, 9.0, 20.0) is None

    def test_long_line_over_many_short_ones(self) -> None:
        short = [Line(i, i + 0.5, f"w{i}") for i in range(1, 50)]
        transcript = Transcript((Line(0.0, 100.0, "long"), *short), "given", None)
        assert words_between(transcript, 70.0, 72.0).text == "long"
        assert words_between(transcript, 10.0, 12.0).text == "long w10 w11"

    def test_of_a_very_long_line_what_is_said_then(self) -> None:
        said = " ".join(f"w{i}" for i in range(100, 200))  # 100 words as long as each other over 100 s
        evidence = words_between(Transcript((Line(0.0, 100.0, said),), "given", "en"), 50.0, 52.0)
        assert evidence is not None
        assert evidence.text == "w148 w149 w150 w151 w152 w153"
        assert evidence.coverage == 1.0

    def test_of_a_very_long_line_by_the_times_of_its_words(self) -> None:
        words = (Word(0.0, 1.0, "early"), Word(30.0, 31.0, "late"), Word(31.0, 32.0, "words"))
        transcript = Transcript((Line(0.0, 40.0, "early late words", 1.0, words),), "recognition", "en")
        assert words_between(transcript, 30.0, 32.0).text == "late words"
        assert words_between(transcript, 10.0, 12.0) is None

    def test_the_lines_before_are_context(self) -> None:
        spoken = [Line(2.0 * i, 2.0 * i + 1, f"line {i}", speaker="AB"[i % 2]) for i in range(6)]
        spoken.append(Line(60.0, 61.0, "after a long silence"))
        transcript = Transcript(tuple(spoken), "sidecar", "en")
        evidence = words_between(transcript, 10.0, 11.0)
        assert evidence is not None
        assert (evidence.text, evidence.speaker) == ("line 5", "B")
        assert evidence.context == (Turn("line 2", "A"), Turn("line 3", "B"), Turn("line 4", "A"))
        both = words_between(transcript, 8.0, 11.0)
        assert both is not None
        assert (both.text, both.speaker) == ("line 4 line 5", None)
        assert words_between(transcript, 60.0, 62.0).context == ()
        assert words_between(transcript, 0.0, 1.0).context == ()

    def test_cues_are_sorted_and_empty_ones_left_out(self) -> None:
        cues = [Cue(2.0, 3.0, " b\n c "), Cue(1.0, 2.0, "a"), Cue(0.0, 1.0, " ")]
        transcript = from_lines(spoken(cues), "subtitle stream", "stream 2", "en")
        assert lines(transcript) == [(1.0, 2.0, "a"), (2.0, 3.0, "b c")]
        assert (transcript.source, transcript.detail) == ("subtitle stream", "stream 2")


class TestValidation:
    def test_lines(self) -> None:
        with pytest.raises(ArgumentError, match="start <= end"):
            Line(2.0, 1.0, "x")
        with pytest.raises(ArgumentError, match="start <= end"):
            Line(float("nan"), 1.0, "x")
        with pytest.raises(ArgumentError, match="confidence"):
            Line(0.0, 1.0, "x", 1.5)

    def test_source_and_order(self) -> None:
        with pytest.raises(ArgumentError, match="Did you mean 'sidecar'"):
            Transcript((), "sidecars", None)
        with pytest.raises(ArgumentError, match="order"):
            Transcript((Line(2.0, 3.0, "b"), Line(1.0, 2.0, "a")), "given", None)


class TestLanguage:
    @pytest.mark.parametrize(
        ("text", "language"),
        [
            ("I don\u2019t know what you are talking about.", "en"),
            ("I was afraid of a certain examination although I was relatively well prepared.", "en"),
            ("Purple elephants dance gracefully near waterfalls.", "en"),
            ("Aby upiec ciasto, musz\u0119 kupi\u0107 m\u0105czk\u0119 i mleko.", "pl"),
            ("Ich wei\xdf nicht, was du damit sagen willst.", "de"),
            ("\u4f60\u771f\u8ba8\u538c", "zh"),
            ("I hate you", "en"),
            ("Yeah, right!", None),
            ("te odio", None),
            ("...", None),
            ("", None),
        ],
    )
    def test_examples(self, text: str, language: str | None) -> None:
        assert detect_language(text).language == language

    def test_a_stated_language_is_believed_and_an_unknown_one_lowers_the_confidence(self) -> None:
        stated, unknown = given("te odio", 2.0, "es"), given("te odio", 2.0)
        assert (stated.language, stated.language_probability) == ("es", 1.0)
        assert (unknown.language, unknown.language_probability < 0.5) == (None, True)
        words = [words_between(one, 0.0, 2.0) for one in (stated, unknown)]
        assert [one and one.confidence for one in words] == [1.0, 0.5]

    @pytest.mark.data
    def test_subtitle_like_texts(self, shared_data: Path) -> None:
        with (shared_data / "text" / "meld" / "test_sent_emo.csv").open(encoding="utf-8", newline="") as file:
            english = [row["Utterance"] for row in csv.DictReader(file)][:600]
        with (shared_data / "text" / "xed_annotated.tsv").open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            finnish = [row["text"] for row in rows if row["lang"] == "fi" and any(map(str.isalpha, row["text"]))][:600]
        for texts, right in ((english, "en"), (finnish, "fi")):
            tens = [detect_language(" ".join(texts[i : i + 10])).language for i in range(0, len(texts) - 9, 10)]
            assert tens.count(right) / len(tens) > 0.99


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("c.srt", "1\n" + "9" * 400 + ":00:00,000 --> " + "9" * 400 + ":00:01,000\nhi\n", "line 2: '9999.* is no time"),
        ("c.srt", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "pointer of Git LFS.*git lfs pull"),
        ("c.vtt", "<!DOCTYPE html>\n<html></html>", "web page"),
        ("pipe.srt", None, "it is a pipe, not a file"),
        ("device.txt", None, "it is a device, not a file"),
        ("a" * 300 + ".srt", None, "can't be read: File name too long"),
    ],
)
def test_what_is_no_subtitle_file_is_told(tmp_path: Path, name: str, content: str | None, says: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    elif name.startswith("pipe"):
        os.mkfifo(tmp_path / name)
    elif name.startswith("device"):
        (tmp_path / name).symlink_to("/dev/zero")
    with pytest.raises(TranscriptError, match=says):
        read_subtitles(tmp_path / name, 1.0)


@pytest.mark.parametrize(
    "cue",
    [
        "<v" + " " * 100_000,
        "<v " * 100_000,
        "{\\" * 100_000,
        "[<a<1" * 100_000,
        "&#" + "9" * 5000 + ";",
        "a\n" * 100_000,
    ],
    ids=["voice", "voices", "braces", "brackets", "entity", "rows"],
)
def test_long_cues_take_no_longer_than_short_ones(tmp_path: Path, cue: str) -> None:
    """A second of processor time, not minutes."""
    (tmp_path / "c.vtt").write_text(f"WEBVTT\n\n00:00.000 --> 00:01.000\n{cue}\n\n00:01.000 --> 00:02.000\n{cue}b\n")
    started = time.process_time()
    read_subtitles(tmp_path / "c.vtt")
    assert time.process_time() - started < 20


def test_half_a_pair_of_utf_16_is_replaced() -> None:
    assert given("What \ud83d now", 1.0).text == "What \ufffd now"
