"""The peers of benchmarks/serve.py: a scikit-learn pipeline behind FastAPI, and behind LitServe.

python benchmarks/serve_peers.py fastapi|litserve PIPELINE.joblib PORT
"""

import sys

import joblib
import pandas as pd

try:
    import litserve
except ImportError:
    litserve = None


def serve_fastapi(path: str, port: int) -> None:
    """The usual few lines: a row becomes a frame, the pipeline predicts, the framework's thread pool calls it."""
    import uvicorn
    from fastapi import Body, FastAPI

    pipeline, app = joblib.load(path), FastAPI()

    @app.post("/predict")
    def predict(row: dict = Body()) -> dict:  # noqa: B008 - FastAPI's way
        probabilities = pipeline.predict_proba(pd.DataFrame([row]))[0]
        named = dict(zip(map(str, pipeline.classes_), probabilities.tolist(), strict=True))
        return {"class": max(named, key=named.__getitem__), "probabilities": named}

    uvicorn.run(app, port=port, log_level="error")


class PipelineAPI(litserve.LitAPI if litserve else object):  # type: ignore[misc]
    """The same pipeline with LitServe's batching."""

    path = ""

    def setup(self, device: str) -> None:
        """Load the pipeline in the worker."""
        del device
        self.pipeline = joblib.load(self.path)

    def decode_request(self, request: dict) -> dict:
        """A row as it came."""
        return request

    def batch(self, inputs: list) -> list:
        """Rows as they came."""
        return inputs

    def predict(self, rows: list) -> list:
        """The probabilities of each row."""
        return list(self.pipeline.predict_proba(pd.DataFrame(rows)))

    def unbatch(self, output: list) -> list:
        """An answer for each row."""
        return output

    def encode_response(self, output: object) -> dict:
        """The answer, as the other servers give it."""
        named = dict(zip(map(str, self.pipeline.classes_), map(float, output), strict=True))
        return {"class": max(named, key=named.__getitem__), "probabilities": named}


def serve_litserve(path: str, port: int) -> None:
    """LitServe with batches of up to 64 rows."""
    api = PipelineAPI(max_batch_size=64, batch_timeout=0.002)
    api.path = path
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(port=port, log_level="error", generate_client_file=False)


if __name__ == "__main__":
    {"fastapi": serve_fastapi, "litserve": serve_litserve}[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
