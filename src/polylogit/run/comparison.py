"""The comparison of saved models on the same labelled rows, none of which any of them was trained on.

See also: `polylogit.run.fold_comparison`, the comparison of cross-validation scores.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from polylogit.classifier import Classifier
from polylogit.data.pictures.encoder import PictureEncoder
from polylogit.data.split import group_numbers, is_among
from polylogit.data.tables.column_types import Reading
from polylogit.data.tables.columns import read_columns
from polylogit.data.tables.sources import open_source
from polylogit.errors import DataError, RecipeError
from polylogit.evaluation import ScoredRows
from polylogit.evaluation.metrics import brier_score, log_loss
from polylogit.evaluation.paired import RESAMPLES, Metric, bootstrap_differences, mcnemar
from polylogit.plural import agreeing, counted
from polylogit.report.comparison import ComparedModel, Comparison, Disagreement, Pair
from polylogit.run.evaluated_rows import EvaluatedRows
from polylogit.run.evaluation import rows_to_evaluate
from polylogit.run.model_recipe import recipe_of_model
from polylogit.run.table_task import dialect_of

__all__ = ["compare", "model_letter"]

MOST_DISAGREEMENTS = 100
_RECOGNISED = (
    "Training rows are recognised where the data are the very file that a model was trained on; copies of them in "
    "another file are not."
)
_RECOGNISED_PICTURES = (
    "Training pictures are recognised by the bytes of their files, wherever these are; pictures that were saved again "
    "are not."
)


def compare(model_paths: Sequence[Path], data: str, *, data_root: Path | None = None, seed: int = 0) -> Comparison:
    """Compare saved models on labelled data.

    The rows compared are those that every model can be evaluated on: of the file that a model was trained on, only the
    rows that it held out. For the intervals rows are drawn one by one, or in whole groups where the recipe of a model
    names a column of groups.

    Args:
        model_paths: Model files, at least two.
        data: DATA as given on the command line, with the classes.
        data_root: Directory for downloaded data sets.
        seed: Of the bootstrap.

    Returns:
        The comparison of each two models.

    Raises:
        ModelFileError: A model file is at fault.
        DataError: The data are at fault, a model was trained on all of them, no row is held out by all models, or the
            models do not know the same classes.
        RecipeError: There are fewer than two models.
    """
    if len(model_paths) < 2:
        raise RecipeError("compare: expected at least two models and the data.")
    classifiers = [Classifier.load(path) for path in model_paths]
    for path, classifier in zip(model_paths[1:], classifiers[1:], strict=True):
        _check_same_classes(model_paths[0], classifiers[0], path, classifier)
    evaluated, notes = [], []
    for path, classifier in zip(model_paths, classifiers, strict=True):
        try:
            found = rows_to_evaluate(
                classifier,
                recipe_of_model(classifier, path),
                data,
                data_root=data_root,
                unseen_only=True,
                allow_unseen=True,
            )
        except DataError as fault:
            raise DataError(f"{path}: {fault}") from fault
        evaluated.append(found.rows)
        notes += [f"{path}: {note}" for note in (*found.warnings, *found.notes)]
    numbers = _common_numbers(evaluated, data)
    scored = _scored(classifiers, evaluated, numbers, data)
    groups = _groups(model_paths, classifiers, data, numbers)
    weighted = evaluated[0].weights is not None
    pairs = [
        Pair(
            first=model_letter(first),
            second=model_letter(second),
            differences=bootstrap_differences(scored[first], scored[second], groups=groups, seed=seed),
            p_values={},
            mcnemar=None if weighted or groups is not None else mcnemar(scored[first], scored[second]),
        )
        for first, second in combinations(range(len(scored)), 2)
    ]
    disagreements, disagreeing = _disagreements(
        scored, numbers, classifiers[0].class_names, _common_files(evaluated[0], numbers)
    )
    drawn = "rows" if groups is None else f"{len(torch.unique(groups)):,} groups of rows"
    return Comparison(
        data=found.data,
        method=f"The intervals are those of {RESAMPLES:,} bootstrap draws of {drawn}, on each of which both models are "
        "evaluated.",
        unit="picture" if isinstance(classifiers[0].preprocessing, PictureEncoder) else "row",
        units=len(numbers),
        models=tuple(
            ComparedModel(model_letter(index), str(path), classifier.model_kind, _metrics(rows))
            for index, (path, classifier, rows) in enumerate(zip(model_paths, classifiers, scored, strict=True))
        ),
        pairs=tuple(pairs),
        disagreements=disagreements,
        disagreeing=disagreeing,
        notes=(*notes, *_notes(classifiers, evaluated, numbers, len(pairs)), _recognised(classifiers)),
    )


def _recognised(classifiers: Sequence[Classifier]) -> str:
    """How rows that a model was trained on are recognised among others."""
    by_files = all(classifier.trained_on.pictures is not None for classifier in classifiers)
    return _RECOGNISED_PICTURES if by_files else _RECOGNISED


def model_letter(index: int) -> str:
    """The name of a model in a comparison.

    Example:
        >>> [model_letter(index) for index in (0, 1, 26)]
        ['A', 'B', 'M27']
    """
    return chr(ord("A") + index) if index < 26 else f"M{index + 1}"


def _check_same_classes(first_path: Path, first: Classifier, path: Path, other: Classifier) -> None:
    differing = sorted(set(first.class_names) ^ set(other.class_names))
    if differing:
        named = ", ".join(f'"{name}"' for name in differing[:5])
        raise DataError(
            f"{first_path} and {path} do not know the same classes: {named} "
            f"{'is' if len(differing) == 1 else 'are'} known to one of them only. Compare models of the same classes."
        )


def _common_numbers(evaluated: Sequence[EvaluatedRows], data: str) -> Int[Tensor, " M"]:
    """The numbers of the rows that every model can be evaluated on, in their order."""
    numbers = evaluated[0].numbers
    for rows in evaluated[1:]:
        numbers = numbers[is_among(numbers, rows.numbers)]
    if not len(numbers):
        raise DataError(
            f"{data}: each row was trained on by one of the models, so there is none to compare them on. Give rows "
            "that none was trained on, or train the models with the same split."
        )
    return numbers


def _scored(
    classifiers: Sequence[Classifier], evaluated: Sequence[EvaluatedRows], numbers: Int[Tensor, " M"], data: str
) -> list[ScoredRows]:
    """The common rows with the scores of each model, the classes in the order of the first, with its weights."""
    class_names = classifiers[0].class_names
    weights = evaluated[0].weights
    if weights is not None:
        weights = weights[torch.searchsorted(evaluated[0].numbers, numbers)]
    scored = []
    for classifier, rows in zip(classifiers, evaluated, strict=True):
        place = torch.searchsorted(rows.numbers, numbers)
        order = torch.tensor([classifier.class_names.index(name) for name in class_names])
        targets = torch.argsort(order)[rows.targets[place]]
        scored.append(ScoredRows.check(rows.logits[place][:, order], targets, weights))
        if not torch.equal(scored[0].targets, scored[-1].targets):
            raise DataError(f"{data}: the models take their classes from different columns. Compare models of one.")
    return scored


def _metrics(rows: ScoredRows) -> dict[Metric, float]:
    return {"log_loss": log_loss(rows), "accuracy": rows.mean(rows.hits), "brier_score": brier_score(rows)}


def _notes(
    classifiers: Sequence[Classifier], evaluated: Sequence[EvaluatedRows], numbers: Int[Tensor, " M"], pairs: int
) -> Iterator[str]:
    if len(numbers) < max(len(rows.numbers) for rows in evaluated):
        are = agreeing(len(numbers), "is", "are")
        yield f"only the {counted(len(numbers), 'row')} that no model was trained on {are} compared."
    if len({classifier.recipe.get("data", {}).get("weight") for classifier in classifiers}) > 1:
        yield "the models weight rows differently; the weights of the first are used."
    if any(classifier.decision is not None for classifier in classifiers):
        yield "predictions are the most probable classes, without the decisions by costs of a model."
    if pairs > 1:
        yield f"{pairs} pairs are compared, and the intervals are not adjusted for that."


def _groups(
    paths: Sequence[Path], classifiers: Sequence[Classifier], data: str, numbers: Int[Tensor, " M"]
) -> Int[Tensor, " M"] | None:
    """The groups of the rows of a table, where a recipe names a column of them and the table has it."""
    for path, classifier in zip(paths, classifiers, strict=True):
        if isinstance(classifier.preprocessing, PictureEncoder):
            continue
        recipe = recipe_of_model(classifier, path)
        group = recipe.data.group
        source = open_source(data, dialect_of(recipe)) if group is not None else None
        if group is not None and source is not None and group in source.frame.columns:
            values = read_columns(source.frame, {group: Reading("category")}, source.name)[group]
            return group_numbers(values)[numbers - 1]
    return None


def _common_files(evaluated: EvaluatedRows, numbers: Int[Tensor, " M"]) -> list[str] | None:
    """The files of the common rows; None where they are not pictures in files."""
    if evaluated.files is None:
        return None
    return [evaluated.files[place] for place in torch.searchsorted(evaluated.numbers, numbers).tolist()]


def _disagreements(
    scored: Sequence[ScoredRows],
    numbers: Int[Tensor, " M"],
    class_names: Sequence[str],
    files: Sequence[str] | None,
) -> tuple[tuple[Disagreement, ...], int]:
    predictions = torch.stack([rows.predictions for rows in scored])
    targets = scored[0].targets
    own = torch.stack([rows.probabilities.gather(1, targets[:, None])[:, 0] for rows in scored])
    differing = (predictions != predictions[0]).any(dim=0).nonzero()[:, 0]
    spread = own[:, differing].max(dim=0).values - own[:, differing].min(dim=0).values
    shown = differing[spread.argsort(descending=True, stable=True)][:MOST_DISAGREEMENTS]
    return tuple(
        Disagreement(
            row=int(numbers[row]),
            true=class_names[int(targets[row])],
            predicted=tuple(class_names[index] for index in predictions[:, row].tolist()),
            true_probabilities=tuple(own[:, row].tolist()),
            file=None if files is None else files[row],
        )
        for row in shown.tolist()
    ), len(differing)
