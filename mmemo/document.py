"""Dataclasses as JSON documents. The typed fields are the one description for writing, reading and the JSON Schema.

A field's type holds its constraints and its number of decimals (`rounded_to`). Fields that a class computes itself,
``field(init=False)``, are part of the document.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

import msgspec
import numpy as np
from msgspec import Meta

from mmemo.errors import ArgumentError
from mmemo.reading import read_bytes, reason, well_formed

T = TypeVar("T")


def rounded_to(decimals: int, **constraints: Any) -> Meta:
    """Annotation of a number, or of the numbers of an array, that documents hold with so many decimals."""
    return Meta(extra={"decimals": decimals}, **constraints)


Count = Annotated[int, Meta(ge=1)]
"""One or more."""
Share = Annotated[float, rounded_to(3, ge=0, le=1)]
"""Part of a whole, 0 to 1."""
Score = Annotated[float, rounded_to(5, ge=0, le=1)]
"""Score of one label, 0 to 1."""


def array_rounded_to(decimals: int, **schema: Any) -> Meta:
    """Annotation of a float32 array of shape (N,); JSON has no NaN, so documents have null there."""
    numbers = {"type": "array", "items": {"type": ["number", "null"]}}
    return Meta(extra={"decimals": decimals}, extra_json_schema=numbers | schema)


OMIT_DEFAULT = {"omit_default": True}
"""``field(metadata=OMIT_DEFAULT)``: the document leaves the field out where it has its default."""


NOT_IN_DOCUMENT = {"in_document": False}
"""``field(metadata=NOT_IN_DOCUMENT)``: no document has the field."""


def to_document(value: Any, decimals: int | None = None) -> Any:
    """Dataclasses, and what they hold, as plain dictionaries, lists, strings and numbers, ready for JSON in UTF-8."""
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, float | np.floating):
        return float(value) if decimals is None else round(float(value), decimals)
    if isinstance(value, Mapping):
        return {well_formed(key): to_document(item, decimals) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_document(item, decimals) for item in value]
    if isinstance(value, np.ndarray):
        return [to_document(item, decimals) if np.isfinite(item) else None for item in value]
    if is_dataclass(value):
        return {
            name: to_document(getattr(value, name), places)
            for name, places, default in _plan(type(value))  # type: ignore[arg-type] # a class is hashable
            if default is _NEVER or getattr(value, name) != default
        }
    return value


def from_document(cls: type[T], document: Mapping[str, Any], *, closed: bool = False) -> T:
    """The dataclass that `to_document` made a document of.

    Args:
        closed: whether a key that is no field is an error; otherwise it is passed over.

    Raises:
        ArgumentError: if a field is missing, of another type, or refused by its class; the message has its path.
    """
    if closed and isinstance(document, Mapping):
        for name in document.keys() - {field.name for field in fields(cls)}:  # type: ignore[arg-type]
            raise ArgumentError(f"The document is no {cls.__name__} of mmemo: it has no {name!r}.")
    try:
        return msgspec.convert(document, cls, dec_hook=_read_array)
    except (msgspec.ValidationError, RecursionError) as error:
        raise ArgumentError(f"The document is no {cls.__name__} of mmemo: {error}.") from None


def load_document(path: str | Path, what: str, convert: Callable[[Mapping[str, Any]], T]) -> T:
    """What a JSON file holds.

    Args:
        what: the file is to hold, as in "a result", for messages.
        convert: makes it of the document, as `from_document` does.

    Raises:
        ArgumentError: if the file can't be read, or ``convert`` refuses its document; the message names the file.
    """
    try:
        document = msgspec.json.decode(read_bytes(path), type=dict[str, Any])
    except (OSError, ValueError, RecursionError) as error:
        raise ArgumentError(f"{path} can't be read as {what}: {reason(error)}.") from None
    try:
        return convert(document)
    except ArgumentError as error:
        raise ArgumentError(f"{path}: {error}") from None


def schemas(cls: type, reference: str = "#/$defs/{name}") -> dict[str, Any]:
    """JSON Schema of the documents of a dataclass and of each dataclass in it, by class name.

    Args:
        reference: template of a reference to one of them.
    """
    # The hook is for arrays in fields that no document has.
    _, components = msgspec.json.schema_components(
        [cls], ref_template=reference, schema_hook=lambda _: {"type": "array"}
    )
    kinds = _dataclasses(cls)
    for kind in kinds:
        schema = components[kind.__name__]
        schema["description"], texts = _docstring(kind)
        schema["required"] = [name for name, _, default in _plan(kind) if default is _NEVER]
        schema["properties"] = {
            name: {key: value for key, value in schema["properties"][name].items() if key != "default"}
            | ({"description": texts[name]} if name in texts else {})
            for name, _, _ in _plan(kind)
        }
    names = {kind.__name__ for kind in kinds}
    return {name: schema for name, schema in components.items() if name in names}


_NEVER = object()


@cache
def _plan(cls: type) -> tuple[tuple[str, int | None, Any], ...]:
    """Name and decimals of each field, and the value with which it is left out."""
    types = get_type_hints(cls, include_extras=True)
    return tuple(
        (field.name, _decimals(types[field.name]), field.default if field.metadata == OMIT_DEFAULT else _NEVER)
        for field in fields(cls)
        if field.metadata != NOT_IN_DOCUMENT
    )


def _decimals(annotation: Any) -> int | None:
    """Those of a type, or of a type inside it; of several annotations the last one holds."""
    for meta in reversed(getattr(annotation, "__metadata__", ())):
        if isinstance(meta, Meta) and "decimals" in (meta.extra or {}):
            return int((meta.extra or {})["decimals"])
    return next((places for part in get_args(annotation) if (places := _decimals(part)) is not None), None)


def _dataclasses(annotation: Any) -> set[type]:
    """All dataclasses in a type, itself included."""
    inside = [_dataclasses(part) for part in get_args(annotation)]
    if isinstance(annotation, type) and is_dataclass(annotation):
        types = get_type_hints(annotation, include_extras=True)
        inside += [{annotation}, *(_dataclasses(types[name]) for name, _, _ in _plan(annotation))]
    return set().union(*inside)


def _docstring(cls: type) -> tuple[str, dict[str, str]]:
    """What a docstring says of the class, and of each of its attributes."""
    text = re.sub(r"\bNone\b", "null", f"{inspect.getdoc(cls)}\n".replace("``", "`"))
    head, _, rest = text.partition("\nAttributes:\n")
    attributes = re.findall(r"^    (\w+): (.+?)(?=^    \w|^\S|\Z)", rest, re.MULTILINE | re.DOTALL)
    summary = re.split(r"\n(?:Raises:|>>> )", head)[0]
    return " ".join(summary.split()), {name: " ".join(lines.split()) for name, lines in attributes}


def _read_array(cls: type, value: Any) -> Any:
    if cls is np.ndarray and isinstance(value, list):
        try:
            with np.errstate(over="raise"):
                return np.array([np.nan if item is None else item for item in value], np.float32)
        except (OverflowError, FloatingPointError) as error:
            raise ValueError(f"Expected numbers, got one that is too large ({error})") from None
    raise ValueError(f"Expected `array`, got `{type(value).__name__}`")
