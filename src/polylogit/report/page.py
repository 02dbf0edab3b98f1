"""The report as one HTML file that opens offline.

See also: `words.py` for its sentences, `evaluation_charts.py` and `training_charts.py` for its charts, and `templates/`
for its layout. The page has no script, and its content security policy forbids every request.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from polylogit.evaluation import ClassSets, Evaluation, ScoredRows
from polylogit.plural import in_full
from polylogit.report import words
from polylogit.report.choice_charts import comparison_chart, penalty_chart
from polylogit.report.content import Coefficients, ReportData
from polylogit.report.document import report_json, report_markdown
from polylogit.report.effect_charts import effect_caption, effect_chart, effect_title
from polylogit.report.environment import rendered_page
from polylogit.report.evaluation_charts import coverage_chart, probabilities_chart, reliability_chart
from polylogit.report.label_page import suspects_on_page
from polylogit.report.mistakes import confident_mistakes
from polylogit.report.picture_sheets import confused_pairs, typical_pictures
from polylogit.report.pictures import coefficient_png, confusion_png, occlusion_uri, picture_uri
from polylogit.report.svg import chart_svg, picture_svg
from polylogit.report.training_charts import drawable_curves, importance_chart, learning_chart
from polylogit.system.atomic_file import atomic_write_text

__all__ = ["report_html", "write_report"]

MOST_CLASSES_IN_A_MATRIX = 20
MOST_CLASSES_IN_A_TABLE = 30
MOST_NAMES_AT_A_PICTURE = 40
MOST_FEATURES = 20
MOST_COLUMNS = 10
MOST_IMPORTANCES = 20
MOST_COLUMN_TYPES = 40
MOST_EFFECTS = 12


def write_report(report: ReportData, path: Path) -> None:
    """Write the report, atomically: as JSON or Markdown where the name ends in .json or .md, else as an HTML page.

    Args:
        report: The contents.
        path: The file.

    Raises:
        PolylogitError: The file cannot be written.
    """
    if path.suffix.lower() == ".json":
        text = json.dumps(report_json(report), ensure_ascii=False, indent=1) + "\n"
    else:
        text = report_markdown(report) if path.suffix.lower() == ".md" else report_html(report)
    atomic_write_text(path, text)


def report_html(report: ReportData) -> str:
    """The page as text: the same data give the same text.

    Args:
        report: The contents.

    Returns:
        One HTML document in UTF-8.

    Example:
        >>> import torch
        >>> from polylogit.evaluation import evaluate_logits
        >>> logits, targets = torch.eye(2), torch.tensor([0, 1])
        >>> evaluation = evaluate_logits(logits, targets, ["<cat>", "dog"])
        >>> page = report_html(ReportData("pets", "linear", evaluation, logits, targets))
        >>> page[:15], "&lt;cat&gt;" in page, "<cat>" in page, "<script" in page
        ('<!doctype html>', True, False, False)
    """
    filters: dict[str, Callable[..., Any]] = {
        "zip": lambda left, right: zip(left, right, strict=True),
        "count": in_full,
        "figure": lambda value, digits=3: "–" if value is None else f"{value:.{digits}f}",
    }
    return rendered_page("page.html.jinja", filters, **_contents(report))


def _contents(report: ReportData) -> dict[str, Any]:
    evaluation = report.evaluation
    return {
        "report": report,
        "evaluation": evaluation,
        "sentences": {
            "headline": words.headline(evaluation, report.noun),
            "calibration_error": words.calibration_sentence(evaluation, report.uncalibrated),
            "hardest_class": words.hardest_class(evaluation),
            "threshold": words.threshold_advice(evaluation, report.noun),
            "calibration": words.calibration_in_full(report.calibration, report.calibration_fit),
        },
        "figures": _figures(report),
        "curve_names": [f"curve-{name}" for name in ("log-loss", "accuracy", "objective", "optimality-gap")],
        "confusion": _confusion_cells(evaluation),
        "most_confused": words.most_confused(evaluation),
        "classes": _classes(evaluation),
        "classes_shown": MOST_CLASSES_IN_A_TABLE,
        "mistakes": _mistakes(report),
        "confused_pairs": confused_pairs(report),
        "typical": typical_pictures(report),
        "suspects": suspects_on_page(report.labels, most_columns=MOST_COLUMNS),
        "coefficients": _coefficients(report.coefficients, evaluation.class_names),
        "decided_classes": []
        if report.decisions is None
        else list(zip(evaluation.class_names, report.decisions.recalls, evaluation.per_class, strict=True))[
            :MOST_CLASSES_IN_A_TABLE
        ],
        "sets_of_classes": _sets_of_classes(report),
        "effects": [
            {
                "svg": chart_svg(effect_chart(effect), f"svg-effect-{n}", effect_title(effect)),
                "caption": effect_caption(effect),
            }
            for n, effect in enumerate(report.effects[:MOST_EFFECTS])
        ],
        "recipe": _recipe_lines(report.recipe),
        "decimals": _decimals((report.cross_validated or evaluation).rows),
        "columns_shown": MOST_COLUMN_TYPES,
    }


def _decimals(rows: int) -> int:
    """How many decimals of a percentage so many rows support."""
    return 0 if rows < 100 else 1 if rows < 10_000 else 2


def _figures(report: ReportData) -> dict[str, Markup]:
    rows = ScoredRows.check(report.logits, report.targets, report.sample_weight)
    before = None
    if report.logits_before is not None:
        before = ScoredRows.check(report.logits_before, report.targets, report.sample_weight)
    charts = {
        "reliability": (
            "Reliability diagram: predicted probability against observed frequency",
            reliability_chart(rows, before),
        ),
        "probabilities": (
            "Histogram of the probability of the predicted class, correct predictions above the line and errors below",
            probabilities_chart(rows),
        ),
        "coverage": (
            "Selective classification: accuracy against coverage",
            coverage_chart(rows),
        ),
    }
    if report.selection is not None:
        charts["comparison"] = (
            "Comparison of kinds of model: log loss above the lowest",
            comparison_chart(report.selection),
        )
    if report.penalty is not None and len(report.penalty["path"]) > 1:
        charts["penalty"] = ("Choice of C: log loss of held-out rows over C", penalty_chart(report.penalty))
    if len(report.history) > 1:
        for measure in drawable_curves(report.history):
            chart = learning_chart(report.history, measure)
            charts[f"curve-{measure.replace(' ', '-')}"] = (f"Learning curve: {measure} by epoch", chart)
    if report.importances:
        ordered = sorted(report.importances, key=lambda importance: -importance.mean)[:MOST_IMPORTANCES]
        charts["importance"] = (
            "Permutation importance: rise of the log loss when a column is shuffled",
            importance_chart(ordered),
        )
    drawn = {name: chart_svg(chart, f"svg-{name}", title) for name, (title, chart) in charts.items()}
    names = report.evaluation.class_names
    if len(names) > MOST_CLASSES_IN_A_MATRIX:
        drawn["confusion"] = picture_svg(
            confusion_png(report.evaluation),
            names if len(names) <= MOST_NAMES_AT_A_PICTURE else (),
            "svg-confusion",
            "Confusion matrix: true classes down, predicted classes across",
            across="predicted class",
            down="true class",
        )
    return drawn


def _confusion_cells(evaluation: Evaluation) -> list[list[dict[str, Any]]] | None:
    """For each true class its cells; None where there are too many classes for a table."""
    if len(evaluation.class_names) > MOST_CLASSES_IN_A_MATRIX:
        return None
    lines = []
    for true, row in enumerate(evaluation.confusion):
        support = sum(row)
        shares = [count / support if support else 0.0 for count in row]
        cells = [
            {"count": count, "share": share, "deep": share**0.5, "right": taken == true}
            for taken, (count, share) in enumerate(zip(row, shares, strict=True))
        ]
        lines.append(cells)
    return lines


def _classes(evaluation: Evaluation) -> list[dict[str, Any]]:
    """One entry for each class: in their order where they fit on a page, else by F1, the lowest first."""
    entries: list[dict[str, Any]] = []
    for k, (name, figures) in enumerate(zip(evaluation.class_names, evaluation.per_class, strict=True)):
        wrong = [(count, -other) for other, count in enumerate(evaluation.confusion[k]) if other != k and count]
        taken = evaluation.class_names[-max(wrong)[1]] if wrong else ""
        entries.append({"name": name, "figures": figures, "taken_for": taken, "times": max(wrong)[0] if wrong else 0})
    if len(entries) > MOST_CLASSES_IN_A_TABLE:
        entries.sort(key=lambda entry: (entry["figures"].f1 is None, entry["figures"].f1))
    return entries


def _sets_of_classes(report: ReportData) -> list[tuple[str, ClassSets]]:
    """The prediction sets of each class, the least covered first where there are many."""
    if report.sets is None:
        return []
    named = list(zip(report.evaluation.class_names, report.sets.usual.per_class, strict=True))
    if len(named) > MOST_CLASSES_IN_A_TABLE:
        named = sorted(named, key=lambda each: (each[1].covered is None, each[1].covered))[:MOST_CLASSES_IN_A_TABLE]
    return named


def _mistakes(report: ReportData) -> dict[str, Any]:
    most = 24 if report.pictures is not None else 12
    mistakes = confident_mistakes(report.logits, report.targets, most, sample_weight=report.sample_weight)
    names = report.evaluation.class_names
    columns = [] if report.table is None else report.table.columns[:MOST_COLUMNS]
    shown = [
        {
            "file": None if report.files is None else report.files[mistake.row],
            "number": mistake.row + 1 if report.row_numbers is None else int(report.row_numbers[mistake.row]),
            "true": names[mistake.true],
            "predicted": names[mistake.predicted],
            "probability": mistake.probability,
            "true_probability": mistake.true_probability,
            "picture": None if report.pictures is None else picture_uri(report.pictures[mistake.row]),
            "occlusion": None
            if report.pictures is None or mistake.row not in report.occlusions
            else occlusion_uri(report.pictures[mistake.row], report.occlusions[mistake.row]),
            "cells": [] if report.table is None else [report.table[mistake.row, column] for column in columns],
        }
        for mistake in mistakes
    ]
    more = 0 if report.table is None else report.table.width - len(columns)
    return {"shown": shown, "columns": columns, "more_columns": more}


def _coefficients(coefficients: Coefficients | None, names: Sequence[str]) -> dict[str, Any] | None:
    if coefficients is None:
        return None
    weight = coefficients.weight.detach().cpu().double()
    largest = float(weight.abs().max()) or 1.0
    if coefficients.picture_shape is not None:
        # one bright pixel must not leave all others pale
        bright = float(weight.abs().flatten().quantile(0.99)) if weight.numel() < 2**24 else largest
        pictures = [coefficient_png(row.reshape(coefficients.picture_shape), bright or 1.0) for row in weight]
        return {"pictures": list(zip(names, pictures, strict=True)), "table": None, "strongest": None}
    if len(names) <= MOST_CLASSES_IN_A_MATRIX // 2 + 2:
        order = weight.abs().max(dim=0).values.argsort(descending=True, stable=True)[:MOST_FEATURES].tolist()
        lines = [
            {
                "feature": coefficients.feature_names[feature],
                "cells": [{"value": value, "deep": abs(value) / largest} for value in weight[:, feature].tolist()],
            }
            for feature in order
        ]
        return {"pictures": None, "table": lines, "more": weight.shape[1] - len(order), "strongest": None}
    strongest = []
    for name, row in zip(names, weight, strict=True):
        order = row.argsort(descending=True, stable=True).tolist()
        strongest.append(
            {
                "name": name,
                "for": [coefficients.feature_names[feature] for feature in order[:3] if row[feature] > 0],
                "against": [coefficients.feature_names[feature] for feature in order[::-1][:3] if row[feature] < 0],
            }
        )
    return {"pictures": None, "table": None, "strongest": strongest}


def _recipe_lines(recipe: Mapping[str, object]) -> list[tuple[str, str]]:
    """Options as dotted names with their values, as `--set` takes them."""
    lines: list[tuple[str, str]] = []
    for key, value in recipe.items():
        if isinstance(value, Mapping) and value:
            lines += [(f"{key}.{name}", text) for name, text in _recipe_lines(value)]
        else:
            lines.append((key, "none" if value in ([], {}, ()) else str(value)))
    return lines
