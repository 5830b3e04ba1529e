"""Writes the page of the licenses of what mmemo installs, from pip-licenses' JSON; fails at what may not be there.

    pip-licenses --python ENVIRONMENT/bin/python --format json --with-urls | python .ci/licenses.py docs/licenses.md

Run by the Python of an environment with all extras. Packages of development only are left out.
"""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REFUSED = re.compile(r"(?<!L)\b(A?GPL|GNU (Affero )?General Public)|SSPL|BUSL|Proprietary|UNKNOWN", re.IGNORECASE)
"""Licenses that would bind who builds on mmemo, or that nobody can tell. The LGPL is not among them."""
PAGE = """# Licenses

Licenses of the packages that mmemo installs, as each declares its own; `make licenses` writes this page, and fails at a
package under the GPL or AGPL, or without a license. mmemo itself is under the Apache License 2.0; its file NOTICE
names the sources of what it ships.

**Libraries inside of packages** have licenses of their own, which no such table shows. Those to know if you pass an
installation on, rather than the name of this package:

- `av` carries FFmpeg (LGPL 3), and with it the encoders x264 and x265, which are under the GPL 2 or later. mmemo calls
  x264 when it writes video, and never needs it for an analysis.
- `opencv-python-headless` carries another FFmpeg (LGPL 2.1), which mmemo does not use.
- `soundfile` and `soxr`, of the extra `prosody`, carry libsndfile and libsoxr (LGPL 2.1).

## Base install

{base}

## Extras

What `pip install 'mmemo[all]'` adds. PyTorch brings NVIDIA's packages as well, under NVIDIA's own license, unless its
build for CPUs is installed; mmemo needs none of them.

{extras}
"""
NVIDIA = ("nvidia-", "cuda-")
"""Beginnings of the names of NVIDIA's packages: proprietary, and brought by PyTorch's builds for its devices only."""


def closure(names: set[str]) -> set[str]:
    """Names of all packages that requirements of ``mmemo`` bring, as far as they are installed."""
    found: dict[str, set[str]] = {}
    waiting = [Requirement(f"mmemo[{','.join(names)}]" if names else "mmemo")]
    while waiting:
        one = waiting.pop()
        name = str(canonicalize_name(one.name))
        if name in found and one.extras <= found[name]:
            continue
        found[name] = found.get(name, set()) | one.extras
        try:
            needed = [Requirement(text) for text in requires(name) or ()]
        except PackageNotFoundError:
            del found[name]
            continue
        for each in needed:
            environments = [{**default_environment(), "extra": extra} for extra in ("", *found[name])]
            if each.marker is None or any(each.marker.evaluate(environment) for environment in environments):
                waiting.append(each)
    return {name for name in found if name != "mmemo" and not name.startswith(NVIDIA)}


def main(page: Path) -> None:
    """Write the page."""
    packages = {str(canonicalize_name(one["Name"])): one for one in json.load(sys.stdin)}
    base, everything = closure(set()), closure({"all"})
    licenses = {name: packages[name]["License"] for name in sorted(everything)}
    if wrong := [f"{name} ({license})" for name, license in licenses.items() if REFUSED.search(license)]:
        sys.exit("Not permitted: " + ", ".join(wrong))

    def table(names: set[str]) -> str:
        rows = [(packages[name]["Name"], packages[name]["License"], packages[name]["URL"]) for name in sorted(names)]
        lines = [f"| {name if url == 'UNKNOWN' else f'[{name}]({url})'} | {license} |" for name, license, url in rows]
        return "\n".join(["| package | license |", "|---|---|", *lines])

    page.write_text(PAGE.format(base=table(base), extras=table(everything - base)), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
