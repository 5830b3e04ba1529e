"""What mmemo makes of hostile and of everyday files, as SECURITY.md promises it.

    python benchmarks/hostile.py                                # 800 hostile inputs and 300 everyday ones: an hour
    python benchmarks/hostile.py --hostile 80 --everyday 30 --out hostile.json

Makes its own files in a temporary folder, the same ones for a seed, and reads each in another process,
which reads many, until it dies. Counts exceptions that are none of mmemo's, inputs that take more than 30 s of
processor time or 2 GB of memory, files that are changed or lost, files cut in half whose result does not say so,
and everyday files that are refused. Exits with 1 if there is any. Needs Linux, and ``pip install hypothesis``.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
import wave
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from functools import cache
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from zlib import crc32

import av
import cv2
import numpy as np
from hypothesis import Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

import mmemo
from mmemo.data import Manifest, read_corpus, read_mmsa_features
from mmemo.encoders.face.action_units import read_openface
from mmemo.errors import MmemoError
from mmemo.evidence import Evidence
from mmemo.labels import EKMAN7
from mmemo.samples import make_clip, portrait, speech
from mmemo.speech.transcript import read_subtitles, words_between

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "fuzz"))
from inputs import FUZZ, altered, damaged, json_lines
from valid_files import ASS, CLIPS, OPENFACE, SRT, VTT, model_folder, pickles, sheet, with_file, written

PROCESSOR_TIME = 30
"""Seconds of processor time for one input."""
WALL_TIME = 600
"""Seconds after which an input hangs without taking any."""
MEMORY = 2.0
"""GB that the process of one input may hold, with what it holds before: models and libraries."""
CEILING = 8e9
"""Bytes of addresses that a process may take besides: what takes the whole machine ends earlier."""
FAULTS = ("traceback", "crash", "hang", "memory", "silent truncation", "refused", "changed", "lost")
ANYWHERE = {
    ".mp3",
    ".mp2",
    ".aac",
    ".ac3",
    ".ts",
    ".m2ts",
    ".mpg",
    ".vob",
    ".ogg",
    ".oga",
    ".ogv",
    ".opus",
    ".amr",
    ".dv",
}
"""Suffixes of formats that may end anywhere: no reader can know that one was cut (docs/how_to/media_files.md)."""


@dataclass(frozen=True)
class Case:
    """An input: how it was made, what reads it, what must come of it."""

    path: Path
    made: str
    reader: str
    expected: str = "anything"  # or "result": no refusal; or "damaged": refusal, or a note that says so


@dataclass
class Outcome:
    """What came of an input."""

    case: Case
    result: str
    detail: str = ""
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    gigabytes: float = 0.0

    @property
    def fault(self) -> str | None:
        """One of `FAULTS`."""
        if self.result in FAULTS:
            return self.result
        if self.gigabytes > MEMORY:
            return "memory"
        if self.case.expected == "damaged" and self.result == "result" and "damaged" not in self.notes:
            return "silent truncation"
        return "refused" if self.case.expected == "result" and self.result == "error" else None


# Readers, in a process of their own


def _analyze(path: Path) -> list[str]:
    result = _analyzer()(path)
    result.to_json().encode()
    return [note.code for note in result.notes]


def _report(path: Path) -> list[str]:
    """An analysis and its files, in a folder beside those of the inputs."""
    result = _analyzer()(path)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("r.html", "r.csv", "r.json", *([] if path.suffix in PICTURES else ["r.srt"])):
            result.save(Path(folder) / name)
    return [note.code for note in result.notes]


def _over_input(path: Path) -> None:
    """The command line, told to write its output over its input: refused, and the file is as it was."""
    from mmemo.cli import app

    app(["analyze", str(path), "--modalities", "voice", "--out", str(path.with_suffix(".srt"))], standalone_mode=False)
    raise AssertionError("it wrote over its input")


def _subtitles(path: Path) -> None:
    transcript, _ = read_subtitles(path, 3.0)
    words_between(transcript, 0.0, 2.0)
    str(transcript).encode()


def _model(path: Path) -> None:
    loaded = mmemo.load_model(path, device="cpu")
    window = Evidence(0.0, 1.0, source=Path("clip.mp4"))
    loaded.fuse({name: loaded.encode(name, [window]) for name in loaded.modalities})


def _baseline(path: Path) -> None:
    mmemo.analyze(text="We won!", baseline=mmemo.Baseline.load(path))


def _adaptation(path: Path) -> None:
    mmemo.analyze(text="We won!", adaptation=mmemo.Adaptation.load(path))


READERS: dict[str, Callable[[Path], list[str] | None]] = {
    "media": _analyze,
    "media, written": _report,
    "output over input": _over_input,
    "subtitles": _subtitles,
    "manifest": lambda path: Manifest.read(path, check_media=False) and None,
    "table": lambda path: read_corpus("table", path) and None,
    "model folder": _model,
    "OpenFace": lambda path: read_openface(path) and None,
    "result": lambda path: str(mmemo.EmotionResult.load(path)) and None,
    "baseline": _baseline,
    "adaptation": _adaptation,
    "feature pickle": lambda path: read_mmsa_features(path) and None,
}


@cache
def _analyzer() -> mmemo.Analyzer:
    return mmemo.Analyzer(modalities=("face", "voice"), transcriber=None)


def _serve(inputs: Connection) -> None:
    """Read what comes, and send back what came of it; past its processor time the kernel ends this process."""
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    with tempfile.TemporaryDirectory() as folder:
        _analyzer()(make_clip(Path(folder) / "first.mp4", seconds=0.4))  # models are loaded before it counts
    taken = int(_status("VmSize") * 1e9 + CEILING)
    resource.setrlimit(resource.RLIMIT_AS, (taken, taken))
    inputs.send(None)
    while (case := inputs.recv()) is not None:
        Path("/proc/self/clear_refs").write_text("5")  # the peak of memory starts anew
        started = time.process_time()
        resource.setrlimit(resource.RLIMIT_CPU, (int(started) + PROCESSOR_TIME + 1, resource.RLIM_INFINITY))
        outcome = Outcome(case, "result")
        try:
            outcome.notes = READERS[case.reader](case.path) or []
        except MmemoError as error:
            outcome.result, outcome.detail = "error", f"{type(error).__name__}: {error}"
        except BaseException:
            outcome.result, outcome.detail = "traceback", traceback.format_exc()
        outcome.seconds, outcome.gigabytes = time.process_time() - started, _status("VmHWM")
        inputs.send(outcome)


def _status(name: str) -> float:
    """GB of a line of /proc/self/status."""
    return int(re.search(rf"{name}:\s*(\d+)", Path("/proc/self/status").read_text())[1]) / 1e6  # type: ignore[index]


class Reader:
    """A process that reads inputs, started anew when it dies."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        self._pipe.recv()

    def __call__(self, case: Case) -> Outcome:
        self._pipe.send(case)
        try:
            if self._pipe.poll(WALL_TIME):
                outcome: Outcome = self._pipe.recv()
                return outcome
            self._process.kill()
        except EOFError:
            pass
        self._process.join()
        code = self._process.exitcode
        self._start()
        slow = code in (-signal.SIGXCPU, -signal.SIGKILL)
        return Outcome(case, "hang" if slow else "crash", f"the process ended with {code}")


