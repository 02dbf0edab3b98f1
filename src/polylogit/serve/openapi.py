"""The OpenAPI 3.1 document of the service, made from the schemas of its models."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

from polylogit.model_schema import TableSchema
from polylogit.serve.answers import ANSWER_TYPES
from polylogit.serve.picture_bodies import PICTURE_TYPES
from polylogit.serve.row_bodies import JSON_LINES_TYPES
from polylogit.serve.served_model import ServedModel
from polylogit.serve.settings import ServeSettings
from polylogit.serve.table_bodies import TABLE_TYPES

__all__ = ["openapi_document"]

_BINARY = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
_TEXT = {"schema": {"type": "string"}}


def openapi_document(models: Mapping[str, ServedModel], settings: ServeSettings, *, has_token: bool) -> dict[str, Any]:
    """The document.

    Args:
        models: The models by name.
        settings: The limits.
        has_token: Whether requests must carry a bearer token.

    Returns:
        OpenAPI 3.1 as plain data.
    """
    paths: dict[str, Any] = {}
    if len(models) == 1:
        paths["/predict"] = {"post": _predict(next(iter(models.values())), settings)}
    for name, model in models.items():
        paths[f"/models/{_escaped(name)}/predict"] = {"post": _predict(model, settings)}
    paths |= {
        "/models": {"get": _get("List the models.", "listModels", {"type": "object", "required": ["models"]})},
        "/models/{name}": {
            "get": _get("Describe a model.", "describeModel", {"$ref": "#/components/schemas/Card"})
            | {"parameters": [_name_parameter(models)]}
        },
        "/livez": {"get": _health("Say whether the process works.", "live")},
        "/readyz": {"get": _health("Say whether the process can predict.", "ready")},
        "/metrics": {
            "get": {
                "summary": "Metrics for Prometheus.",
                "operationId": "metrics",
                "responses": {"200": {"description": "Metrics.", "content": {"text/plain": _TEXT}}},
            }
        },
    }
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": f"polylogit: {', '.join(models)}",
            "version": version("polylogit"),
            "summary": "Classes and calibrated probabilities.",
        },
        "paths": paths,
        "components": {"schemas": _SCHEMAS},
    }
    if has_token:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
        for path in ("/livez", "/readyz"):
            paths[path]["get"]["security"] = []
    return document


def _predict(model: ServedModel, settings: ServeSettings) -> dict[str, Any]:
    taken = model.schema.input
    table = isinstance(taken, TableSchema)
    parameters = [
        {
            "name": "abstain_below",
            "in": "query",
            "description": "Give no class to rows whose top probability is below this.",
            "schema": {"type": "number", "minimum": 0, "maximum": 1},
        }
    ]
    if model.classifier.conformal is not None:
        parameters.append(
            {
                "name": "coverage",
                "in": "query",
                "description": "Add a prediction set; this share of the sets contains the true class.",
                "schema": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
            }
        )
    if table:
        parameters += [
            {
                "name": "explain",
                "in": "query",
                "description": "Add the contribution of each column; linear models and JSON only.",
                "schema": {"type": "boolean"},
            },
            {
                "name": "carry",
                "in": "query",
                "description": "Column of a table to repeat before the prediction; * for all. For CSV, Parquet, Arrow.",
                "schema": {"type": "array", "items": {"type": "string"}},
            },
        ]
    classes = model.schema.class_names
    prediction = {"$ref": "#/components/schemas/Prediction"}
    found = {
        "oneOf": [prediction, {"$ref": "#/components/schemas/Predictions"}],
        "description": f"One row alone gets one prediction. Classes: {', '.join(classes[:50])}",
    }
    bodies = _table_bodies(taken) if isinstance(taken, TableSchema) else _picture_bodies()
    answers = {name: _TEXT if name.startswith("text/") else _BINARY for name in ANSWER_TYPES}
    errors = {
        "400": "A parameter is not valid, or the model must be named.",
        "401": "The bearer token is missing or wrong.",
        "406": "The media type of the answer is not known.",
        "408": "The body came too slowly.",
        "413": "The body is too large.",
        "415": "The media type or the compression of the body is not known.",
        "422": "The body, or each of its rows, cannot be read.",
        "503": "Too many requests at a time, or the model is being loaded.",
        "504": f"No answer within {settings.deadline:g} seconds.",
    }
    return {
        "summary": f"Predict with {model.name}.",
        "operationId": f"predict_{model.name}",
        "parameters": parameters,
        "requestBody": {"required": True, "content": bodies},
        "responses": {
            "200": {
                "description": "Predictions. Rows that cannot be read are listed under `errors`.",
                "content": answers | {"application/json": {"schema": found}},
            }
        }
        | {
            status: {
                "description": text,
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            }
            for status, text in errors.items()
        },
    }


def _table_bodies(taken: TableSchema) -> dict[str, Any]:
    row, example = taken.row_json_schema(), taken.example_row()
    many = {
        "type": "object",
        "required": ["rows"],
        "properties": {"rows": {"type": "array", "items": row, "minItems": 1}},
    }
    return {
        "application/json": {
            "schema": {"anyOf": [row, many]},
            "examples": {"row": {"value": example}, "rows": {"value": {"rows": [example, example]}}},
        },
        JSON_LINES_TYPES[0]: _TEXT,
        "multipart/form-data": {
            "schema": {"type": "object", "properties": {"file": _BINARY["schema"]}, "required": ["file"]}
        },
        **{name: _TEXT if name.startswith("text/") else _BINARY for name in TABLE_TYPES},
    }


def _picture_bodies() -> dict[str, Any]:
    files = {"type": "array", "items": _BINARY["schema"], "minItems": 1}
    form = {"schema": {"type": "object", "properties": {"file": files}, "required": ["file"]}}
    return {"multipart/form-data": form} | dict.fromkeys(PICTURE_TYPES, _BINARY)


def _get(summary: str, operation: str, schema: dict[str, Any]) -> dict[str, Any]:
    error = {
        "description": "An error.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    found = {"description": "The answer.", "content": {"application/json": {"schema": schema}}}
    return {"summary": summary, "operationId": operation, "responses": {"200": found, "default": error}}


def _health(summary: str, operation: str) -> dict[str, Any]:
    schema = {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}}
    content = {"application/json": {"schema": schema}}
    return {
        "summary": summary,
        "operationId": operation,
        "responses": {
            "200": {"description": "Yes.", "content": content},
            "503": {"description": "No.", "content": content},
        },
    }


def _name_parameter(models: Mapping[str, ServedModel]) -> dict[str, Any]:
    return {
        "name": "name",
        "in": "path",
        "required": True,
        "description": f"One of {', '.join(models)}.",
        "schema": {"type": "string", "minLength": 1},
    }


def _escaped(name: str) -> str:
    """A name in a path of the document, where braces mean a parameter."""
    return quote(name, safe="")


_FAULT = {
    "type": "object",
    "required": ["message"],
    "properties": {
        "index": {"type": "integer", "description": "The row, from 0."},
        "column": {"type": "string"},
        "value": {"description": "What came; absent with --terse-errors."},
        "message": {"type": "string"},
    },
}

_SCHEMAS: dict[str, Any] = {
    "Prediction": {
        "type": "object",
        "required": ["class", "probabilities", "abstained"],
        "properties": {
            "model": {"type": "string"},
            "file": {"type": ["string", "null"], "description": "The name of the file, of several pictures."},
            "class": {"type": ["string", "null"], "description": "null where the model abstains or the row failed."},
            "probabilities": {
                "type": ["object", "null"],
                "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1},
            },
            "abstained": {"type": "boolean"},
            "failed": {"type": "boolean", "description": "true where the row cannot be read; see `errors`."},
            "prediction_set": {"type": "array", "items": {"type": "string"}},
            "expected_cost": {
                "type": ["number", "null"],
                "description": "Of the class, where the model decides by costs; null without a class.",
            },
            "notes": {"type": "array", "items": {"type": "string"}},
            "explanation": {"$ref": "#/components/schemas/Explanation"},
        },
    },
    "Predictions": {
        "type": "object",
        "required": ["model", "predictions", "errors", "notes"],
        "properties": {
            "model": {"type": "string"},
            "predictions": {"type": "array", "items": {"$ref": "#/components/schemas/Prediction"}},
            "errors": {"type": "array", "items": _FAULT},
            "notes": {"type": "array", "items": {"type": "string"}},
        },
    },
    "Explanation": {
        "type": "object",
        "description": "The network's logit of the winner minus that of the runner-up: intercept plus the columns.",
        "required": ["winner", "runner_up", "intercept", "difference", "columns"],
        "properties": {
            "winner": {"type": "string"},
            "runner_up": {"type": "string"},
            "intercept": {"type": "number"},
            "difference": {"type": "number"},
            "columns": {"type": "object", "additionalProperties": {"type": "number"}},
        },
    },
    "Card": {
        "type": "object",
        "required": ["name", "digest", "schema", "trained_on", "limits"],
        "properties": {"name": {"type": "string"}, "digest": {"type": ["string", "null"]}},
    },
    "Error": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["kind", "message", "request_id"],
                "properties": {
                    "kind": {"type": "string"},
                    "message": {"type": "string"},
                    "request_id": {"type": "string"},
                },
            },
            "errors": {"type": "array", "items": _FAULT},
        },
    },
}
