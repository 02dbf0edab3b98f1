"""Answers: the predictions of a request as JSON, JSON lines, CSV, Parquet or Arrow."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl
import torch
from jaxtyping import Float
from torch import Tensor

from polylogit.calibration import PredictionSetRule
from polylogit.classifier import Classifier
from polylogit.run.contributions import Contributions
from polylogit.run.prediction_frames import prediction_frame
from polylogit.run.spreadsheet_text import with_sets_as_text
from polylogit.serve.encoding import EncodedRequest, RowFault
from polylogit.serve.json_text import json_bytes
from polylogit.serve.request_error import RequestError

__all__ = ["ANSWER_TYPES", "Answer", "accepted_type", "written"]


@dataclass(frozen=True)
class Answer:
    """The predictions of a request.

    Args:
        model: The model's name.
        classifier: The classifier, which decides for a class.
        encoded: The request.
        logits: Calibrated logits of the rows that can be read.
        abstain_below: Give no class to a row whose top probability is below this.
        set_rule: The rule of the prediction sets; None: none are given.
        contributions: Of the columns, for each row that can be read; None where they were not asked for.
    """

    model: str
    classifier: Classifier
    encoded: EncodedRequest
    logits: Float[Tensor, "N K"]
    abstain_below: float | None = None
    set_rule: PredictionSetRule | None = None
    contributions: Sequence[Contributions] | None = None

    @property
    def class_names(self) -> Sequence[str]:
        """The classes, in the order of the probabilities."""
        return self.classifier.class_names

    @cached_property
    def probabilities(self) -> list[list[float]]:
        """The probability of each class, row by row."""
        rows: list[list[float]] = torch.softmax(self.logits, dim=1).tolist()
        return rows

    @cached_property
    def predicted(self) -> list[int]:
        """The number of the class of each row: the most probable one, or the one that the classifier's rule chooses."""
        classes: list[int] = self.classifier.decide(self.logits).tolist()
        return classes

    @cached_property
    def top(self) -> list[float]:
        """The probability of the most probable class of each row."""
        return [max(row) for row in self.probabilities]

    @cached_property
    def sets(self) -> list[tuple[str, ...]] | None:
        """The prediction set of each row."""
        return None if self.set_rule is None else self.set_rule.sets(self.logits, self.class_names)

    @cached_property
    def costs(self) -> list[float] | None:
        """The expected cost of the class of each row, where the classifier decides by costs."""
        if self.classifier.decision is None:
            return None
        costs: list[float] = self.classifier.decision.least_expected_costs(self.logits).tolist()
        return costs

    @cached_property
    def abstained(self) -> list[bool]:
        """Which rows get no class."""
        return [self.abstain_below is not None and top < self.abstain_below for top in self.top]

    def rows(self, *, errors: bool) -> list[dict[str, Any]]:
        """The answer to each row of the request, in their order.

        Args:
            errors: Whether a row that cannot be read carries what is wrong with it.
        """
        found: list[dict[str, Any]] = [{}] * self.encoded.rows
        for place, row in enumerate(self.encoded.kept):
            found[row] = self._prediction(place)
        for row, faults in _by_row(self.encoded.faults).items():
            found[row] = {"class": None, "probabilities": None, "abstained": False, "failed": True}
            if errors:
                found[row]["errors"] = [_without_index(fault) for fault in faults]
        if self.encoded.names is not None:
            found = [{"file": name} | entries for name, entries in zip(self.encoded.names, found, strict=True)]
        return found

    def _prediction(self, place: int) -> dict[str, Any]:
        abstained = self.abstained[place]
        unseen = () if self.encoded.unseen is None else self.encoded.unseen[place]
        more: dict[str, Any] = {}
        if self.sets is not None:
            more["prediction_set"] = list(self.sets[place])
        if self.costs is not None:
            more["expected_cost"] = None if abstained else self.costs[place]
        if self.contributions is not None:
            more["explanation"] = self.contributions[place].as_json()
        return more | {
            "class": None if abstained else self.class_names[self.predicted[place]],
            "probabilities": dict(zip(self.class_names, self.probabilities[place], strict=True)),
            "abstained": abstained,
            "notes": [
                f'column "{name}": the value was never seen in training, or is missing although no training row '
                "lacks it."
                for name in unseen
            ],
        }

    def frame(self) -> pl.DataFrame:
        """The columns of `polylogit predict`; a row that cannot be read has nulls and its `error`."""
        found = prediction_frame(
            self.logits, self.class_names, self.abstain_below, self.set_rule, self.classifier.decision
        )
        if self.encoded.faults:
            rows = pl.DataFrame({"row": pl.Series(list(self.encoded.kept), dtype=pl.Int64)}).hstack(found)
            errors = {
                row: " ".join(
                    fault.message if fault.column is None else f"{fault.column}: {fault.message}" for fault in f
                )
                for row, f in _by_row(self.encoded.faults).items()
            }
            whole = pl.DataFrame({"row": pl.Series(range(self.encoded.rows), dtype=pl.Int64)})
            whole = whole.join(rows, on="row", how="left", maintain_order="left")
            found = whole.drop("row").with_columns(
                pl.Series("error", [errors.get(row) for row in range(self.encoded.rows)], dtype=pl.String)
            )
        if self.encoded.carried is not None:
            found = self.encoded.carried.hstack(found.get_columns())
        if self.encoded.names is not None:
            found = pl.DataFrame({"file": pl.Series(list(self.encoded.names), dtype=pl.String)}).hstack(found)
        return found


