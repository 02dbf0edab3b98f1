"""The findings of an audit for a terminal.

Owns wording and layout; what counts as a finding is the business of `data.audit`.
"""

from collections import Counter

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from polylogit.data.tables.audit import Audit, Severity

__all__ = ["audit_report"]

_STYLES: dict[Severity, str] = {"error": "bold red", "warning": "yellow", "note": "dim"}
_MOST_CLASSES = 20


def audit_report(audit: Audit) -> RenderableType:
    """What the table is taken for, then every finding, the worst first."""
    types = Counter(audit.columns.values())
    columns = ", ".join(f"{count} {kind}" for kind, count in types.most_common())
    parts: list[RenderableType] = [
        Text(f"{audit.data}: {audit.rows} rows, {len(audit.columns)} feature columns ({columns})")
    ]
    if audit.classes:
        listed = ", ".join(f"{name} {rows}" for name, rows in list(audit.classes.items())[:_MOST_CLASSES])
        more = ", …" if len(audit.classes) > _MOST_CLASSES else ""
        parts.append(Text(f"{len(audit.classes)} classes: {listed}{more}"))
    for name, kind in audit.columns.items():
        parts.append(Text(f"  {name}: {kind}", style="dim"))
    for finding in audit.findings:
        parts.append(Text())
        parts.append(Text.assemble((finding.severity, _STYLES[finding.severity]), f" {finding.code}"))
        parts.append(Padding(Text(str(finding)), (0, 0, 0, 2)))
    counts = ", ".join(
        f"{count} {severity}{'' if count == 1 else 's'}" for severity in _STYLES if (count := len(audit.of(severity)))
    )
    parts += [Text(), Text(counts or "nothing found", style="bold")]
    return Group(*parts)
