"""The HTTP service: `polylogit serve` answers with predictions of saved models.

A request passes through `request_log` (identifier, log line), `access` (host, token), `predict_endpoint` (limits,
deadline), `bodies` and its readers, `encoding` (rows that can be read, and the others), `batching` (rows of several
requests go through the network together) and `answers`. Nothing here computes a prediction: `Classifier` does.
"""
