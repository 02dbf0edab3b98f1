"""The report for programs and for text tools: one JSON object, or one Markdown page.

Both hold the metrics, the conclusions with their codes, the findings of the audit, the calibration, the recipe and the
facts of the run, with the same numbers as the HTML page.
"""

from collections.abc import Sequence
from typing import Any

from polylogit.calibration import SetEvaluation
from polylogit.plural import counted, in_full
from polylogit.report import words
from polylogit.report.content import ReportData
from polylogit.report.label_check import LabelCheck, label_check_sentence
from polylogit.report.numbers import percent

__all__ = ["escaped", "report_json", "report_markdown", "table"]

FORMAT_VERSION = 1
MOST_CLASSES = 50
MOST_COLUMNS = 50
MOST_SUSPECTS = 20


def report_json(report: ReportData) -> dict[str, Any]:
    """The report as plain data.

    Args:
        report: The contents.

    Returns:
        Dictionaries, lists, strings and numbers. `format_version` rises when a key changes its meaning.

    Example:
        >>> import torch
        >>> from polylogit.evaluation import evaluate_logits
        >>> logits, targets = torch.eye(2), torch.tensor([0, 1])
        >>> evaluation = evaluate_logits(logits, targets, ["a", "b"])
        >>> plain = report_json(ReportData("pets", "linear", evaluation, logits, targets))
        >>> plain["model"], plain["test"]["accuracy"], [each["code"] for each in plain["conclusions"]]
        ('linear', 1.0, ['PL001'])
    """
    optional = {
        "cross_validated": report.cross_validated,
        "test_uncalibrated": report.uncalibrated,
        "calibration": report.calibration_fit or report.calibration,
        "calibration_effect": report.effect,
        "prediction_sets": report.sets,
        "decisions": report.decisions,
        "audit": report.audit,
        "label_errors": report.labels,
    }
    return {
        "format_version": FORMAT_VERSION,
        "generator": "polylogit",
        "data": report.data,
        "model": report.model,
        "rows_train": report.rows_trained_on,
        "rows_test": report.evaluation.rows,
        "test": report.evaluation.as_json(),
        **{name: None if part is None else part.as_json() for name, part in optional.items()},
        "cross_validation": report.folds,
        "selection": None if report.selection is None else dict(report.selection),
        "penalty": None if report.penalty is None else dict(report.penalty),
        "conclusions": [conclusion.as_json() for conclusion in report.conclusions],
        "importances": [
            {"column": each.column, "mean": each.mean, "spread": each.spread} for each in report.importances
        ],
        "effects": [each.as_json() for each in report.effects],
        "notes": list(report.notes),
        "recipe": dict(report.recipe),
        "facts": dict(report.facts),
        "command": report.command,
    }