# Hostile inputs


def hostile(folder: Path, seed: int, count: int) -> Iterator[Case]:
    """Files that are damaged, forged, joined, renamed or not what they seem: half of them media."""
    chance = random.Random(seed)
    originals = _originals(folder / "originals")
    special = [*_special(folder / "special")]
    yield from special
    left = max(0, count - len(special))
    shares = {reader: left // (2 * (len(originals) - 1)) for reader in originals}
    shares["media"] = left - sum(shares.values()) + shares["media"]
    for number, (reader, files) in enumerate(originals.items()):
        made = [*_made(files, chance, seed + number, shares[reader])]
        for place, (how, name, content) in enumerate(made):
            path = folder / reader / f"{place:04}" / Path(name).name
            path.parent.mkdir(parents=True)
            if reader == "model folder":
                with_file(folder / "originals" / "model", path.parent / "model", name, content)
                path = path.parent / "model"
            else:
                path.write_bytes(content)
            yield Case(path, how, reader)


def _originals(folder: Path) -> dict[str, dict[str, bytes]]:
    """Valid files by reader and name."""
    folder.mkdir(parents=True)
    for suffix, (video, sound, options) in CONTAINERS.items():
        encode(folder / f"c{suffix}", video, sound, seconds=1.0, size=(96, 96), **options)
    for suffix in PICTURES:
        (folder / f"c{suffix}").write_bytes(_picture(suffix, 96))
    videos = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    result = mmemo.analyze(text="I am so happy. You too?")
    model = model_folder(folder / "model")
    table = [["id", "transcript", "label"], ["a", "shared", "joy"], ["b", "x", "anger"]]
    text = "\n".join(map("\t".join, table)).encode()
    return {
        "media": videos,
        "subtitles": {"c.srt": SRT, "c.vtt": VTT, "c.ass": ASS},
        "manifest": {name: written(Manifest(CLIPS, EKMAN7).write, name, folder) for name in ("m.csv", "m.jsonl")},
        "table": {"t.xlsx": sheet(table), "t.csv": text.replace(b"\t", b";"), "t.tsv": text},
        "model folder": {
            str(path.relative_to(model)): path.read_bytes()
            for path in sorted(model.rglob("*"))
            if path.suffix in (".json", ".safetensors") and not path.name.startswith(".")
        },
        "OpenFace": {"c.csv": OPENFACE},
        "result": {"r.json": result.to_json().encode()},
        "baseline": {"b.json": written(mmemo.Baseline.fit([result]).save, "b.json", folder)},
        "adaptation": {
            "a.json": written(
                mmemo.Adaptation.fit([(mmemo.Clip(text="Hurray!"), "happiness")], modalities=("text",)).save,
                "a.json",
                folder,
            )
        },
        "feature pickle": {f"f{number}.pkl": content for number, content in enumerate(pickles(folder))},
    }


def _made(files: dict[str, bytes], chance: random.Random, seed: int, count: int) -> Iterator[tuple[str, str, bytes]]:
    """Ways of making, names and contents of inputs, of valid files by name."""
    names = [*files]
    strategies = {}
    for name, content in files.items():
        strategies[name] = damaged([content])
        if name.endswith(".json"):
            strategies[name] |= altered(json.loads(content)).map(json_lines)
        elif name.endswith(".jsonl"):
            lines = [json.loads(line) for line in content.splitlines()]
            strategies[name] |= altered(lines).map(
                lambda lines: json_lines(*lines if isinstance(lines, list) else [lines])
            )
    ways = [("damaged", *one) for one in drawn(st.sampled_from(names).flatmap(
        lambda name: strategies[name].map(lambda content: (name, content))), seed, count)]  # fmt: skip
    for place in range(count):
        name, other = chance.choice(names), chance.choice(names)
        data = files[name]
        match place % 8:
            case 0:
                yield "truncated", name, data[: chance.randrange(len(data))]
            case 1:
                yield "bytes flipped", name, _flipped(data, chance)
            case 2:
                tail = files[other][chance.randrange(len(files[other])) :]
                yield "spliced", name, data[: chance.randrange(len(data))] + tail
            case 3:
                yield "header forged", name, _forged(data, chance)
            case 4:
                yield "renamed", name, files[other] if other != name else chance.randbytes(3000)
            case _ if ways:
                yield ways.pop(chance.randrange(len(ways)))
            case _:
                yield "bytes flipped", name, _flipped(data, chance)


def drawn(strategy: st.SearchStrategy[Any], seed: int, count: int) -> list[Any]:
    """Values of a strategy of Hypothesis."""
    values: list[Any] = []

    @seeded(seed)
    @settings(FUZZ, max_examples=max(1, count), derandomize=False, phases=[Phase.generate])
    @given(strategy)
    def collect(value: Any) -> None:
        values.append(value)

    collect()
    return values[:count]


def _flipped(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 3, 30, 300))):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _forged(data: bytes, chance: random.Random) -> bytes:
    """Numbers near the start or end of a file, where headers and indexes are, made huge, tiny or negative."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        width = chance.choice((1, 2, 4, 8))
        place = chance.randrange(min(len(data), 400))
        place = chance.choice((place, len(data) - 1 - place))
        number = chance.choice((0, 1, (1 << 8 * width) - 1, (1 << 8 * width - 1) - 1, 1 << 8 * width - 1))
        changed[place : place + width] = number.to_bytes(width, chance.choice(("big", "little")))
    return bytes(changed)


def _special(folder: Path) -> Iterator[Case]:
    """What no chance makes: no files at all, stand-ins, late clocks, bombs."""
    folder.mkdir(parents=True)

    def put(name: str, content: bytes, how: str, reader: str = "media") -> Case:
        (folder / name).write_bytes(content)
        return Case(folder / name, how, reader)

    for reader, suffix in (("media", ".mp4"), ("subtitles", ".srt"), ("manifest", ".csv"), ("table", ".xlsx"),
                           ("OpenFace", ".csv"), ("result", ".json"), ("baseline", ".json"), ("adaptation", ".json"),
                           ("feature pickle", ".pkl"), ("model folder", ".d")):  # fmt: skip
        stem = reader.replace(" ", "-")
        os.mkfifo(folder / f"{stem}-pipe{suffix}")
        yield Case(folder / f"{stem}-pipe{suffix}", "no plain file", reader)
        (folder / f"{stem}-zero{suffix}").symlink_to("/dev/zero")
        yield Case(folder / f"{stem}-zero{suffix}", "no plain file", reader)
        (folder / f"{stem}-folder{suffix}").mkdir()
        yield Case(folder / f"{stem}-folder{suffix}", "no plain file", reader)
        yield Case(folder / f"{stem}-nowhere{suffix}", "no plain file", reader)
        yield put(f"{stem}-empty{suffix}", b"", "stand-in", reader)
        yield put(
            f"{stem}-lfs{suffix}",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
            "stand-in",
            reader,
        )
        yield put(f"{stem}-page{suffix}", b"<!DOCTYPE html><html><body>404</body></html>", "stand-in", reader)
        yield put(f"{stem}-text{suffix}", b"[" * 100_000, "nested", reader)
        yield put(f"{stem}-long{suffix}", b'"' + b"9" * 20_000_000, "nested", reader)
    for suffix in (".png", ".bmp", ".gif", ".jpg", ".wav"):
        yield put(f"bomb{suffix}", _bomb(suffix), "header forged")
    late = make_clip(folder / "late-of.mkv", seconds=1.0, size=(96, 96), rate=10)
    for number, seconds in enumerate((30, 86_400, 1.8e9)):
        target = folder / f"late{number}.mkv"
        with av.open(str(late)) as read, av.open(str(target), "w", options={"output_ts_offset": f"{seconds}"}) as to:
            streams = {stream: to.add_stream_from_template(stream) for stream in read.streams}
            for packet in read.demux():
                if packet.dts is not None:
                    packet.stream = streams[packet.stream]
                    to.mux(packet)
        yield Case(target, "late clock", "media", "result")
    for number, address in enumerate(
        ("http://127.0.0.1:9/a.ts", "file:///etc/passwd", "concat:/etc/passwd|/etc/hosts")
    ):
        yield put(f"list{number}.mp4", f"#EXTM3U\n#EXTINF:9,\n{address}\n".encode(), "playlist")
        yield put(f"concat{number}.mkv", f"ffconcat version 1.0\nfile '{address}'\n".encode(), "playlist")
    yield put("voice.vtt", b"WEBVTT\n\n00:00.000 --> 00:01.000\n<v" + b" " * 100_000, "bomb", "subtitles")
    yield put("hours.srt", b"1\n" + b"9" * 400 + b":00:00,000 --> 00:00:02,000\nHi\n", "bomb", "subtitles")
    yield put("far.xlsx", sheet([["id", "label"]], "ZZZZZZ1"), "bomb", "table")
    yield put("wide.xlsx", sheet([["x" * 50] * 3] * 200_000), "bomb", "table")


def _bomb(suffix: str) -> bytes:
    """A file of some hundred bytes that claims the largest picture or the most sound that its header can."""
    data = bytearray(_picture(suffix, 16) if suffix != ".wav" else _wave(100))
    if suffix == ".png":
        data[16:24] = b"\0\0\xff\xff" * 2
        data[29:33] = crc32(data[12:29]).to_bytes(4, "big")
    elif suffix == ".bmp":
        data[18:26] = b"\xff\xff\0\0" * 2
    elif suffix == ".gif":
        data[6:10] = b"\xff\xff" * 2
    elif suffix == ".jpg":
        start = data.index(b"\xff\xc0") + 5
        data[start : start + 4] = b"\xff" * 4
    else:
        data[22:28] = b"\xff\xff" + b"\xff\xff\xff\x7f"
    return bytes(data)


# Everyday inputs

CONTAINERS: dict[str, tuple[str | None, str | None, dict[str, Any]]] = {
    ".mp4": ("libx264", "aac", {}), ".mov": ("mpeg4", "alac", {}), ".mkv": ("libx265", "flac", {}),
    ".webm": ("libvpx-vp9", "libopus", {"sample_rate": 48_000}), ".avi": ("mpeg4", "libmp3lame", {}),
    ".mpg": ("mpeg2video", "mp2", {}), ".vob": ("mpeg2video", "ac3", {"sample_rate": 48_000}),
    ".ts": ("libx264", "aac", {}), ".m2ts": ("libx264", "ac3", {"sample_rate": 48_000}),
    ".3gp": ("libx264", "aac", {}), ".flv": ("flv", "libmp3lame", {"sample_rate": 22_050}),
    ".wmv": ("wmv2", "wmav2", {}), ".asf": ("wmv2", "wmav2", {}),
    ".ogv": ("libvpx", "libopus", {"sample_rate": 48_000}),
    ".mxf": ("mpeg2video", "pcm_s16le", {"sample_rate": 48_000}), ".m4v": ("libsvtav1", "aac", {}),
    ".f4v": ("libx264", "aac", {}), ".3g2": ("mpeg4", "aac", {}), ".gif": ("gif", None, {"rate": 10}),
    ".wav": (None, "pcm_s16le", {}), ".w64": (None, "pcm_s24le", {}), ".mp3": (None, "libmp3lame", {}),
    ".mp2": (None, "mp2", {}), ".m4a": (None, "aac", {}), ".m4b": (None, "aac", {}), ".aac": (None, "aac", {}),
    ".flac": (None, "flac", {}), ".ogg": (None, "libopus", {"sample_rate": 48_000}), ".oga": (None, "flac", {}),
    ".opus": (None, "libopus", {"sample_rate": 48_000}), ".wma": (None, "wmav2", {}), ".aiff": (None, "pcm_s16be", {}),
    ".au": (None, "pcm_s16be", {}), ".caf": (None, "pcm_s16le", {}), ".mka": (None, "aac", {}),
    ".weba": (None, "libopus", {"sample_rate": 48_000}), ".ac3": (None, "ac3", {"sample_rate": 48_000}),
    ".amr": (None, "libopencore_amrnb", {"sample_rate": 8_000}),
}  # fmt: skip
"""Codecs of the picture and of the sound by suffix, and what they need."""
FORMATS = {
    ".mpg": "mpeg", ".m2ts": "mpegts", ".3g2": "3g2", ".f4v": "mp4", ".weba": "webm", ".mka": "matroska",
    ".m4a": "ipod", ".m4b": "ipod", ".m4v": "mp4", ".aac": "adts", ".wma": "asf", ".vob": "vob",
}  # fmt: skip
"""Names of formats that PyAV does not find by the suffix."""
PICTURES = (".jpg", ".png", ".webp", ".bmp", ".tiff", ".jp2", ".ppm")
NAMES = (
    b"clip", b"a clip with blanks", b"Gru\xc3\x9f an \xc3\x84nne", b"caf\xe9", b"%20", b"-dash", b"quote'\"",
    b"a#b?c&d", b"new\nline",
    b"\xe5\xbf\x83", b"\xf0\x9f\x98\x80", b"x" * 200, b"dots...", b"$HOME", b"=1+1", b"[a]", b"COM1", b"e\xcc\x81",
)  # fmt: skip


def everyday(folder: Path, seed: int, count: int) -> Iterator[Case]:
    """Files as people have them: every container whole and cut in half, then all sorts of settings and names."""
    folder.mkdir(parents=True)
    chance = random.Random(seed)
    for case in _everyday(folder, chance):
        yield case
        count -= 1
        if not count:
            return


def _everyday(folder: Path, chance: random.Random) -> Iterator[Case]:
    for suffix, (video, sound, options) in CONTAINERS.items():
        path = encode(folder / f"whole{suffix}", video, sound, seconds=2.0, **options)
        yield Case(path, "container", "media, written", "result")
        yield _half(path)
    for suffix in PICTURES:
        path = folder / f"picture{suffix}"
        path.write_bytes(_picture(suffix, 200))
        yield Case(path, "picture", "media, written", "result")
        yield _half(path)
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "latin-1"):
        for text, suffix in ((SRT, ".srt"), (VTT, ".vtt"), (ASS, ".ass")):
            path = folder / f"{encoding}{suffix}"
            path.write_bytes(
                text.decode().replace("\n", chance.choice(("\n", "\r\n"))).replace("Hello", "Grüß").encode(encoding)
            )
            yield Case(path, "subtitles", "subtitles", "result")
        for separator in ",;\t":
            path = folder / f"{encoding}{ord(separator)}.csv"
            rows = (("id", "transcript", "label"), ("a", "Schön", "joy"), ("b", "x", "anger"))
            path.write_bytes("\n".join(map(separator.join, rows)).encode(encoding))
            yield Case(path, "table", "table", "result" if encoding.startswith("utf-8") else "anything")
    for number in range(10):
        path = make_clip(folder / f"mine{number}.wav", seconds=1.0, picture=False)
        path.with_suffix(".srt").write_bytes(SRT)
        yield Case(path, "output over input", "output over input")
    number = 0
    while True:
        number += 1
        yield _any(folder / f"{number:04}", chance)


def _half(path: Path) -> Case:
    half = path.with_name(f"half{path.suffix}")
    data = path.read_bytes()
    half.write_bytes(data[: len(data) // 2])
    return Case(half, "cut in half", "media", "anything" if path.suffix in ANYWHERE else "damaged")


def _any(folder: Path, chance: random.Random) -> Case:
    """A clip of random length, size, rate, channels, turn, content and name; cut in half now and then."""
    folder.mkdir()
    suffix = chance.choice((".mp4", ".mp4", ".mkv", ".wav", ".m4a"))
    film = suffix in (".mp4", ".mkv")
    seconds = chance.choice((0.04, 0.3, 1.0, 2.0, 3.3, 8.0))
    rate = chance.choice((8_000, 11_025, 16_000, 22_050, 44_100, 48_000))
    kind = chance.choice(("speech", "speech", "speech", "silence", "noise", None if film else "speech"))
    sound: Any = kind
    if kind == "speech":
        times = np.arange(round(seconds * rate)) * 16_000 / rate % 64_000
        wave = np.interp(times, np.arange(64_000), speech()[:64_000]).astype(np.float32)
        sound = np.tile(wave, (chance.choice((1, 1, 2, 6, 8)), 1)) * chance.choice((0.05, 1.0, 1.0))
    sizes = ((320, 240), (640, 360), (360, 640), (176, 144), (322, 242), (1280, 720), (64, 48), (16, 16))
    size, faces, turn = chance.choice(sizes), chance.choice((0, 1, 1, 2)), chance.choice((0, 0, 90, 180, 270))
    path = make_clip(
        folder / f"x{suffix}", seconds=seconds, size=size,
        rate=chance.choice((1, 5, 10, 24, 25, 30, 60) if seconds >= 1 else (25, 50)),
        faces=faces, picture=film, sound=sound, sample_rate=rate if kind == "speech" else 16_000,
        rotation=turn if suffix == ".mp4" else 0, variable_rate=chance.random() < 0.2,
        cut=chance.choice((None, None, 0.5)),
    )  # fmt: skip
    path = path.rename(folder / os.fsdecode(chance.choice(NAMES) + suffix.encode()))
    if chance.random() < 0.2:
        return _half(path)
    clear = seconds >= 1 and (kind == "speech" or (film and faces == 1 and min(size) >= 144))
    return Case(path, "settings", "media, written", "result" if clear else "anything")


# Writing


def encode(
    path: Path,
    video: str | None,
    sound: str | None,
    *,
    seconds: float,
    size: tuple[int, int] = (320, 240),
    rate: int = 25,
    sample_rate: int = 16_000,
) -> Path:
    """A clip of a face and a voice by any codecs that PyAV has."""
    if path.suffix == ".mpg" or video == "mpeg2video":
        sample_rate = max(sample_rate, 48_000)
    with av.open(str(path), "w", format=FORMATS.get(path.suffix)) as container:
        if video:
            quiet = {"x265-params": "log-level=none"} if video == "libx265" else {}
            stream: Any = container.add_stream(video, rate=rate, options=quiet)
            stream.width, stream.height, stream.pix_fmt = *size, "rgb8" if video == "gif" else "yuv420p"
        if sound:
            track: Any = container.add_stream(sound, rate=sample_rate)
            if sound == "wmav2":
                track.bit_rate = 64_000  # it has no default
            track.layout = "mono" if path.suffix != ".mxf" else "stereo"
        for number in range(round(seconds * rate) if video else 0):
            picture = np.roll(cv2.resize(portrait(), size), number % 3, axis=1)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        if video:
            container.mux(stream.encode(None))
        if sound:
            times = np.arange(round(seconds * sample_rate)) * 16_000 / sample_rate
            wave = np.interp(times, np.arange(64_000), speech()[:64_000]).astype(np.float32)
            channels = track.layout.nb_channels
            block = av.AudioFrame.from_ndarray(np.repeat(wave, channels)[None], format="flt", layout=track.layout.name)
            block.sample_rate, block.pts = sample_rate, 0
            container.mux(track.encode(block))
            container.mux(track.encode(None))
    return path


def _picture(suffix: str, side: int) -> bytes:
    return cv2.imencode(suffix, cv2.resize(portrait()[..., ::-1], (side, side)))[1].tobytes()


def _wave(samples: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setparams((1, 2, 16_000, samples, "NONE", ""))
        written.writeframes(bytes(2 * samples))
    return file.getvalue()


# The run


def main(seed: int, count: tuple[int, int], processes: int, out: Path | None) -> int:
    """Print the table; the number of faults."""
    os.environ["SVT_LOG"] = "1"  # errors only
    root = Path(tempfile.mkdtemp(prefix="hostile-"))
    try:
        cases = [("hostile", case) for case in hostile(root / "hostile", seed, count[0])]
        cases += [("everyday", case) for case in everyday(root / "everyday", seed, count[1])]
        before = _hashes(root)
        print(f"{len(cases)} inputs, {len(before)} files", flush=True)
        local, pool = threading.local(), ThreadPoolExecutor(processes)

        def read(case: Case) -> Outcome:
            if not hasattr(local, "reader"):
                local.reader = Reader()
            outcome = local.reader(case)
            if outcome.fault:
                print(f"{outcome.fault}: {case.path.relative_to(root)!s} ({case.made}): {outcome.detail[-2000:]}"
                      .encode(errors="replace").decode(), flush=True)  # fmt: skip
            return outcome

        outcomes = [*zip((group for group, _ in cases), pool.map(read, (case for _, case in cases)), strict=True)]
        after = _hashes(root)
        lost = sorted(before.keys() - after.keys())
        changed = sorted(
            {name for name in before.keys() & after.keys() if before[name] != after[name]}
            | (after.keys() - before.keys())
        )
        for what, names in (("lost", lost), ("changed or new", changed)):
            for name in names:
                print(f"{what}: {name!r}")
        faults = _table(outcomes) + len(lost) + len(changed)
        print(f"\nFiles of {len(before)}: {len(lost)} lost, {len(changed)} changed or new")
        if out is not None:
            rows = [{"group": group, "fault": one.fault, **asdict(one)} for group, one in outcomes]
            document = {"seed": seed, "mmemo": mmemo.__version__, "lost": lost, "changed": changed, "inputs": rows}
            out.write_text(json.dumps(document, indent=1, default=lambda path: str(path.relative_to(root))))
        return faults
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _table(outcomes: Sequence[tuple[str, Outcome]]) -> int:
    """Prints inputs, results, refusals and faults of each kind; the number of faults."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for group, one in outcomes:
        for key in ((group, one.case.reader), (group, "all")):
            counts.setdefault(key, Counter()).update(
                ["inputs", one.result, *([one.fault] if one.fault and one.fault != one.result else [])]
            )
    columns = ("inputs", "result", "error", *FAULTS[:6])
    print(f"\n{'':30}" + "".join(f"{column:>18}" for column in columns))
    for (group, reader), row in counts.items():
        print(f"{group + ': ' + reader:30}" + "".join(f"{row[column]:18}" for column in columns))
    most = max(outcomes, key=lambda pair: pair[1].seconds)[1], max(outcomes, key=lambda pair: pair[1].gigabytes)[1]
    print(f"\nAt most {most[0].seconds:.1f} s of processor time ({most[0].case.path.name!r}), "
          f"{most[1].gigabytes:.2f} GB ({most[1].case.path.name!r})")  # fmt: skip
    return sum(one.fault is not None for _, one in outcomes)


def _hashes(root: Path) -> dict[str, str]:
    """SHA-256 of every file, and the kind of all else."""
    found = {}
    for path in root.rglob("*"):
        plain = path.is_file() and not path.is_symlink()
        found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest() if plain else "no plain file"
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hostile", type=int, default=800, metavar="COUNT")
    parser.add_argument("--everyday", type=int, default=300, metavar="COUNT")
    parser.add_argument("--processes", type=int, default=2, metavar="COUNT")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="what came of every input")
    given_ = parser.parse_args()
    sys.exit(bool(main(given_.seed, (given_.hostile, given_.everyday), given_.processes, given_.out)))
