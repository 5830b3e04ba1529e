"""The language of a subtitle file by its name, and of a stream or track by the tag that its file gives it."""

from __future__ import annotations

import re
from pathlib import Path

_CODES = """
aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz
ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik
io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml
mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa se
sd sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi
vo wa wo xh yi yo za zh zu
"""
LANGUAGES = frozenset(_CODES.split())
"""ISO 639-1, without Sardinian: ``clip.sc.srt`` is simplified Chinese."""
_NAMES = {
    "ar": "ara arabic", "bg": "bul", "cs": "ces cze czech", "da": "dan danish", "de": "deu ger german deutsch",
    "el": "ell gre greek", "en": "eng english", "es": "spa spanish espa\xf1ol", "fa": "fas per persian",
    "fi": "fin finnish", "fr": "fra fre french fran\xe7ais", "he": "heb hebrew", "hi": "hin hindi",
    "hr": "hrv croatian", "hu": "hun hungarian", "id": "ind indonesian", "it": "ita italian italiano",
    "ja": "jpn jp japanese \u65e5\u672c\u8a9e", "ko": "kor korean \ud55c\uad6d\uc5b4", "nl": "nld dut dutch",
    "no": "nor norwegian", "pl": "pol polish", "pt": "por portuguese portugu\xeas", "ro": "ron rum romanian",
    "ru": "rus russian \u0440\u0443\u0441\u0441\u043a\u0438\u0439", "sk": "slk slo", "sl": "slv", "sr": "srp serbian",
    "sv": "swe swedish", "th": "tha thai", "tr": "tur turkish", "uk": "ukr ukrainian", "vi": "vie vietnamese",
    "zh": "zho chi cmn yue chs cht sc tc cn gb big5 hans hant chinese mandarin \u4e2d\u6587 \u7b80\u4f53 \u7e41\u4f53 "
    "\u7e41\u9ad4 \u7b80\u4e2d \u7e41\u4e2d \u7b80\u4f53\u4e2d\u6587 \u7e41\u4f53\u4e2d\u6587 \u7e41\u9ad4\u4e2d\u6587",
}  # fmt: skip
_BY_NAME = {name: code for code, names in _NAMES.items() for name in names.split()}
_KINDS = frozenset({"sdh", "cc", "hi", "forced", "full", "auto", "orig", "default"})


def language_of(path: Path) -> str | None:
    """The language in a file's name (``clip.en.srt``, ``clip.pt-BR.vtt``, ``clip.chs.srt``), or None."""
    parts = path.stem.lower().split(".")[1:]
    while len(parts) > 1 and parts[-1] in _KINDS:
        parts.pop()
    return language_code(parts[-1]) if parts else None


def language_code(tag: str | None) -> str | None:
    """The ISO 639-1 code of a tag or name (``eng``, ``zh-Hans``, ``Spanish``), or None."""
    name = re.split("[-_&+]", (tag or "").strip().lower())[0]
    name = _BY_NAME.get(name, name)
    return name if name in LANGUAGES else None


def is_forced(path: Path) -> bool:
    """Whether a file has the lines in foreign languages alone, by its name (``clip.en.forced.srt``)."""
    return "forced" in path.stem.lower().split(".")
