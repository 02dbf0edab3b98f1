"""Metrics for Prometheus: load, latency, batches, errors, and what drifts in rows and predictions."""

import os
from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from polylogit.serve.batching import BatchReport

__all__ = ["CONTENT_TYPE", "MULTIPROCESS_VARIABLE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""prometheus-client keeps the values of all worker processes in the folder that this variable names."""

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_QUEUE_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_PROBABILITIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


class Metrics:
    """The metrics of one process; with several, `text` sums up all of them."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the lines
        registry = self._registry = CollectorRegistry()
        self._requests = Counter(
            "polylogit_requests", "Requests answered.", ["route", "method", "status"], registry=registry
        )
        self._seconds = Histogram(
            "polylogit_request_seconds", "Seconds per request.", ["route"], buckets=_SECONDS, registry=registry
        )
        self._in_progress = Gauge(
            "polylogit_requests_in_progress", "Requests now.", registry=registry, multiprocess_mode="livesum"
        )
        self._errors = Counter("polylogit_errors", "Requests that failed.", ["kind"], registry=registry)
        self._rows = Counter("polylogit_rows", "Rows by outcome.", ["model", "outcome"], registry=registry)
        self._queue = Histogram(
            "polylogit_queue_seconds", "Seconds that rows wait.", ["model"], buckets=_QUEUE_SECONDS, registry=registry
        )
        self._batch_seconds = Histogram(
            "polylogit_batch_seconds", "Seconds per batch.", ["model"], buckets=_SECONDS, registry=registry
        )
        self._batch_rows = Histogram(
            "polylogit_batch_rows", "Rows per batch.", ["model"], buckets=_ROWS, registry=registry
        )
        self._predicted = Counter("polylogit_predictions", "Predicted classes.", ["model", "class"], registry=registry)
        self._top = Histogram(
            "polylogit_top_probability",
            "Probability of the predicted class.",
            ["model"],
            buckets=_PROBABILITIES,
            registry=registry,
        )
        self._missing = Counter(
            "polylogit_missing_values", "Missing values by column.", ["model", "column"], registry=registry
        )
        self._unseen = Counter(
            "polylogit_unseen_values",
            "Unseen categories and unexpected missing values by column.",
            ["model", "column"],
            registry=registry,
        )
        self._reloads = Counter("polylogit_reloads", "Changed model files.", ["model", "outcome"], registry=registry)

    def request_started(self) -> None:
        """Count a request that is in progress."""
        self._in_progress.inc()

    def request_finished(self, route: str, method: str, status: int, seconds: float, error: str | None) -> None:
        """Count a request that is answered."""
        self._in_progress.dec()
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
        if error is not None:
            self._errors.labels(error).inc()

    def batch(self, model: str, report: BatchReport) -> None:
        """Count a batch."""
        self._batch_rows.labels(model).observe(report.rows)
        self._batch_seconds.labels(model).observe(report.seconds)
        queue = self._queue.labels(model)
        for seconds in report.waited:
            queue.observe(seconds)

    def rows(self, model: str, predicted: int, abstained: int, failed: int) -> None:
        """Count rows by what became of them."""
        for outcome, count in (("predicted", predicted), ("abstained", abstained), ("failed", failed)):
            if count:
                self._rows.labels(model, outcome).inc(count)

    def predictions(self, model: str, classes: Iterable[str], top: Iterable[float]) -> None:
        """Count predicted classes and their probabilities."""
        histogram = self._top.labels(model)
        for name, probability in zip(classes, top, strict=True):
            self._predicted.labels(model, name).inc()
            histogram.observe(probability)

    def cells(self, model: str, missing: Mapping[str, int], unseen: Mapping[str, int]) -> None:
        """Count missing values and unseen categories by column."""
        for name, count in missing.items():
            self._missing.labels(model, name).inc(count)
        for name, count in unseen.items():
            self._unseen.labels(model, name).inc(count)

    def reload(self, model: str, outcome: str) -> None:
        """Count a model file that has changed."""
        self._reloads.labels(model, outcome).inc()

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        if MULTIPROCESS_VARIABLE not in os.environ:
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