def report_markdown(report: ReportData) -> str:
    r"""The report as a Markdown page with tables.

    Args:
        report: The contents.

    Returns:
        GitHub-flavoured Markdown. Names from the data are escaped.

    Example:
        >>> import torch
        >>> from polylogit.evaluation import evaluate_logits
        >>> logits, targets = torch.eye(2), torch.tensor([0, 1])
        >>> evaluation = evaluate_logits(logits, targets, ["a|b", "c"])
        >>> page = report_markdown(ReportData("pets", "linear", evaluation, logits, targets))
        >>> page.splitlines()[0], r"| a\|b | 1 |" in page
        ('# pets, linear', True)
    """
    evaluation = report.evaluation
    lead = [] if not report.foremost else [escaped(report.foremost)]
    lines = [
        f"# {escaped(report.data)}, {escaped(report.model)}",
        "<!-- polylogit report -->",
        *lead,
        escaped(words.headline(evaluation, report.noun)),
        *(f"- **{each.level} {each.code}**: {escaped(each.message)}" for each in report.conclusions),
        *(f"- note: {escaped(note)}" for note in report.notes),
        "## Metrics",
        _metrics(report),
        "## Classes",
        _classes(report),
        "## Calibration",
        escaped(words.calibration_in_full(report.calibration, report.calibration_fit)),
    ]
    if report.effect is not None:
        lines += [escaped(report.effect.sentence())]
    if report.decisions is not None:
        lines += ["## Decisions", escaped(report.decisions.sentence(report.noun))]
    if report.sets is not None:
        lines += ["## Prediction sets", escaped(report.sets.sentence(report.noun)), _sets(report.sets)]
    if report.importances:
        ordered = sorted(report.importances, key=lambda each: -each.mean)[:20]
        rows = [(escaped(each.column), f"{each.mean:.4f}") for each in ordered]
        lines += ["## Permutation importance", table(("column", "rise of the log loss"), rows)]
    if report.effects:
        rows = [(escaped(each.column), f"{each.size:.4f}") for each in report.effects[:20]]
        lines += ["## Effects of the columns", table(("column", "mean absolute effect on the logit, nats"), rows)]
    if report.labels is not None:
        lines += ["## Labels", escaped(label_check_sentence(report.labels)), *_suspects(report.labels)]
    if report.audit is not None:
        found = [f"- {each.severity} `{each.code}`: {escaped(str(each))}" for each in report.audit.findings]
        lines += ["## Audit", "\n".join(found) or "Nothing was found."]
        read = [(escaped(name), escaped(report.audit.described(name))) for name in report.audit.columns]
        lines += [table(("column", "read as"), read[:MOST_COLUMNS])] if read else []
        lines += [f"and {counted(len(read) - MOST_COLUMNS, 'more column')}"] if len(read) > MOST_COLUMNS else []
    facts = [(escaped(name), escaped(value)) for name, value in report.facts.items()]
    lines += ["## Run", table(("fact", "value"), facts)] if facts else []
    lines += [f"```\n{report.command}\n```"] if report.command else []
    return "\n\n".join(lines) + "\n"


def _metrics(report: ReportData) -> str:
    evaluation, better = report.evaluation, report.cross_validated
    rows = []
    for label, name in (
        ("accuracy", "accuracy"),
        ("log loss", "log_loss"),
        ("Brier score", "brier_score"),
        ("calibration error", "calibration_error"),
    ):
        values = [getattr(each, name) for each in (better, evaluation) if each is not None]
        rows.append((label, *(percent(value) if name == "accuracy" else f"{value:.4f}" for value in values)))
    test = counted(evaluation.rows, f"test {report.noun}")
    heads = ("metric", *([] if better is None else ["cross-validated"]), test)
    return table(heads, rows)


def _sets(sets: SetEvaluation) -> str:
    rows = [
        (percent(each.coverage), percent(each.covered), f"{each.mean_size:.2f}", percent(each.single))
        for each in sets.figures
    ]
    return table(("coverage asked for", "observed", "mean size", "sets of one class"), rows)


def _classes(report: ReportData) -> str:
    named = list(zip(report.evaluation.class_names, report.evaluation.per_class, strict=True))
    rows = [
        (
            escaped(name),
            in_full(figures.support),
            *("–" if value is None else f"{value:.3f}" for value in (figures.precision, figures.recall, figures.f1)),
        )
        for name, figures in named[:MOST_CLASSES]
    ]
    left_out = counted(len(named) - MOST_CLASSES, "more class", "more classes")
    more = "" if len(named) <= MOST_CLASSES else f"\n\nand {left_out}"
    return table(("class", report.nouns, "precision", "recall", "F1"), rows) + more


def _suspects(check: LabelCheck) -> list[str]:
    if not check.suspects:
        return []
    rows = [
        (
            f"{suspect.row:,}" if suspect.file is None else f"{escaped(suspect.file)}: {suspect.row:,}",
            escaped(suspect.given),
            percent(suspect.given_probability),
            escaped(suspect.suggested),
            percent(suspect.suggested_probability),
            percent(suspect.error_probability),
        )
        for suspect in check.suspects[:MOST_SUSPECTS]
    ]
    more = len(check.suspects) - len(rows)
    return [
        table((check.noun, "given class", "probability", "suggested class", "probability", "wrong label"), rows),
        *([f"and {more:,} more in the JSON report"] if more > 0 else []),
    ]


def table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table of cells that are escaped already."""
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def escaped(text: str) -> str:
    r"""Text in which nothing is Markdown or HTML, on one line.

    Example:
        >>> escaped("a|b <script> *c*")
        'a\\|b &lt;script&gt; \\*c\\*'
    """
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for mark in "\\`*_[]|#":
        text = text.replace(mark, f"\\{mark}")
    return text
