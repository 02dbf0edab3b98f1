"""The endpoint that predicts: body in, answer out, within the limits."""

import asyncio
import io
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import polars as pl
import torch
from PIL import Image
from starlette.requests import Request
from starlette.responses import Response
from torch import Tensor

from polylogit.calibration import PredictionSetRule
from polylogit.errors import PolylogitError, did_you_mean
from polylogit.run.contributions import can_explain, column_contributions
from polylogit.run.prediction_frames import notes_on_table
from polylogit.serve.answers import Answer, accepted_type, written
from polylogit.serve.batching import QueueFullError
from polylogit.serve.bodies import BODY_IS_READ, decompressed, read_body
from polylogit.serve.encoding import EncodedRequest, encode_frame, encode_pictures, encode_rows, without_overflow
from polylogit.serve.json_text import json_bytes
from polylogit.serve.metrics import Metrics
from polylogit.serve.models import Models
from polylogit.serve.picture_bodies import PICTURE_TYPES, UploadedFile, read_form
from polylogit.serve.request_error import ClientDisconnectedError, RequestError
from polylogit.serve.row_bodies import JSON_LINES_TYPES, JSON_TYPES, RowsBody, read_json_lines, read_json_rows
from polylogit.serve.served_model import ServedModel
from polylogit.serve.settings import ServeSettings
from polylogit.serve.table_bodies import TABLE_TYPES, read_table_body

__all__ = ["Predictor"]

_INLINE_BYTES = 16_384
"""A body of JSON up to this length is read in the event loop; handing it to a thread would take longer."""

_INLINE_ROWS = 64

PARAMETERS = ("model", "abstain_below", "coverage", "explain", "carry")
"""The parameters of the query."""

_LONGEST_NAME = 40
"""So many characters of an unknown parameter are repeated."""

_PATIENT_SECONDS = 0.02
"""For how long a request waits for its answer before it also looks whether its client is still there."""


