"""The findings of an audit for a terminal."""

from collections import Counter

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from polylogit.data.tables.audit import Audit, Severity
from polylogit.plural import counted
from polylogit.report.terminal_text import short_name

__all__ = ["audit_report"]

_STYLES: dict[Severity, str] = {"error": "bold red", "warning": "yellow", "note": "dim"}
MOST_CLASSES = 20
MOST_COLUMNS = 60
MOST_FINDINGS_OF_A_CODE = 8


def audit_report(audit: Audit) -> RenderableType:
    """How the table was read, then the findings, the most severe first.

    Of wide tables the types are counted rather than listed, and of many findings with one code the first are shown;
    `--json` has all of them.
    """
    types = Counter(audit.columns.values())
    columns = ", ".join(f"{count:,} {kind}" for kind, count in types.most_common())
    features = f", {counted(len(audit.columns), 'feature column')}" if audit.columns else ""
    parts: list[RenderableType] = [
        Text(f"{audit.data}: {counted(audit.rows, 'row')}{features}{f' ({columns})' if columns else ''}")
    ]
    if audit.classes:
        listed = ", ".join(f"{short_name(name)} {rows:,}" for name, rows in list(audit.classes.items())[:MOST_CLASSES])
        more = f", and {len(audit.classes) - MOST_CLASSES:,} more" if len(audit.classes) > MOST_CLASSES else ""
        parts.append(Text(f"{counted(len(audit.classes), 'class', 'classes')}: {listed}{more}"))
    if len(audit.columns) <= MOST_COLUMNS:
        parts += [Text(f"  {short_name(name)}: {audit.described(name)}", style="dim") for name in audit.columns]
    shown: Counter[str] = Counter()
    of_code = Counter(finding.code for finding in audit.findings)
    for finding in audit.findings:
        shown[finding.code] += 1
        if shown[finding.code] > MOST_FINDINGS_OF_A_CODE:
            continue
        parts.append(Text())
        parts.append(Text.assemble((finding.severity, _STYLES[finding.severity]), f" {finding.code}"))
        parts.append(Padding(Text(str(finding)), (0, 0, 0, 2)))
        if shown[finding.code] == MOST_FINDINGS_OF_A_CODE < of_code[finding.code]:
            more = counted(of_code[finding.code] - MOST_FINDINGS_OF_A_CODE, f"more {finding.severity}")
            parts.append(Padding(Text(f"and {more} of this kind; --json has all of them", style="dim"), (0, 0, 0, 2)))
    counts = ", ".join(counted(count, severity) for severity in _STYLES if (count := len(audit.of(severity))))
    parts += [Text(), Text(counts or "nothing found", style="bold")]
    return Group(*parts)
