"""Tells what pip-audit found, by its JSON: fails at a vulnerability, and says so where nothing could be looked up."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(report: Path) -> None:
    """Print one line for each package with a vulnerability, and a summary."""
    if not report.is_file():
        print("Not audited: pip-audit wrote no report, as without network.")
        return
    packages = json.loads(report.read_text(encoding="utf-8"))["dependencies"]
    skipped = sum("skip_reason" in one for one in packages)
    wrong = [(one["name"], one["version"], each["id"]) for one in packages for each in one.get("vulns", ())]
    for name, version, vulnerability in wrong:
        print(f"{name} {version}: {vulnerability}")
    print(f"{len(packages)} packages: {len(wrong)} vulnerabilities, {skipped} not looked up")
    if skipped == len(packages):
        print("Not audited: no advisories can be had here.")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
