"""The public names of a package, each imported when it is first used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lazy_loader

from mmemo.errors import missing_extra


def attach(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """``__getattr__``, ``__dir__`` and ``__all__`` of a package whose names stand in its ``__init__.pyi``.

    A name whose module needs a package that is not installed raises `mmemo.errors.MissingExtraError`.
    """
    load, names, exported = lazy_loader.attach_stub(package, file)

    def get(name: str) -> Any:
        try:
            return load(name)
        except ModuleNotFoundError as error:
            raise missing_extra(f"{package}.{name}", error) from None

    return get, names, exported
