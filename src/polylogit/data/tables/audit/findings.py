"""Findings of an audit: one for each problem of a table, and all of them together."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

from polylogit.errors import DataError

__all__ = ["Audit", "AuditFinding", "ColumnProfile", "Severity"]

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class AuditFinding:
    """One thing that is wrong with a table.

    Args:
        code: The kind of finding, in words with hyphens; stays the same between versions.
        severity: An "error" stops training; a "warning" is likely to spoil what comes out; a "note" is worth knowing.
        message: What is wrong, in a sentence.
        remedy: What to do, in a sentence.
        column: Where, if in one column.
        row: The first row that shows it, counted from 1; of its file, where the table is made of several.
        value: What stands there, as text.
        count: How many rows show it.
        file: The file of the row, where the table is made of several.

    Example:
        >>> print(AuditFinding("constant", "warning", "every row has the same value.", "Drop it.", column="legs"))
        column "legs": every row has the same value. Drop it.
    """

    code: str
    severity: Severity
    message: str
    remedy: str
    column: str | None = None
    row: int | None = None
    value: str | None = None
    count: int | None = None
    file: str | None = None

    def __str__(self) -> str:
        where = [self.file] if self.file is not None else []
        where += [f'column "{self.column}"'] * (self.column is not None) + [f"row {self.row}"] * (self.row is not None)
        place = f"{', '.join(where)}: " if where else ""
        return f"{place}{self.message} {self.remedy}".rstrip()


@dataclass(frozen=True)
class ColumnProfile:
    """How a feature column was read.

    Args:
        type: The type that it is taken for.
        format: How its dates or numbers are written, where they are text; how text is cut into terms.
        missing: How many values are missing.
        levels: How many values a category has.
        pooled_levels: How many of these share one feature.
        terms: How many terms a text column has.
    """

    type: str
    format: str | None = None
    missing: int = 0
    levels: int = 0
    pooled_levels: int = 0
    terms: int = 0

    def __str__(self) -> str:
        parts = [f"{self.type} written {self.format}" if self.format and self.type != "text" else self.type]
        if self.type == "text":
            parts.append(f"{self.terms:,} terms ({self.format})")
        if self.type == "category":
            pooled = f" ({self.pooled_levels:,} of them pooled)" if self.pooled_levels else ""
            parts.append(f"{self.levels:,} {'level' if self.levels == 1 else 'levels'}{pooled}")
        if self.missing:
            parts.append(f"{self.missing:,} missing")
        return ", ".join(parts)


@dataclass(frozen=True)
class Audit:
    """Everything that an audit found.

    Args:
        data: The table's name.
        rows: N.
        columns: The type that each feature column is taken for.
        classes: Rows of each class, in the order of the classes; empty without a target.
        findings: Errors first, then warnings, then notes.
        profiles: How the usable feature columns were read; empty where that was not looked at.
    """

    data: str
    rows: int
    columns: Mapping[str, str]
    classes: Mapping[str, int]
    findings: tuple[AuditFinding, ...]
    profiles: Mapping[str, ColumnProfile] = field(default_factory=dict)

    def described(self, column: str) -> str:
        """How a column was read, in words."""
        return str(self.profiles.get(column, self.columns[column]))

    def of(self, severity: Severity) -> tuple[AuditFinding, ...]:
        """The findings of one severity."""
        return tuple(finding for finding in self.findings if finding.severity == severity)

    def and_also(self, findings: Iterable[AuditFinding]) -> "Audit":
        """The audit with more findings, in the order of their severity."""
        ordered = sorted((*self.findings, *findings), key=lambda finding: get_args(Severity).index(finding.severity))
        return replace(self, findings=tuple(ordered))

    def located(self, locate: Callable[[int], tuple[str | None, int]]) -> "Audit":
        """The audit with every row given by its file and its number in that file.

        Args:
            locate: From a row's number in the table, from 1, to its file and its number there.

        Returns:
            The audit.
        """
        found = []
        for finding in self.findings:
            file, row = (None, None) if finding.row is None else locate(finding.row)
            found.append(replace(finding, file=file, row=row))
        return replace(self, findings=tuple(found))

    def raise_on_errors(self) -> None:
        """Raise a DataError that tells every error, one a line, if there are any."""
        errors = self.of("error")
        if len(errors) == 1:
            place = "" if errors[0].file is not None else self.data + (", " if errors[0].column is not None else ": ")
            raise DataError(f"{place}{errors[0]}")
        if errors:
            lines = "".join(f"\n  {error}" for error in errors)
            raise DataError(f"{self.data}: {len(errors)} errors:{lines}")

    def as_json(self) -> dict[str, Any]:
        """The object that `polylogit check --json` prints."""
        return {
            "data": self.data,
            "rows": self.rows,
            "columns": dict(self.columns),
            "profiles": {name: asdict(profile) for name, profile in self.profiles.items()},
            "classes": dict(self.classes),
            **{f"{severity}s": len(self.of(severity)) for severity in ("error", "warning", "note")},
            "findings": [asdict(finding) for finding in self.findings],
        }
