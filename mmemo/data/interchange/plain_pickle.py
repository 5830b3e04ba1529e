"""Pickles that hold arrays, numbers, text and plain containers, read without running what is in them.

A pickle is a program: `pickle.load` calls whatever it names. This reader knows a dozen names, of NumPy's arrays and of
plain types, and gives each a meaning of its own: no function or class of another module is ever looked up. Not even
NumPy's own ``__setstate__`` is called, for it trusts a pickle's description of an array's memory.

A small pickle can stand for very much: containers that hold one another twice over, keys of them whose hash takes a
lifetime, a place in the memo far out. So the unpickler is Python's own one in Python, whose memo is a dictionary, keys
are plain, and what the containers hold altogether is limited by the size of the file.
"""

from __future__ import annotations

import pickle
import re
import sys
from collections.abc import Iterable, Mapping
from mmap import ACCESS_READ, mmap
from pathlib import Path
from struct import unpack
from typing import Any

import numpy as np

from mmemo.errors import ManifestError
from mmemo.reading import open_input, reason

_PLAIN = re.compile(r"[?]|b1|[biufc]\d+|[SU]\d+")
_SPARE = 1_000_000
"""Items that a pickle may hold beyond one for each of its bytes, counted as often as they are reached."""


class _Dtype:
    """A type under construction: its letters, then its byte order."""

    def __init__(self, spec: object) -> None:
        if not isinstance(spec, str) or not (_PLAIN.fullmatch(spec) or spec == "O8"):
            raise pickle.UnpicklingError(f"an array of type {spec!r}")
        self.spec = spec
        self.order = "|"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError(f"byte order {state[1]!r}")
        self.order = state[1]

    @property
    def holds_objects(self) -> bool:
        return self.spec == "O8"

    def numpy(self) -> np.dtype[Any]:
        return np.dtype(self.order + self.spec if self.order != "|" else self.spec)


class _Array:
    """An array under construction: empty until its state comes."""

    value: np.ndarray | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, data = state
        self.value = _array(kind, shape, data, fortran=bool(fortran))


def _array(kind: object, shape: object, data: object, *, fortran: bool) -> np.ndarray:
    if not isinstance(kind, _Dtype) or not isinstance(shape, tuple) or not all(isinstance(n, int) for n in shape):
        raise pickle.UnpicklingError("an array of no plain type or shape")
    order: Any = "F" if fortran else "C"
    if kind.holds_objects:
        if not isinstance(data, list):
            raise pickle.UnpicklingError("an array of objects from raw memory")
        objects = np.empty(len(data), object)
        for place, item in enumerate(data):
            objects[place] = item
        return objects.reshape(shape, order=order)
    if isinstance(data, str):  # as Python 2 wrote it
        data = data.encode("latin1")
    if not isinstance(data, bytes | bytearray):
        raise pickle.UnpicklingError("an array of no bytes")
    dtype = kind.numpy()
    if not data and 0 in shape:
        return np.zeros(shape, dtype)
    return np.frombuffer(data, dtype).reshape(shape, order=order).copy()


class _Name:
    """What a name in a pickle means here; without attributes, so that a pickle can't change it."""

    __slots__ = ()


class _Ndarray(_Name):
    __slots__ = ()


class _MakeDtype(_Name):
    __slots__ = ()

    def __call__(self, spec: object, *_: object) -> _Dtype:
        return _Dtype(spec)


class _Reconstruct(_Name):
    __slots__ = ()

    def __call__(self, kind: object, *_: object) -> _Array:
        if not isinstance(kind, _Ndarray):
            raise pickle.UnpicklingError("a subclass of arrays")
        return _Array()


class _FromBuffer(_Name):
    __slots__ = ()

    def __call__(self, data: object, kind: object, shape: object, order: object = "C") -> np.ndarray:
        return _array(kind, shape, data, fortran=order == "F")


class _Scalar(_Name):
    __slots__ = ()

    def __call__(self, kind: object, data: object) -> Any:
        return _array(kind, (), data, fortran=False)[()]


class _Encode(_Name):
    """Bytes, as old protocols write them."""

    __slots__ = ()

    def __call__(self, text: str, encoding: str = "latin1") -> bytes:
        if encoding not in ("latin1", "latin-1"):
            raise pickle.UnpicklingError(f"text in {encoding!r}")
        return str(text).encode("latin1")


class _NoBytes(_Name):
    """Old protocols write empty bytes as a call without arguments."""

    __slots__ = ()

    def __call__(self) -> bytes:
        return b""


class _Set(_Name):
    __slots__ = ()

    def __call__(self, items: list[Any] | tuple[Any, ...] = ()) -> set[Any]:
        return set(_plain_keys(items))


def _plain_keys(keys: Iterable[Any]) -> Any:
    """The keys of a mapping, or the items of a set: numbers and texts, and tuples of these."""
    for key in keys:
        for part in key if isinstance(key, tuple) else (key,):
            if not isinstance(part, str | bytes | int | float | complex | np.generic | None):
                raise pickle.UnpicklingError(f"a key of the type {type(part).__name__}")
    return keys


