"""The classification task of a table: read, audited, split and with a fitted encoder, as a recipe says.

Training, evaluation and the audit share these functions, so that they use the same columns and hold out the same rows.

See also: `polylogit.run.picture_task`, the same for pictures.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import polars as pl
import torch
from jaxtyping import Float, Int
from torch import Tensor

from polylogit.classes import class_indices
from polylogit.data.split import Split
from polylogit.data.tables.audit import AuditedTable, AuditFinding, audit_leakage, audit_table
from polylogit.data.tables.audit.levels import audit_bins, audit_levels, column_profiles
from polylogit.data.tables.column_types import NumberMarks, Reading, asked_reading
from polylogit.data.tables.columns import read_columns
from polylogit.data.tables.dialect import Dialect
from polylogit.data.tables.encoded_column import Column
from polylogit.data.tables.encoder import TableEncoder
from polylogit.data.tables.named_column import select_named
from polylogit.data.tables.sources import TableSource, open_source, source_paths
from polylogit.data.tables.table_size import rows_of_tables
from polylogit.data.tables.type_inference import check_columns_exist, find_readings
from polylogit.errors import DataError, RecipeError, did_you_mean
from polylogit.fitting.callbacks import TrainingCallback, row_reporter
from polylogit.recipes import AdditiveRecipe, MlpRecipe, Recipe
from polylogit.recipes.data_kinds import check_options_apply
from polylogit.run.conformal_rows import without_conformal_rows
from polylogit.run.labelled_rows import LabelledRows
from polylogit.run.table_memory import is_kept_in_files, note_on_files, row_group_findings
from polylogit.run.table_split import notes_on_copies, rows_kept_together, split_of_table
from polylogit.run.task import Task
from polylogit.system.sparse_rows import SparseRows

__all__ = [
    "audited_table",
    "checked_weights",
    "dialect_of",
    "fitted_table_encoder",
    "known_targets",
    "most_bins",
    "number_marks",
    "opened_table",
    "row_weights",
    "table_task",
    "with_target",
    "without_weightless",
]


def dialect_of(recipe: Recipe, class_column: str | None = None) -> Dialect:
    """The dialect of tables that the recipe names; with the column of the classes, where they are read."""
    return replace(Dialect.of_recipe(recipe.data.model_dump()), class_column=class_column)


def number_marks(recipe: Recipe) -> NumberMarks:
    """The separators that the recipe names for the numbers of a table."""
    thousands = recipe.data.thousands
    return NumberMarks(recipe.data.decimal, "" if thousands == "none" else thousands)


def most_bins(recipe: Recipe) -> int | None:
    """The most bins of a number that the recipe asks for; None: the encoder makes none."""
    return (recipe.model.bins or None) if isinstance(recipe, AdditiveRecipe | MlpRecipe) else None


def fitted_table_encoder(
    cells: pl.DataFrame,
    readings: Mapping[str, Reading],
    fitted: Int[Tensor, " A"],
    recipe: Recipe,
    *,
    stored: bool = False,
    on_rows: Callable[[int], None] | None = None,
) -> tuple[TableEncoder, Float[Tensor, "N D"] | SparseRows]:
    """An encoder fitted to some rows as a recipe says, and all rows as it encodes them.

    Args:
        cells: The feature columns as read.
        readings: How they were read.
        fitted: The numbers of the rows that the encoder learns from.
        recipe: Says whether numbers are standardised, and limits levels and bins.
        stored: Whether the features are kept in a mapped file and not in memory.
        on_rows: Called with the rows of each block as they are encoded.

    Returns:
        The encoder and the features.
    """
    return TableEncoder.fit_encode_read(
        cells,
        readings,
        fitted,
        standardise=recipe.data.number_values == "standardised",
        most_levels=recipe.data.most_levels,
        most_bins=most_bins(recipe),
        mapped=stored,
        on_rows=on_rows,
    )


def table_task(data: str, recipe: Recipe, callbacks: Sequence[TrainingCallback] = ()) -> tuple[Recipe, Task]:
    """The task of a table, and the recipe with the target that the table itself knows.

    Args:
        data: DATA as given on the command line.
        recipe: Its data section says what the columns are and how the rows are split.
        callbacks: Training callbacks; of a table that is larger than memory, they get a note before it is read, and the
            rows that are done.

    Returns:
        The recipe with its target named, and the task.

    Raises:
        DataError: The table is at fault; the message lists every error that the audit finds.
        RecipeError: The recipe names no target, and the table has none of its own.
    """
    source = opened_table(data, recipe, callbacks)
    recipe = with_target(recipe, source)
    audited = audited_table(source, recipe)
    audit = audited.audit.located(source.locate)
    audit.raise_on_errors()
    targets, weights = torch.tensor(audited.targets), row_weights(source, recipe)
    targets = without_weightless(targets, weights)
    together = rows_kept_together(source, audited.copies, recipe)
    split = split_of_table(source, targets, recipe, together)
    if recipe.data.test is not None:
        _check_known_classes(source, str(recipe.data.target), targets, audited.class_names, split)
    if recipe.data.split is not None or recipe.data.time is not None or recipe.data.test is not None:
        audit = audit.and_also(audit_leakage(audited.features, split.train.numpy(), split.test.numpy(), source.locate))
    split, conformal_rows = without_conformal_rows(split, targets, recipe, groups=together)
    encoder, inputs = fitted_table_encoder(
        audited.features,
        audited.readings,
        split.train,
        recipe,
        stored=source.stored,
        on_rows=row_reporter("encoding", audited.features.height, callbacks) if source.stored else None,
    )
    audit = audit.and_also(audit_levels(encoder.columns, len(split.train)))
    audit = audit.and_also(audit_bins(encoder.columns, len(split.train), most_bins(recipe)))
    audit = audit.and_also(AuditFinding("read-differently", "note", note, "") for note in source.notes)
    audit = audit.and_also(row_group_findings(source))
    audit = replace(audit, profiles=column_profiles(encoder.columns, audited.features))
    encoder = encoder.with_ranges(audited.features, split.train)
    task = Task(
        name=source.name,
        target=str(recipe.data.target),
        fingerprint=source.fingerprint,
        encoder=encoder,
        rows=LabelledRows(inputs, targets, weights, together),
        class_names=audited.class_names,
        split=split,
        cells=audited.features,
        audit=audit,
        notes=(
            *([source.note_on_storage] if source.stored else []),
            *(*source.notes, *notes_on_copies(audited.copies, recipe), *_notes_on_unlabelled(audited)),
        ),
        conformal_rows=conformal_rows,
        rows_before_test=0 if recipe.data.test is None else source.rows_to_train,
        locate=source.locate,
        stored=source.stored,
    )
    return recipe, task


def opened_table(data: str, recipe: Recipe, callbacks: Sequence[TrainingCallback] = ()) -> TableSource:
    """Read the table that DATA names; below it the test table, where the recipe names one.

    Args:
        data: DATA as given on the command line.
        recipe: Says how text tables are written, and names the test table.
        callbacks: As for `table_task`.

    Returns:
        The table.

    Raises:
        DataError: A table is not there or cannot be read, or the two do not have the same columns.
        RecipeError: The recipe has options that do not apply to tables.
    """
    check_options_apply(recipe, "table", data)
    dialect = dialect_of(recipe, recipe.data.target)
    tables = [data] if recipe.data.test is None else [data, recipe.data.test]
    stored = is_kept_in_files(tables, recipe.data.in_memory)
    note, on_rows = "", None
    if stored:
        note = note_on_files(recipe.data.in_memory)
        for callback in callbacks:
            callback.noted(note)
        total = rows_of_tables([path for table in tables for path in source_paths(table)])
        on_rows = row_reporter("reading", total, callbacks)
    source, *test = (open_source(table, dialect, stored=stored, on_rows=on_rows) for table in tables)
    source = replace(source, note_on_storage=note)
    return source.with_test(test[0]) if test else source


def with_target(recipe: Recipe, source: TableSource) -> Recipe:
    """The recipe with the target that the table itself knows, where the recipe names none.

    Args:
        recipe: The recipe.
        source: The table.

    Returns:
        A recipe that names its target.

    Raises:
        RecipeError: Neither names a target.
    """
    if recipe.data.target is not None:
        return recipe
    if source.target is None:
        listed = ", ".join(source.frame.columns[-8:])
        raise RecipeError(
            f"{source.name}: which column holds the classes? Name it with --target; the last columns are: {listed}."
        )
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"target": source.target})})


def audited_table(source: TableSource, recipe: Recipe) -> AuditedTable:
    """Audit a table as the recipe's data section says.

    Args:
        source: The table.
        recipe: Names target, classes, types, and columns that are no features.

    Returns:
        The audit and the cells as read; rows are numbered from 1 within the whole table.

    Raises:
        DataError: A column or class that is named is not there.
        RecipeError: The target is dropped.
    """
    wanted = recipe.data
    if wanted.target in wanted.drop:
        raise RecipeError(f'data.drop names the target "{wanted.target}", so no class is left. Drop other columns.')
    no_features = [name for name in (wanted.group, wanted.split, wanted.weight) if name in source.frame.columns]
    return audit_table(
        source.frame,
        target=wanted.target,
        classes=wanted.classes,
        leave_out=[*wanted.drop, *filter(None, no_features)],
        asked={name: asked_reading(words) for name, words in wanted.columns.items()},
        drop_unusable=wanted.free_text == "drop",
        marks=number_marks(recipe),
        drop_unlabelled=wanted.unlabelled == "drop",
        place=source.name,
        stored=source.stored,
    )


def _notes_on_unlabelled(audited: AuditedTable) -> tuple[str, ...]:
    return tuple(finding.message for finding in audited.audit.findings if finding.code == "unlabelled-rows")


def known_targets(
    source: TableSource,
    target: str,
    class_names: tuple[str, ...],
    *,
    leave_out_others: bool = False,
    leave_out_unlabelled: bool = False,
) -> Int[Tensor, " N"]:
    """The class indices of a table's rows among a model's classes, which are compared by value: `1.0` is the class `1`.

    Args:
        source: The table.
        target: The column of the classes.
        class_names: The model's classes.
        leave_out_others: Whether rows of other classes get -1 instead of raising an error.
        leave_out_unlabelled: Whether rows without a class get -1 instead of raising an error.

    Returns:
        Class indices.

    Raises:
        DataError: There is no such column, or a class is missing or unknown; the message names the row.
    """
    check_columns_exist(source.frame, [target], 'there is no column "{}" to take the classes from', source.name)
    labels = read_columns(source.frame, {target: Reading("category")}, source.name)[target]
    texts = Column(target, "category", class_names).texts_of_levels()
    labels = labels.replace({text: class_names[place] for text, place in texts.items()})
    if labels.null_count() and not leave_out_unlabelled:
        row = int(labels.is_null().arg_max() or 0)
        raise DataError(
            f"{source.place_of(row + 1, target)}: the class is missing ({labels.null_count()} of "
            f"{len(labels)} rows). Drop these rows, or write a class name into them; to train without them: "
            "--set data.unlabelled=drop."
        )
    if leave_out_others:
        found = labels.cast(pl.Enum(class_names), strict=False).to_physical().cast(pl.Int64).fill_null(-1)
        return torch.tensor(found.to_numpy())
    known = labels.is_not_null()
    try:
        of_known = class_indices(labels.filter(known).to_list(), class_names)
    except DataError as fault:
        raise DataError(f'{source.name}, column "{target}", {fault}') from fault
    targets = torch.full((len(labels),), -1)
    targets[torch.tensor(known.to_numpy())] = of_known
    return targets


def without_weightless(targets: Int[Tensor, " N"], weights: Float[Tensor, " N"] | None) -> Int[Tensor, " N"]:
    """The targets with -1, as for rows that are left out, where the weight of a row is 0."""
    return targets if weights is None else targets.masked_fill(weights == 0, -1)


def row_weights(source: TableSource, recipe: Recipe) -> Float[Tensor, " N"] | None:
    """The weight of each row of a table.

    Args:
        source: The table.
        recipe: Names the column of the weights, if there is one.

    Returns:
        Weights of 0 or more, float64; None where the recipe names no column.

    Raises:
        DataError: There is no such column, a weight is missing, negative or no number, or all are 0; the message names
            the row.
    """
    name = recipe.data.weight
    if name is None:
        return None
    check_columns_exist(source.frame, [name], 'data.weight names the column "{}", which is not there', source.name)
    column = select_named(source.frame, [name])
    readings = find_readings(column, {name: Reading("number")}, source.name, number_marks(recipe))
    weights = read_columns(column, readings, source.name)[name]
    return checked_weights(weights, f'{source.name}, column "{name}"', lambda row: source.place_of(row, name))


def checked_weights(weights: pl.Series, column: str, place_of: Callable[[int], str]) -> Float[Tensor, " N"]:
    """The weights of rows, none of which may be missing or negative, and some of which must not be 0.

    Args:
        weights: A number for each row.
        column: What messages call their column.
        place_of: What messages call a row, from its number from 1.

    Returns:
        Weights of 0 or more, float64.

    Raises:
        DataError: One is at fault, and the message names its row, or all are 0.
    """
    wrong = weights.is_null() | (weights < 0)
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        came = "a missing one" if weights[row] is None else f"{weights[row]:g}"
        raise DataError(f"{place_of(row + 1)}: expected a weight of 0 or more, got {came}. Write 0 to leave a row out.")
    if not (weights > 0).any():
        raise DataError(f"{column}: every weight is 0, so no row is left. Give some a weight.")
    return torch.tensor(weights.to_numpy())


def _check_known_classes(
    source: TableSource, target: str, targets: Int[Tensor, " N"], class_names: tuple[str, ...], split: Split
) -> None:
    known = torch.unique(targets[split.train])
    new = ~torch.isin(targets[split.test], known)
    if new.any():
        row = int(split.test[new][0])
        names = [class_names[index] for index in known.tolist()]
        name = class_names[int(targets[row])]
        place = source.place_of(row + 1, target)
        raise DataError(f'{place}: the class "{name}" is not in {source.name}.{did_you_mean(name, names)}')
