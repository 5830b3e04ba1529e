"""Damaged files and invented values, by Hypothesis.

``MMEMO_FUZZ_INPUTS`` is the number of inputs of each reader. They are the same in every run, as long as the code of
the test is; see the fixture `same_inputs`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

Check = Callable[..., None]
"""The fixture `check`."""
INPUTS = int(os.environ.get("MMEMO_FUZZ_INPUTS", 300))
FUZZ = settings(
    max_examples=INPUTS,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[*HealthCheck],
)


_SIGNS = (b"\0", b"\xff", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80", b"-1", b"9" * 400, b"1e999", b"nan", b'"', b",", b"\n",
          b"{", b"[" * 200, b"\xed\xa0\x80", b"\xef\xbb\xbf", b"<", b" " * 1000)  # fmt: skip
"""What is put into a file: ends of ranges, delimiters, numbers that are too large, bytes that are no text."""


@st.composite
def damaged(draw: st.DrawFn, originals: Sequence[bytes]) -> bytes:
    """One of some valid files with up to four changes: bits, bytes, blocks, its end."""
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, max(0, len(data) - 1)))
        length = draw(st.one_of(st.integers(1, 16), st.integers(1, max(1, len(data)))))
        match draw(st.integers(0, 6)):
            case 0 if data:
                data[place] ^= 1 << draw(st.integers(0, 7))
            case 1 if data:
                data[place] = draw(st.integers(0, 255))
            case 2:
                data[place:place] = draw(st.sampled_from(_SIGNS))
            case 3:
                sign = draw(st.sampled_from(_SIGNS))
                data[place : place + len(sign)] = sign
            case 4:
                del data[place:]
            case 5:
                del data[place : place + length]
            case 6:
                other = draw(st.integers(0, len(data)))
                data[other:other] = data[place : place + min(length, 5000)]
    return bytes(data)


_ODD = (None, True, -1, 0, 10**400, 1e308, -0.0, float("nan"), float("inf"), "", "\ud800", "\0", "1", "nan", "a=b")
_LEAF = st.sampled_from(_ODD) | st.sampled_from(_ODD) | st.integers() | st.floats() | st.text(max_size=8)
VALUES: st.SearchStrategy[Any] = st.one_of(
    _LEAF,
    _LEAF,
    st.lists(_LEAF, max_size=4),
    st.dictionaries(st.text(max_size=5), _LEAF, max_size=4),
    st.lists(st.lists(_LEAF, max_size=3), max_size=3),
    st.just(json.loads("[" * 150 + "]" * 150)),
)
"""Any value of JSON, odd ones among them."""


@st.composite
def altered(draw: st.DrawFn, document: Any) -> Any:
    """A JSON document with up to three of its parts replaced by any value, left out, or added."""
    document = deepcopy(document)
    for _ in range(draw(st.integers(0, 3))):
        part, steps = document, draw(st.integers(0, 6))
        for _ in range(steps):
            below = [*part.values()] if isinstance(part, dict) else part
            inner = [one for one in below if isinstance(one, dict | list) and one]
            if not inner:
                break
            part = draw(st.sampled_from(inner))
        value = deepcopy(draw(VALUES))
        if not part:
            return value
        place = draw(st.sampled_from([*part] if isinstance(part, dict) else range(len(part))))
        match draw(st.integers(0, 4)):
            case 0:
                del part[place]
            case 1 if isinstance(part, dict):
                part["other"] = value
            case _:
                part[place] = value
    return document


def json_lines(*lines: Any) -> bytes:
    return "\n".join(map(json.dumps, lines)).encode()