_NAMES: Mapping[tuple[str, str], _Name] = {
    ("numpy", "ndarray"): _Ndarray(),
    ("numpy", "dtype"): _MakeDtype(),
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Reconstruct() for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _Scalar() for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _FromBuffer() for core in ("core", "_core")},
    ("_codecs", "encode"): _Encode(),
    ("__builtin__", "bytes"): _NoBytes(),
    **{(module, kind): _Set() for module in ("builtins", "__builtin__") for kind in ("set", "frozenset")},
}


_InPython: Any = pickle._Unpickler


class _Unpickler(_InPython):  # type: ignore[misc]  # what is changed here is not in its type
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _NAMES[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"the name {module}.{name}") from None

    def _set_item(self) -> None:
        _plain_keys(self.stack[-2:-1])
        self.load_setitem()

    def _set_items(self) -> None:
        _plain_keys(self.stack[::2])
        self.load_setitems()

    def _dict(self) -> None:
        _plain_keys(self.stack[::2])
        self.load_dict()

    def _add_items(self) -> None:
        _plain_keys(self.stack)
        self.load_additems()

    def _frozenset(self) -> None:
        _plain_keys(self.stack)
        self.load_frozenset()

    def _bytes(self) -> None:
        (size,) = unpack("<Q", self.read(8))
        content = self.read(min(size, sys.maxsize))
        if len(content) < size:  # the original makes room for them all before it reads
            raise EOFError
        self.append(bytearray(content))

    dispatch = _InPython.dispatch | {
        pickle.SETITEM[0]: _set_item,
        pickle.SETITEMS[0]: _set_items,
        pickle.DICT[0]: _dict,
        pickle.ADDITEMS[0]: _add_items,
        pickle.FROZENSET[0]: _frozenset,
        pickle.BYTEARRAY8[0]: _bytes,
    }


def load_plain_pickle(path: str | Path) -> Any:
    """Read a pickle of arrays, numbers, text, lists, tuples, sets and mappings.

    Raises:
        ManifestError: if there is no such file, it is damaged, or it names anything else.
    """
    path = Path(path)
    try:
        with open_input(path) as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            loaded = _Unpickler(content, encoding="latin1").load()
            return _Finisher(_SPARE + len(content)).finished(loaded)
    except FileNotFoundError:
        raise ManifestError(path, ["there is no such file"]) from None
    except OSError as error:
        raise ManifestError(path, [f"it can't be read: {reason(error)}"]) from None
    except pickle.UnpicklingError as error:
        message = (
            f"it holds {error}: only arrays, numbers, text and plain containers are read, as anything else can be code"
        )
        raise ManifestError(path, [message]) from None
    except Exception as error:  # a damaged program fails in any way
        raise ManifestError(path, [f"not a pickle of arrays and plain containers: {error!r}"]) from None


class _Finisher:
    """Puts arrays in the place of those under construction.

    Args:
        room: items that there may be altogether; of a container that is held twice they count twice.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._done: dict[int, tuple[Any, Any, int]] = {}
        """By the identity of a container: itself, so that it keeps its identity; what became of it; its items."""

    def finished(self, value: Any) -> Any:
        """The same with its arrays finished."""
        return self._finish(value)[0]

    def _finish(self, value: Any) -> tuple[Any, int]:
        if isinstance(value, _Array):
            if value.value is None:
                raise pickle.UnpicklingError("an array without content")
            value = value.value
        if isinstance(value, _Name | _Dtype):
            raise pickle.UnpicklingError("a type that is no value")
        holds_objects = isinstance(value, np.ndarray) and value.dtype == object
        if not holds_objects and not isinstance(value, dict | list | tuple):
            return value, 1
        if id(value) not in self._done:
            self._done[id(value)] = value, None, -1
            finished, items = self._finish_items(value)
            self._done[id(value)] = value, finished, items
        _, finished, items = self._done[id(value)]
        if items < 0:
            raise pickle.UnpicklingError("a container within itself")
        if items > self._room:
            raise pickle.UnpicklingError("containers that hold one another so often that there is no end")
        return finished, items

    def _finish_items(self, value: Any) -> tuple[Any, int]:
        pairs = [self._finish(item) for item in _items(value)]
        items = [item for item, _ in pairs]
        finished: Any
        if isinstance(value, dict):
            finished = dict(zip(value, items, strict=True))
        elif isinstance(value, np.ndarray):
            finished = np.empty(value.shape, object)
            for place, item in enumerate(items):
                finished.flat[place] = item
        else:
            finished = items if isinstance(value, list) else tuple(items)
        return finished, 1 + sum(count for _, count in pairs)


def _items(container: Any) -> Iterable[Any]:
    if isinstance(container, dict):
        return container.values()
    return container.flat if isinstance(container, np.ndarray) else container