class Predictor:
    """Answers requests for predictions.

    Args:
        settings: The limits.
        metrics: Where rows, classes and values are counted.
    """

    models: Models
    """The models; they are warmed up with this object, and so come after it."""

    def __init__(self, settings: ServeSettings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._in_progress = 0

    async def predict(self, request: Request) -> Response:
        """`POST /predict` and `POST /models/{name}/predict`."""
        return await self.limited(request, self._predict(request))

    async def limited(self, request: Request, answer: Coroutine[Any, Any, Response]) -> Response:
        """Answer a request before its deadline, or refuse it where too many are answered already.

        Args:
            request: The request.
            answer: What answers it.

        Returns:
            The answer.

        Raises:
            RequestError: Too many requests at a time, or the deadline has passed.
        """
        if self._in_progress >= self._settings.max_requests:
            answer.close()
            raise _busy()
        self._in_progress += 1
        try:
            async with asyncio.timeout(self._settings.deadline):
                return await answer
        except TimeoutError as fault:
            seconds = self._settings.deadline
            if not request.scope.get(BODY_IS_READ):
                message = f"the body did not come within {seconds:g} seconds."
                raise RequestError(408, "slow_body", message, {"connection": "close"}) from fault
            message = f"no answer within {seconds:g} seconds. Send fewer rows at a time."
            raise RequestError(504, "deadline", message) from fault
        finally:
            self._in_progress -= 1

    async def warm_up(self, model: ServedModel) -> None:
        """Read a row without values, or a black picture, score it and write the answer, some times."""
        if model.picture_encoder is None:
            body, sent_as = json_bytes(dict.fromkeys(model.columns)), "application/json"
        else:
            file = io.BytesIO()
            Image.new("L", (model.picture_encoder.width, model.picture_encoder.height)).save(file, "PNG")
            body, sent_as = file.getvalue(), "image/png"
        for _ in range(4):
            encoded = await asyncio.to_thread(self._encode, model, body, sent_as, None)
            logits = await model.batcher.score(encoded.inputs)
            written(Answer(model.name, model.classifier, encoded, logits), "application/json")

    async def answer(
        self, request: Request, model: ServedModel, encoded: EncodedRequest, abstain_below: float | None = None
    ) -> Answer:
        """The predictions of an encoded request.

        Args:
            request: Whose client may go.
            model: The model.
            encoded: The rows.
            abstain_below: Give no class to a row whose top probability is below this.

        Returns:
            The predictions.

        Raises:
            RequestError: Too many rows wait, or no row can be read.
            ClientDisconnectedError: The client has gone.
        """
        logits = torch.empty(0, len(model.classifier.class_names))
        if encoded.kept:
            try:
                logits = await _unless_disconnected(request, model.batcher.score(encoded.inputs))
            except QueueFullError as fault:
                raise _busy() from fault
            if not bool(logits.isfinite().all()):
                encoded, logits = without_overflow(encoded, logits.isfinite().all(dim=1).tolist(), logits)
        self._metrics.cells(model.name, encoded.missing, encoded.unseen_counts)
        failed = encoded.rows - len(encoded.kept)
        request.scope["polylogit.rows"] = encoded.rows
        if not encoded.kept:
            self._metrics.rows(model.name, 0, 0, failed)
            faults = [fault.as_json() for fault in encoded.faults]
            first = faults[0]
            column = f'column "{first["column"]}": ' if "column" in first else ""
            what = "the row" if encoded.rows == 1 else "no row of the request"
            raise RequestError(
                422,
                "rows",
                f"{what} can{'not' if encoded.rows == 1 else ''} be read: {column}{first['message']}",
                details={"errors": faults},
            )
        answer = Answer(model.name, model.classifier, encoded, logits, abstain_below)
        abstained = sum(answer.abstained)
        self._metrics.rows(model.name, len(encoded.kept) - abstained, abstained, failed)
        self._metrics.predictions(model.name, (answer.class_names[k] for k in answer.predicted), answer.top)
        return answer

    async def _predict(self, request: Request) -> Response:
        media_type = accepted_type(request.headers.get("accept"))
        _check_parameters(request)
        model = self.models.get(request.path_params.get("name") or request.query_params.get("model"))
        request.scope["polylogit.model"] = model.name
        abstain_below = _probability(request, "abstain_below", self._settings.abstain_below)
        body = await read_body(request, self._settings.max_bytes)
        encoded = await self._encoded(request, model, body)
        explain = _flag(request, "explain")
        if explain and not can_explain(model.classifier):
            raise RequestError(400, "query", "explain: applies to linear models of tables, and this is none.")
        set_rule = _set_rule(request, model)
        answer = replace(await self.answer(request, model, encoded, abstain_below), set_rule=set_rule)
        if explain:
            found = column_contributions(model.classifier, answer.encoded.inputs, answer.logits)
            answer = replace(answer, contributions=found)
        if encoded.rows <= _INLINE_ROWS:
            content = written(answer, media_type)
        else:
            content = await asyncio.to_thread(written, answer, media_type)
        return Response(content, media_type=media_type)

    async def _encoded(self, request: Request, model: ServedModel, body: bytes) -> EncodedRequest:
        sent_as = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        encoding = request.headers.get("content-encoding")
        if sent_as == "multipart/form-data":
            form = await asyncio.to_thread(decompressed, body, encoding, self._settings.max_bytes)
            files = await read_form(request, form)
            if model.picture_encoder is None:
                if len(files) > 1:
                    raise RequestError(422, "unreadable", "expected one file with a table.")
                sent_as = _type_of_upload(files[0])
                carry = request.query_params.getlist("carry")
                return await asyncio.to_thread(self._encode, model, files[0].content, sent_as, None, carry)
            return await asyncio.to_thread(self._encode_files, model, files)
        if sent_as in JSON_TYPES and len(body) <= _INLINE_BYTES and not encoding:
            return self._encode(model, body, sent_as, None)
        carry = request.query_params.getlist("carry")
        return await asyncio.to_thread(self._encode, model, body, sent_as, encoding, carry)

    def _encode_files(self, model: ServedModel, files: list[UploadedFile]) -> EncodedRequest:
        if model.picture_encoder is None:
            raise RequestError(415, "unsupported", "the model takes tables, got pictures.")
        self._check_rows(len(files))
        return encode_pictures(files, model.picture_encoder, self._settings.max_pixels, single=False)

    def _encode(
        self, model: ServedModel, body: bytes, sent_as: str, encoding: str | None, carry: Sequence[str] = ()
    ) -> EncodedRequest:
        settings = self._settings
        body = decompressed(body, encoding, settings.max_bytes)
        if model.picture_encoder is not None:
            if sent_as not in (*PICTURE_TYPES, "application/octet-stream"):
                raise _unsupported(sent_as, ("multipart/form-data", *PICTURE_TYPES))
            files = [UploadedFile(None, sent_as, body)]
            return encode_pictures(files, model.picture_encoder, settings.max_pixels, single=True)
        table_encoder = model.table_encoder
        if table_encoder is None or sent_as not in (*JSON_TYPES, *JSON_LINES_TYPES, *TABLE_TYPES):
            raise _unsupported(sent_as, (*JSON_TYPES, *JSON_LINES_TYPES[:1], *TABLE_TYPES, "multipart/form-data"))
        if sent_as in TABLE_TYPES:
            frame = read_table_body(
                body, sent_as, model.dialect, settings.max_rows, settings.max_bytes, terse=settings.terse_errors
            )
            notes_on = partial(notes_on_table, model.classifier)
            encoded = encode_frame(frame, table_encoder, terse=settings.terse_errors, notes_on=notes_on)
            return replace(encoded, carried=_carried(frame, carry, model)) if carry else encoded
        if carry:
            raise RequestError(400, "query", "carry: applies to tables as CSV, Parquet or Arrow.")
        return self.encode_json_rows(model, read_json_rows(body) if sent_as in JSON_TYPES else read_json_lines(body))

    def encode_json_rows(self, model: ServedModel, rows: RowsBody) -> EncodedRequest:
        """Encode rows for a model of tables."""
        self._check_rows(len(rows.rows))
        return encode_rows(rows, model.row_encoder, model.columns, terse=self._settings.terse_errors)

    def _check_rows(self, rows: int) -> None:
        if rows > self._settings.max_rows:
            raise RequestError(
                413,
                "too_large",
                f"the request has {rows} rows, and may have {self._settings.max_rows}. Send fewer at a time.",
            )


async def _unless_disconnected(request: Request, result: Any) -> Tensor:  # noqa: ANN401 - a coroutine
    """The result, unless the client goes before it is there: then the rows are taken out of the queue."""
    task = asyncio.ensure_future(result)
    try:
        done, _ = await asyncio.wait({task}, timeout=_PATIENT_SECONDS)
        if not done:
            gone = asyncio.ensure_future(_disconnected(request))
            try:
                await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                gone.cancel()
            if not task.done():
                raise ClientDisconnectedError
        logits: Tensor = task.result()
        return logits
    finally:
        task.cancel()


async def _disconnected(request: Request) -> None:
    with suppress(asyncio.CancelledError):
        while (await request.receive())["type"] != "http.disconnect":
            pass


def _check_parameters(request: Request) -> None:
    """Refuse a parameter that would have no effect."""
    known = [name for name in PARAMETERS if name != "model" or "name" not in request.path_params]
    for name in request.query_params:
        if name not in known:
            shown = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"
            near = did_you_mean(name.replace("-", "_"), known)
            listed = "" if " Known: " in near else f" Known: {', '.join(known)}."
            raise RequestError(400, "query", f'there is no parameter "{shown}".{near}{listed}')


def _probability(request: Request, name: str, default: float | None) -> float | None:
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise RequestError(400, "query", f"{name}: expected a probability, 0 to 1.")
    return value


def _set_rule(request: Request, model: ServedModel) -> PredictionSetRule | None:
    """The rule of the prediction sets of the coverage that a request asks for."""
    coverage = _probability(request, "coverage", None)
    if coverage is None:
        return None
    try:
        return model.classifier.prediction_set_rule(coverage)
    except PolylogitError as fault:
        raise RequestError(400, "query", f"coverage: {fault}") from fault


def _flag(request: Request, name: str) -> bool:
    text = request.query_params.get(name, "false").lower()
    if text not in ("true", "false", "1", "0", ""):
        raise RequestError(400, "query", f"{name}: expected true or false.")
    return text in ("true", "1", "")


def _carried(frame: pl.DataFrame, carry: Sequence[str], model: ServedModel) -> pl.DataFrame:
    """The columns of a table that precede the prediction."""
    names = frame.columns if "*" in carry else list(dict.fromkeys(carry))
    own = {
        "class",
        "error",
        "expected_cost",
        "prediction_set",
        *(f"probability_{name}" for name in model.classifier.class_names),
    }
    for name in names:
        if name not in frame.columns:
            raise RequestError(400, "query", "carry: names a column that the table does not have.")
        if name in own:
            raise RequestError(400, "query", "carry: the prediction has a column of that name. Rename it in the table.")
    return frame.select(frame.get_column(name) for name in names)


def _type_of_upload(file: UploadedFile) -> str:
    """The media type of a table in a form; browsers know few of them, so the name counts where it says more."""
    if file.media_type in TABLE_TYPES or file.media_type in (*JSON_TYPES, *JSON_LINES_TYPES):
        return file.media_type
    endings = {ending: media_type for media_type, ending in reversed(TABLE_TYPES.items())}
    endings |= {".json": "application/json", ".jsonl": "application/x-ndjson", ".ndjson": "application/x-ndjson"}
    name = (file.name or "").lower()
    for ending, media_type in endings.items():
        if name.endswith(ending):
            return media_type
    return file.media_type


def _unsupported(sent_as: str, known: tuple[str, ...]) -> RequestError:
    hint = " With curl, add: -H 'Content-Type: application/json'." if "x-www-form-urlencoded" in sent_as else ""
    return RequestError(415, "unsupported", f"the Content-Type is not known. Expected one of {', '.join(known)}.{hint}")


def _busy() -> RequestError:
    return RequestError(503, "busy", "too many requests at a time. Try again in a second.", {"retry-after": "1"})
