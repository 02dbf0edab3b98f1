"""The peers of benchmarks/serve.py: a scikit-learn pipeline behind FastAPI, and behind LitServe.

python benchmarks/serve_peers.py fastapi|litserve PIPELINE.joblib PORT
"""

import sys

import joblib
import pandas as pd


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


def serve_litserve(path: str, port: int) -> None:
    """The same pipeline with LitServe's batching."""
    import litserve

    class Pipeline(litserve.LitAPI):
        def setup(self, device: str) -> None:
            del device
            self.pipeline = joblib.load(path)

        def decode_request(self, request: dict) -> dict:
            return request

        def batch(self, inputs: list) -> list:
            return inputs

        def predict(self, rows: list) -> list:
            return list(self.pipeline.predict_proba(pd.DataFrame(rows)))

        def unbatch(self, output: list) -> list:
            return output

        def encode_response(self, output: object) -> dict:
            named = dict(zip(map(str, self.pipeline.classes_), map(float, output), strict=True))
            return {"class": max(named, key=named.__getitem__), "probabilities": named}

    api = Pipeline(max_batch_size=64, batch_timeout=0.002)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(port=port, log_level="error", generate_client_file=False)


if __name__ == "__main__":
    {"fastapi": serve_fastapi, "litserve": serve_litserve}[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
