"""Pickles that hold arrays, numbers, text and plain containers, read without running what is in them.

A pickle is a program: `pickle.load` calls whatever it names. This reader knows a dozen names, of NumPy's arrays and of
plain types, and gives each a meaning of its own: no function or class of another module is ever looked up. Not even
NumPy's own ``__setstate__`` is called, for it trusts a pickle's description of an array's memory.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mmemo.errors import ManifestError

_PLAIN = re.compile(r"[?]|b1|[biufc]\d+|[SU]\d+")


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
        return set(items)


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


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _NAMES[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"the name {module}.{name}") from None


def load_plain_pickle(path: str | Path) -> Any:
    """Read a pickle of arrays, numbers, text, lists, tuples, sets and mappings.

    Raises:
        ManifestError: if there is no such file, it is damaged, or it names anything else.
    """
    path = Path(path)
    if not path.is_file():
        raise ManifestError(path, ["there is no such file"])
    try:
        with path.open("rb") as file:
            return _finished(_Unpickler(file, encoding="latin1").load(), {})
    except pickle.UnpicklingError as error:
        message = (
            f"it holds {error}: only arrays, numbers, text and plain containers are read, as anything else can be code"
        )
        raise ManifestError(path, [message]) from None
    except Exception as error:  # a damaged program fails in any way
        raise ManifestError(path, [f"not a pickle of arrays and plain containers: {error!r}"]) from None


def _finished(value: Any, seen: dict[int, Any]) -> Any:
    """The same with arrays in place of those under construction; containers may contain themselves."""
    if isinstance(value, _Array):
        if value.value is None:
            raise pickle.UnpicklingError("an array without content")
        value = value.value
    if isinstance(value, _Name | _Dtype):
        raise pickle.UnpicklingError("a type that is no value")
    if id(value) in seen:
        return seen[id(value)]
    if isinstance(value, dict):
        seen[id(value)] = value
        for key in value:
            value[key] = _finished(value[key], seen)
        if any(isinstance(key, _Array | _Name | _Dtype) for key in value):
            raise pickle.UnpicklingError("a mapping by no plain key")
    elif isinstance(value, list):
        seen[id(value)] = value
        value[:] = [_finished(item, seen) for item in value]
    elif isinstance(value, tuple):
        return tuple(_finished(item, seen) for item in value)
    elif isinstance(value, set) and any(isinstance(item, _Array | _Name | _Dtype) for item in value):
        raise pickle.UnpicklingError("a set of no plain items")
    elif isinstance(value, np.ndarray) and value.dtype == object:
        seen[id(value)] = value
        for place, item in enumerate(value.flat):
            value.flat[place] = _finished(item, seen)
    return value
