"""`GET /models` and `GET /model`: which models there are, and what is known about each."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from polylogit.model_schema import TableSchema
from polylogit.run.contributions import can_explain
from polylogit.serve.models import Models
from polylogit.serve.request_error import json_response
from polylogit.serve.served_model import ServedModel
from polylogit.serve.settings import ServeSettings

__all__ = ["ModelCards"]

_METRICS = ("rows", "accuracy", "accuracy_interval", "log_loss", "brier_score", "calibration_error")


class ModelCards:
    """Answers about the models.

    Args:
        models: The models.
        settings: For the limits that a client must know.
    """

    def __init__(self, models: Models, settings: ServeSettings) -> None:
        self._models = models
        self._settings = settings

    async def names(self, request: Request) -> Response:
        """`GET /models`."""
        del request
        return json_response({"models": list(self._models.by_name)})

    async def card(self, request: Request) -> Response:
        """`GET /model` and `GET /models/{name}`."""
        model = self._models.get(request.path_params.get("name") or request.query_params.get("model"))
        return json_response(self._card(model))

    def _card(self, model: ServedModel) -> dict[str, Any]:
        header, settings = model.header, self._settings
        card: dict[str, Any] = {
            "name": model.name,
            "digest": model.digest,
            "polylogit_version": header.polylogit_version,
            "schema": model.schema.model_dump(mode="json"),
            "trained_on": header.trained_on.model_dump(mode="json"),
            "calibrated": model.classifier.calibrated,
            "decides_by_costs": model.classifier.decision is not None,
            "gives_prediction_sets": model.classifier.conformal is not None,
            "abstain_below": settings.abstain_below,
            "explains": can_explain(model.classifier),
            "limits": {
                "bytes": settings.max_bytes,
                "rows": settings.max_rows,
                "pixels": settings.max_pixels,
                "seconds": settings.deadline,
            },
            "metrics": _metrics(model.report),
        }
        if isinstance(model.schema.input, TableSchema):
            card["example"] = model.schema.input.example_row()
        if model.picture_encoder is not None:
            card["mean_brightness"] = float(model.picture_encoder.mean.mean())
        return card


def _metrics(report: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The metrics of rows that were not trained on; None where no report of them is beside the model file.

    `answered` says for some thresholds which share of the test rows has at least that top probability, and which share
    of those is right.
    """
    if report is None:
        return None
    test, better = report["test"], report.get("cross_validated")
    return {
        "test": {name: test.get(name) for name in _METRICS},
        "cross_validated": None if better is None else {name: better.get(name) for name in _METRICS},
        "answered": test.get("answered", []),
    }
