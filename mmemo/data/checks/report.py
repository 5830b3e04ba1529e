"""The report of an audit: findings with their severity, as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from mmemo.errors import LeakError

if TYPE_CHECKING:
    from rich.table import Table

Severity = Literal["leak", "warning", "note"]
"""A leak makes a score on the test split worthless or too good, a warning makes it doubtful, a note belongs beside the
score in a report."""
_SHOWN = 3


@dataclass(frozen=True)
class Finding:
    """One finding of an audit.

    Attributes:
        severity: "leak", "warning" or "note".
        code: short stable name, such as "speaker-overlap".
        message: one sentence: the fault, and what to do about it.
        clips: ids of the clips it is about; of a leak those of one side, which could be left out.
    """

    severity: Severity
    code: str
    message: str
    clips: tuple[str, ...] = ()


@dataclass(frozen=True)
class Audit:
    """The findings of an audit, the worst first.

    Examples:
        >>> from mmemo import Clip
        >>> from mmemo.data import Manifest
        >>> from mmemo.labels import EKMAN7
        >>> clips = [Clip(text=split, id=split, speaker="x", split=split) for split in ("train", "test")]
        >>> audit = Manifest(clips, EKMAN7).audit()
        >>> audit.leaks[0].message
        "1 speakers are in split 'train' and in 'test': x. Divide again with split(by='speaker')."
        >>> audit.refuse_leaks(allow=["speaker-overlap"])
    """

    findings: tuple[Finding, ...]

    @property
    def leaks(self) -> tuple[Finding, ...]:
        """The findings that make a score worthless."""
        return tuple(finding for finding in self.findings if finding.severity == "leak")

    def refuse_leaks(self, allow: Iterable[str] = ()) -> None:
        """For recipes: go on only if nothing leaks.

        Args:
            allow: codes of leaks that are known and accepted.

        Raises:
            LeakError: naming every leak that is not allowed.
        """
        allowed = set(allow)
        left = [finding for finding in self.leaks if finding.code not in allowed]
        if left:
            lines = "\n".join(f"  {finding.code}: {finding.message}" for finding in left)
            codes = ",".join(dict.fromkeys(finding.code for finding in left))
            raise LeakError(f"The splits leak:\n{lines}\nMend them, or go on with --allow {codes} and say so.")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"findings": [asdict(finding) for finding in self.findings]}

    def to_json(self) -> str:
        """The findings as JSON."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    def to_table(self) -> Table:
        """The findings as a table for the terminal (rich)."""
        from rich.markup import escape
        from rich.table import Table

        table = Table("severity", "finding", "what", title="Audit", title_justify="left")
        color = {"leak": "red", "warning": "yellow", "note": "dim"}
        for finding in self.findings:
            shown = ", ".join(finding.clips[:_SHOWN]) + (" …" if len(finding.clips) > _SHOWN else "")
            message = escape(finding.message) + (f" [dim]({escape(shown)})[/dim]" if shown else "")
            table.add_row(f"[{color[finding.severity]}]{finding.severity}[/]", finding.code, message)
        if not self.findings:
            table.add_row("", "nothing", "No leak, no warning.")
        return table
