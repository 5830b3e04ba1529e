"""Sentences that recognizers write where they recognize nothing: the ends of the subtitles they were trained on."""

from __future__ import annotations

import re

_INVENTED = (
    r".*\bamara org.*",
    # English
    r"(?:thanks|thank you)(?: (?:so|very) much)? for (?:watching|listening|viewing)\b.*",
    r"(?:subtitles|captions|transcription|translation|subtitled|transcribed|translated) by\b.*",
    r"(?:please )?(?:don't forget to )?(?:like and )?subscribe\b.*",
    r".*\bsee you (?:in the |all )?next (?:time|video|one)\b.*",
    r".*\bgo to the next (?:one|video)\b.*",
    # Arabic
    r"ترجمة نانسي قنقر",
    r"(?:لا تنسوا )?(?:الاشتراك|اشتركوا) في القناة.*",
    r"شكرا (?:لكم )?(?:على |ل)(?:ال)?مشاهد.*",
    # Chinese
    r"(?:中文)?字幕.*",
    r"[请請]不吝.*",
    r".*明[镜鏡][与與]点点.*",
    r".*[欢歡请請]迎?[订訂][阅閱].*",
    r"(?:[多感][谢謝]|[谢謝]{2})(?:您|你|大家|各位)?的?[观觀收][看听聽].*",
    r"(?:我[们們])?下期(?:节目|節目|视频|影片)?再[见見]",
    r"優優獨播劇場.*",
    # Dutch, Swedish
    r"ondertitel\w+ (?:door|van|ing|nl)\b.*",
    r"bedankt voor het kijken.*",
    r"undertext\w* (?:av|från|nu)\b.*",
    # French
    r"sous titr\w+ (?:réalisé\w*|par|fait|société|st|de)\b.*",
    r"merci d'avoir regardé\b.*",
    r"(?:n'oubliez pas de vous )?abonne[zr] vous\b.*",
    # German
    r"untertitel\w* (?:der|des|im auftrag|von|aufgrund|br|ard|zdf|swr|wdr)\b.*",
    r"(?:vielen dank|danke) fürs zu(?:schauen|sehen|hören)\b.*",
    # Indonesian, Vietnamese
    r"terima kasih (?:telah|sudah) menonton.*",
    r"hãy (?:subscribe|đăng ký) cho kênh.*",
    # Italian
    r"sottotitoli (?:e revisione )?(?:a cura di|creati|di)\b.*",
    r"grazie per (?:la visione|aver guardato)\b.*",
    r"iscriv\w+ al (?:mio |nostro )?canale.*",
    # Japanese, Korean
    r"(?:最後まで)?ご[視清][聴][頂いただき]*ありがとうござい.*",
    r".*チャンネル登録.*",
    r".*시청해 ?주셔서 감사합니다.*",
    r".*구독과? 좋아요.*",
    # Polish
    r"napisy (?:stworzone |wykonane )?(?:przez|by)\b.*",
    r"(?:dziękuję|dziękujemy|dzięki) za (?:oglądanie|obejrzenie)\b.*",
    r"(?:zapraszam do )?subskry\w+\b.*",
    # Portuguese, Spanish
    r"legenda\w* (?:pela|por|adriana)\b.*",
    r"obrigad[oa] por (?:assistir|ver)\b.*",
    r"(?:se )?inscrev\w+ .*\bcanal\b.*",
    r"subt[ií]tulos (?:realizados |creados )?por\b.*",
    r"(?:muchas )?gracias por ver\b.*",
    r"suscr[ií]b\w+ al canal.*",
    # Russian
    r"(?:субтитры|редактор субтитров)\b.*",
    r"спасибо за просмотр.*",
    r"подпи(?:шись|сывайтесь) на (?:мой |наш )?канал.*",
    # Turkish
    r"altyaz. m k",
    r"(?:beni )?izlediğiniz için teşekkür.*",
    r".*\babone olmay. unutmay.n.*",
)
_THANKS = (
    r"(?:okay |well |and |so )?(?:thanks|thank you)(?: (?:so|very) much)?",
    r"شكرا(?: جزيلا| لكم)?",
    r"(?:多谢|多謝|谢谢|謝謝)(?:大家|你|您)?",
    r"ありがとうございま(?:す|した)",
    r"감사합니다",
    r"(?:vielen dank|danke)(?: schön| sehr)?",
    r"(?:be)?dankt?(?: je| u)?(?: wel)?",
    r"(?:muchas )?gracias|merci(?: beaucoup)?|grazie(?: mille| a tutti)?|(?:muito )?obrigad[oa]",
    r"dzięk(?:i|uję)(?: bardzo)?|спасибо(?: большое)?|teşekkür(?:ler| ederi[mz])",
)
_MARKS = re.compile("[\u0307\u064b-\u0652]")
"""Vowels of Arabic, which are not always written, and the dot of a Turkish capital."""
_ANY_INVENTED, _ANY_THANKS = re.compile("|".join(_INVENTED)), re.compile("|".join(_THANKS))


def plain(text: str) -> str:
    """The words of a text in lower case, with single blanks between."""
    return " ".join(re.findall(r"[\w']+", _MARKS.sub("", text.lower())))


def is_invented(words: str) -> bool:
    """Whether plain words are such a sentence, in any language: recognizers mix them up in these."""
    return _ANY_INVENTED.fullmatch(words) is not None


def is_thanks(words: str) -> bool:
    """Whether plain words only thank, which people say and recognizers invent."""
    return _ANY_THANKS.fullmatch(words) is not None
