"""What a part of the reports needs installed."""

from __future__ import annotations

from importlib.util import find_spec

from mmemo.errors import MissingExtraError


def need(what: str, extra: str, *packages: str) -> None:
    """Say which extra to install, before any work is done.

    Raises:
        MissingExtraError: if one of ``packages`` is not installed.
    """
    if any(find_spec(package) is None for package in packages):
        raise MissingExtraError(what, extra)
