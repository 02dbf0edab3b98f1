"""A model card from a model file: the README.md of a model on the Hugging Face Hub.

Source: https://huggingface.co/docs/hub/model-cards, the metadata at the top of the card.
"""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polylogit.model_header import ModelHeader
from polylogit.model_schema import ModelSchema
from polylogit.plural import counted
from polylogit.report.document import escaped, table

__all__ = ["model_card"]

MOST_NAMES = 100
METRICS = {
    "accuracy": "accuracy",
    "log_loss": "log loss",
    "brier_score": "Brier score",
    "calibration_error": "calibration error",
}


def model_card(header: ModelHeader, path: Path, report: Mapping[str, Any] | None = None) -> str:
    """The card of a model.

    Args:
        header: The header of the model file.
        path: The model file.
        report: The JSON report of its training run, for the metrics; None: the card has none.

    Returns:
        Markdown with a YAML block at its top. Names from the data are escaped.
    """
    pictures = header.preprocessing.kind == "picture"
    trained_on, test = header.trained_on, None if report is None else report["test"]
    task = "image-classification" if pictures else "tabular-classification"
    names = ", ".join(escaped(name) for name in header.class_names[:MOST_NAMES])
    more = f", and {len(header.class_names) - MOST_NAMES:,} more" if len(header.class_names) > MOST_NAMES else ""
    lines = [
        _metadata(header, task, test),
        f"# {escaped(Path(trained_on.data).stem)}, {header.model_kind}",
        f"A {header.model_kind} classifier with {len(header.class_names)} classes, written by polylogit "
        f"{escaped(header.polylogit_version)}. The file is data in the safetensors format and holds no code.",
        "## Use",
        f"```console\npip install polylogit\npolylogit predict {shlex.quote(path.name)} DATA\n```",
        f"```python\nfrom polylogit import Classifier\n\nclassifier = Classifier.load({json.dumps(path.name)})\n```",
        "## Classes",
        names + more,
        "## Input",
        _input(header),
        "## Training data",
        f"{escaped(trained_on.data)}, target {escaped(trained_on.target)}: "
        f"{counted(trained_on.rows_train, 'training row')} and "
        f"{counted(trained_on.rows_test, 'test row')}. SHA-256 of the data: `{trained_on.fingerprint}`.",
        "## Evaluation",
        *_evaluation(report),
        "## Limits",
        "The probabilities hold for data like the training data. The model was not evaluated on other populations, and "
        "predictions about people need a review of bias that this card does not replace.",
        "## Recipe",
        f"```json\n{json.dumps(header.recipe, ensure_ascii=False, indent=1)}\n```",
    ]
    return "\n\n".join(lines) + "\n"


def _metadata(header: ModelHeader, task: str, test: Mapping[str, Any] | None) -> str:
    """The YAML block; its strings are JSON strings, which YAML reads."""
    name, data = Path(header.trained_on.data).stem, header.trained_on.data
    lines = [
        "---",
        "library_name: polylogit",
        f"pipeline_tag: {task}",
        f"tags: [{task}, softmax-regression, safetensors]",
    ]
    if test is not None:
        lines += [
            "model-index:",
            f"- name: {json.dumps(f'{name}, {header.model_kind}')}",
            "  results:",
            f"  - task: {{type: {task}}}",
            f"    dataset: {{name: {json.dumps(data)}, type: {json.dumps(name)}, split: test}}",
            "    metrics:",
            *(f"    - {{type: {metric}, value: {test[metric]:.6g}}}" for metric in METRICS),
        ]
    return "\n".join([*lines, "---"])


def _input(header: ModelHeader) -> str:
    schema = ModelSchema.of(header).input
    if schema.kind == "picture":
        colours = "colour" if schema.channels == 3 else "greyscale"
        return f"Pictures, scaled to {schema.height} x {schema.width} pixels, {colours}."
    rows = [
        (escaped(column.name), column.type, escaped(column.in_words()), "yes" if column.missing_in_training else "no")
        for column in schema.columns[:MOST_NAMES]
    ]
    more = len(schema.columns) - len(rows)
    return table(("column", "type", "training values", "missing values"), rows) + (
        f"\n\nand {counted(more, 'more column')}" if more else ""
    )


def _evaluation(report: Mapping[str, Any] | None) -> list[str]:
    if report is None:
        return ["The model file holds no metrics; `polylogit evaluate` computes them on labelled data."]
    better, test = report["cross_validated"], report["test"]
    rows = [
        (label, *([] if better is None else [f"{better[metric]:.4f}"]), f"{test[metric]:.4f}")
        for metric, label in METRICS.items()
    ]
    heads = ("metric", *([] if better is None else ["cross-validated"]), f"test set ({counted(test['rows'], 'row')})")
    found = "\n".join(f"- {each['level']} {each['code']}: {escaped(each['message'])}" for each in report["conclusions"])
    return [table(heads, rows), *([found] if found else [])]
