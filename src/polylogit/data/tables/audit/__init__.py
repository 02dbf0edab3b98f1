"""The audit of a table before training: every error, warning and note, found in one pass and reported together.

See also: `labels`, `features`, `rows` and `texts` in this package, which contain the rules.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from polylogit.classes import chosen_classes, ordered_class_names
from polylogit.data.tables.audit.features import audit_features, audit_unusable
from polylogit.data.tables.audit.findings import Audit, AuditFinding, Severity
from polylogit.data.tables.audit.labels import audit_labels
from polylogit.data.tables.audit.rows import audit_leakage, audit_rows
from polylogit.data.tables.audit.texts import audit_texts
from polylogit.data.tables.column_types import NumberMarks, Reading
from polylogit.data.tables.columns import read_cells, stored_cells
from polylogit.data.tables.copies import Copies, find_copies
from polylogit.data.tables.named_column import is_pattern, select_named
from polylogit.data.tables.type_inference import check_columns_exist, find_readings
from polylogit.errors import DataError

__all__ = ["Audit", "AuditFinding", "AuditedTable", "Severity", "audit_leakage", "audit_table"]

_DOUBTS = ("ambiguous-date", "ambiguous-number", "possible-number", "unmarked-percent")
"""Findings that ask how a column is meant; none where the recipe says so."""


@dataclass(frozen=True)
class AuditedTable:
    """A table that was read on the way to its audit.

    Args:
        audit: What was found.
        features: The usable feature columns as read; only sound where the audit has no errors.
        readings: How they were read.
        class_names: The classes in their order; empty without a target.
        targets: Class indices, -1 for a missing class and for one that is left out; None without a target.
        copies: The rows that are exact copies of each other; None where there are none.
    """

    audit: Audit
    features: pl.DataFrame
    readings: Mapping[str, Reading]
    class_names: tuple[str, ...]
    targets: npt.NDArray[np.int64] | None
    copies: Copies | None


def audit_table(
    frame: pl.DataFrame,
    *,
    target: str | None = None,
    classes: Sequence[str] | None = None,
    leave_out: Sequence[str] = (),
    asked: Mapping[str, Reading] | None = None,
    drop_unusable: bool = False,
    marks: NumberMarks | None = None,
    drop_unlabelled: bool = False,
    place: str = "the table",
    stored: bool = False,
) -> AuditedTable:
    """Read a table and find everything that is wrong with it.

    Args:
        frame: The table as it came.
        target: The column of the classes; without one only features are audited.
        classes: Those to tell apart, in the order they are counted in; None: all, in order.
        leave_out: Columns that are no features, besides the target.
        asked: Readings by column name.
        drop_unusable: Whether text, and columns that cannot be used, are left out; the latter are errors otherwise.
        marks: The separators in its numbers, where they are known.
        drop_unlabelled: Whether rows without a class are left out instead of being an error.
        place: What messages call the table.
        stored: Whether the cells as read are kept in a mapped file and not in memory.

    Returns:
        The audit, and what was read.

    Raises:
        DataError: The target, a column or a class that is asked for by name is not there.

    Example:
        >>> frame = pl.DataFrame({"legs": ["4", "four", "2"], "tail": ["1", "1", "1"], "kind": ["dog", "Dog", None]})
        >>> for finding in audit_table(frame, target="kind").audit.findings[:3]:
        ...     print(finding.severity, finding.column, finding.row, finding.code)
        error kind 3 missing-label
        error legs 2 mixed-types
        warning kind 2 near-duplicate-names
    """
    asked_for = [] if target is None else [target]
    check_columns_exist(frame, asked_for, 'there is no column "{}" to take the classes from', place)
    check_columns_exist(frame, leave_out, 'data.drop names the column "{}", which is not there', place)
    features = select_named(frame, (name for name in frame.columns if name not in {*leave_out, *asked_for}))
    for name in (*asked_for, *features.columns):
        if is_pattern(name):
            raise DataError(
                f'{place}: the column "{name}" has a name that means several columns to the table reader. Rename it, '
                "or leave it out with --drop."
            )
    readings = find_readings(features, asked, place, marks)
    found: list[AuditFinding] = []
    usable = {}
    for name, reading in readings.items():
        if not reading.usable or (drop_unusable and reading.type == "text" and name not in (asked or {})):
            found.append(audit_unusable(features[name], reading, drop_unusable))
        else:
            usable[name] = reading
    read_all = stored_cells if stored else read_cells
    read = read_all(features, usable)
    labels = None if target is None else read_all(frame, {target: Reading("category")})[target]
    class_names, targets, counts = _classes(labels, classes, place)
    if labels is not None:
        found += audit_labels(labels, counts, drop_unlabelled=drop_unlabelled)
    copies = None
    if usable:
        hashes = read.hash_rows()
        all_differ = hashes.n_unique() == read.height
        copies = None if all_differ else find_copies(read, targets, hashes)
        found += [
            finding
            for finding in audit_features(features, read, usable, targets, marks or NumberMarks())
            if finding.code not in _DOUBTS or finding.column not in (asked or {})
        ]
        found += [] if all_differ else audit_rows(hashes, targets, copies)
        for name, reading in usable.items():
            found += audit_texts(read[name], targets) if reading.type == "text" else []
    elif not features.width or drop_unusable:
        found.append(
            AuditFinding(
                "no-features", "error", "no feature column is left beside the target.", "Give the table more columns."
            )
        )
    audit = Audit(
        data=place,
        rows=frame.height,
        columns={name: reading.type for name, reading in readings.items()},
        classes=counts,
        findings=(),
    ).and_also(found)
    return AuditedTable(audit, read, usable, class_names, targets, copies)


def _classes(
    labels: pl.Series | None, wanted: Sequence[str] | None, place: str
) -> tuple[tuple[str, ...], npt.NDArray[np.int64] | None, dict[str, int]]:
    """Class names in their order, the index of each row, and the rows of each class."""
    if labels is None:
        return (), None, {}
    found = labels.drop_nulls().value_counts(name="rows")
    rows_of = dict(zip(found[labels.name], found["rows"], strict=True))
    names = ordered_class_names(rows_of)
    if wanted is not None:
        names = chosen_classes(wanted, names, place)
    index = labels.cast(pl.Enum(names), strict=False).to_physical().cast(pl.Int64).fill_null(-1)
    return names, index.to_numpy(), {name: rows_of[name] for name in names}