def _json(answer: Answer) -> bytes:
    if answer.encoded.single:
        return json_bytes({"model": answer.model} | answer.rows(errors=True)[0])
    content: dict[str, Any] = {"model": answer.model, "predictions": answer.rows(errors=False)}
    content["errors"] = [fault.as_json() for fault in answer.encoded.faults]
    content["notes"] = list(answer.encoded.notes)
    return json_bytes(content)


def _json_lines(answer: Answer) -> bytes:
    return b"".join(json_bytes(row) + b"\n" for row in answer.rows(errors=True))


def _csv(answer: Answer) -> bytes:
    frame = answer.frame()
    if answer.sets is not None and any("|" in name for names in answer.sets for name in names):
        raise RequestError(406, "not_acceptable", "the name of a class in a set contains |: CSV has no place for it.")
    return with_sets_as_text(frame).write_csv().encode("utf-8", errors="backslashreplace")


def _parquet(answer: Answer) -> bytes:
    file = io.BytesIO()
    answer.frame().write_parquet(file)
    return file.getvalue()


def _arrow(answer: Answer) -> bytes:
    file = io.BytesIO()
    answer.frame().write_ipc_stream(file)
    return file.getvalue()


ANSWER_TYPES: dict[str, Callable[[Answer], bytes]] = {
    "application/json": _json,
    "application/x-ndjson": _json_lines,
    "text/csv": _csv,
    "application/vnd.apache.parquet": _parquet,
    "application/vnd.apache.arrow.stream": _arrow,
}
"""The function that writes an answer in each media type."""


def written(answer: Answer, media_type: str) -> bytes:
    """An answer in a media type of `ANSWER_TYPES`."""
    return ANSWER_TYPES[media_type](answer)


def accepted_type(accept: str | None) -> str:
    """The media type of the answer that a request prefers.

    Args:
        accept: The header `Accept`.

    Returns:
        A key of `ANSWER_TYPES`; JSON where any will do.

    Raises:
        RequestError: None of them is accepted.

    Example:
        >>> accepted_type("text/csv;q=0.9, */*;q=0.1"), accepted_type("*/*")
        ('text/csv', 'application/json')
    """
    if not accept:
        return "application/json"
    best, best_weight = None, 0.0
    for entry in accept.split(",")[:50]:
        wanted, *parameters = (part.strip().lower() for part in entry.split(";"))
        weight = _weight(parameters)
        if weight <= best_weight:
            continue
        for known in ANSWER_TYPES:
            if wanted in (known, "*/*", f"{known.partition('/')[0]}/*"):
                best, best_weight = known, weight
                break
    if best is None:
        raise RequestError(
            406, "not_acceptable", f"no such answer can be given. Known media types: {', '.join(ANSWER_TYPES)}."
        )
    return best


def _weight(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return min(max(float(parameter[2:]), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0


def _by_row(faults: Sequence[RowFault]) -> dict[int, list[RowFault]]:
    found: dict[int, list[RowFault]] = {}
    for fault in faults:
        found.setdefault(fault.row, []).append(fault)
    return found


def _without_index(fault: RowFault) -> dict[str, object]:
    return {name: value for name, value in fault.as_json().items() if name != "index"}
