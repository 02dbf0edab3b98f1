"""Audit rules for the target column: whether its values are classes, and whether they can be learned."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping

import polars as pl

from polylogit.data.tables.audit.findings import AuditFinding
from polylogit.data.tables.columns import MISSING_MARKERS
from polylogit.plural import counted

__all__ = ["audit_labels"]

MOST_NUMBERS = 100
"""A numeric target with more distinct values than this, and few rows of each, is a quantity and no class."""

_MOST_WHOLE_NUMBERS = 20
_ROWS_A_CLASS = 10
_FEWEST_ROWS = 20
_IMBALANCE = 100.0


def audit_labels(
    labels: pl.Series, counts: Mapping[str, int], *, drop_unlabelled: bool = False
) -> Iterator[AuditFinding]:
    """Every finding about the target.

    Args:
        labels: The labels as text; null where one is missing.
        counts: Rows of each class.
        drop_unlabelled: Whether rows without a class are left out.

    Yields:
        Findings, in no order.
    """
    name = labels.name
    missing = labels.null_count()
    if missing and drop_unlabelled:
        yield AuditFinding(
            "unlabelled-rows",
            "note",
            f"the class of {missing:,} of {len(labels):,} rows is missing; left out, as data.unlabelled asks.",
            "Write class names into them to use them.",
            column=name,
            row=_first(labels.is_null()),
            count=missing,
        )
    elif missing:
        yield AuditFinding(
            "missing-label",
            "error",
            f"the class is missing ({missing} of {len(labels)} rows).",
            "Drop these rows, or write a class name into them, or leave them out with --set data.unlabelled=drop.",
            column=name,
            row=_first(labels.is_null()),
            count=missing,
        )
    yield from _too_few_or_many(labels, counts)
    yield from _odd_names(name, labels, counts)
    yield from _uneven(name, labels, counts)


def _too_few_or_many(labels: pl.Series, counts: Mapping[str, int]) -> Iterator[AuditFinding]:
    name, rows = labels.name, len(labels) - labels.null_count()
    if len(counts) == 1:
        yield AuditFinding(
            "single-class",
            "error",
            f'every row is of the class "{next(iter(counts))}".',
            "Expected at least two classes; is the target column the right one?",
            column=name,
        )
    numbers = pl.Series(list(counts), dtype=pl.String).cast(pl.Float64, strict=False)
    numeric = bool(counts) and numbers.null_count() == 0
    crowded = len(counts) > MOST_NUMBERS and rows < _ROWS_A_CLASS * len(counts)
    fractions = numeric and len(counts) > 2 and bool((numbers != numbers.floor()).any())
    if numeric and (crowded or (fractions and rows < _ROWS_A_CLASS * len(counts))):
        yield AuditFinding(
            "target-is-a-number",
            "error",
            f"{len(counts)} distinct numbers in {rows} rows; this looks like a quantity, not like classes.",
            "Choose another --target, or cut the quantity into ranges and name those.",
            column=name,
            count=len(counts),
        )
    elif numeric and not fractions and len(counts) > _MOST_WHOLE_NUMBERS:
        yield AuditFinding(
            "target-looks-like-a-quantity",
            "warning",
            f"{len(counts)} distinct whole numbers, each a class of its own; this looks like a count or an amount.",
            "If it is one, cut it into ranges and name those, or use a regression; codes may stay as they are.",
            column=name,
            count=len(counts),
        )
    elif not numeric and rows >= _FEWEST_ROWS and 2 * len(counts) > rows:
        yield AuditFinding(
            "target-is-an-identifier",
            "error",
            f"{len(counts)} distinct values in {rows} rows; this looks like an identifier or free text.",
            "Choose another --target.",
            column=name,
            count=len(counts),
        )


def _odd_names(name: str, labels: pl.Series, counts: Mapping[str, int]) -> Iterator[AuditFinding]:
    alike = defaultdict(list)
    for label in counts:
        alike[_folded(label)].append(label)
    for names in alike.values():
        if len(names) > 1:
            listed = ", ".join(f'"{label}" ({counted(counts[label], "row")})' for label in names)
            rarest = min(names, key=lambda label: counts[label])
            yield AuditFinding(
                "near-duplicate-names",
                "warning",
                f"classes whose names hardly differ: {listed}.",
                "If they are one class, write one name.",
                column=name,
                row=_first(labels == rarest),
                value=rarest,
                count=counts[rarest],
            )
    for label in counts:
        if label in MISSING_MARKERS:
            yield AuditFinding(
                "class-named-missing",
                "warning",
                f'"{label}" counts as a class of {counted(counts[label], "row")}, but looks like a missing value.',
                "If it is one, drop these rows.",
                column=name,
                row=_first(labels == label),
                value=label,
                count=counts[label],
            )
    negative = [label for label in counts if re.fullmatch(r"-\d+", label)]
    if negative and len(counts) > len(negative) + 1:
        yield AuditFinding(
            "negative-label",
            "warning",
            f"the label {negative[0]} counts as a class of {counted(counts[negative[0]], 'row')}, but often marks "
            '"no class".',
            "If it does here, drop these rows.",
            column=name,
            row=_first(labels == negative[0]),
            value=negative[0],
            count=counts[negative[0]],
        )


def _uneven(name: str, labels: pl.Series, counts: Mapping[str, int]) -> Iterator[AuditFinding]:
    single = [label for label, count in counts.items() if count == 1]
    if single and len(counts) > 1:
        listed = ", ".join(f'"{label}"' for label in single[:5]) + (", …" if len(single) > 5 else "")
        yield AuditFinding(
            "class-too-rare",
            "warning",
            f"1 class has one row only ({listed}); it is trained on, but never evaluated."
            if len(single) == 1
            else f"{len(single)} classes have one row only ({listed}); they are trained on, but never evaluated.",
            "Add rows of it, or drop it." if len(single) == 1 else "Add rows of them, or drop them.",
            column=name,
            row=_first(labels == single[0]),
            value=single[0],
            count=len(single),
        )
    if len(counts) > 1:
        most, least = max(counts, key=lambda x: counts[x]), min(counts, key=lambda x: counts[x])
        if counts[most] >= _IMBALANCE * counts[least]:
            yield AuditFinding(
                "imbalance",
                "warning",
                f'the class "{most}" has {counts[most]} rows, "{least}" has {counts[least]}; accuracy says little.',
                "Look at the figures per class; --set training.class_weight=balanced counts all classes alike.",
                column=name,
                value=least,
                count=counts[least],
            )


def _folded(label: str) -> str:
    """A name without case, accents, punctuation and white space; a number as a number."""
    try:
        return repr(float(label))
    except ValueError:
        plain = unicodedata.normalize("NFKD", label.casefold())
        letters = "".join(mark for mark in plain if mark.isalnum())
        return letters or label


def _first(shown: pl.Series) -> int:
    """The first row, counted from 1, for which it holds."""
    return int(shown.fill_null(value=False).arg_max() or 0) + 1
