"""The audit of a table on its own, without training."""

from dataclasses import replace

import torch

from polylogit.data.pictures.sources import open_pictures
from polylogit.data.tables.audit import Audit, AuditFinding, audit_leakage
from polylogit.data.tables.audit.levels import audit_levels, column_profiles
from polylogit.data.tables.chosen_rows import ChosenRows
from polylogit.data.tables.fitted_columns import fitted_columns
from polylogit.errors import RecipeError
from polylogit.recipes import Recipe
from polylogit.recipes.data_kinds import check_options_apply, data_kind
from polylogit.run.picture_task import audit_of_pictures, picture_labels, picture_reading
from polylogit.run.table_memory import row_group_findings
from polylogit.run.table_split import rows_kept_together, split_of_table
from polylogit.run.table_task import audited_table, opened_table, row_weights, with_target

__all__ = ["check"]


def check(data: str, recipe: Recipe) -> Audit:
    """Audit a table or picture files without training.

    Args:
        data: DATA as given on the command line.
        recipe: Its data section says what the columns are. Without a target only the features are audited.

    Returns:
        The audit.

    Raises:
        DataError: The table cannot be read, or a column that is named is not there.
        RecipeError: The data are a picture data set with a name.
    """
    kind = data_kind(data, recipe.data.path)
    if kind == "picture data set":
        raise RecipeError(
            f"{data}: check audits tables and picture files; of a data set with a name it checks labels, with --labels."
        )
    if kind != "table":
        return _checked_pictures(data, recipe)
    source = opened_table(data, recipe)
    if recipe.data.target is None and source.target is not None:
        recipe = with_target(recipe, source)
    row_weights(source, recipe)
    audited = audited_table(source, recipe)
    columns = fitted_columns(ChosenRows(audited.features), audited.readings, recipe.data.most_levels)
    audit = audited.audit.and_also(audit_levels(columns, audited.features.height)).located(source.locate)
    audit = audit.and_also(AuditFinding("read-differently", "note", note, "") for note in source.notes)
    audit = audit.and_also(row_group_findings(source))
    audit = replace(audit, profiles=column_profiles(columns, audited.features))
    given = recipe.data.split is not None or recipe.data.test is not None
    if audited.targets is not None and given and not audit.of("error"):
        together = rows_kept_together(source, audited.copies, recipe)
        split = split_of_table(source, torch.tensor(audited.targets), recipe, together)
        audit = audit.and_also(audit_leakage(audited.features, split.train.numpy(), split.test.numpy(), source.locate))
    return audit


def _checked_pictures(data: str, recipe: Recipe) -> Audit:
    """The audit of picture files, split as for training, every pixel looked at."""
    check_options_apply(recipe, data_kind(data, recipe.data.path), data)
    source = open_pictures(data, reading=replace(picture_reading(recipe), in_memory="never"))
    audit = audit_of_pictures(source, picture_labels(source, recipe).split, look=True)
    if audit is None:
        raise AssertionError(f"{data} are files, which have a listing")
    notes = () if source.listing is None else source.listing.notes
    return audit.and_also(AuditFinding("left-aside", "note", note, "") for note in notes)
