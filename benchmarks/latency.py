"""What one prediction costs: single pictures and single table rows, and how that grows with the number of rows.

Pictures: networks of the default options with weights as drawn, on one picture of 28 x 28. The bare network, on a
picture that is prepared already, is timed beside `Classifier.predict_probabilities`, and so are 256 pictures at once,
which is what one cost while rows were padded.

Tables: 30 columns (18 of numbers, 6 of categories, 4 of booleans, 2 of dates), 3 classes, a linear model. 1, 100 and
10,000 rows through a frame, and few rows through `Classifier.predict_rows`, beside scikit-learn's pipeline of
StandardScaler, OneHotEncoder and LogisticRegression on a pandas frame of the same rows (without the dates), and the
exported ONNX model in onnxruntime, whose inputs are arrays already.

    python benchmarks/latency.py [--quick]
"""

import tempfile
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import onnxruntime
import polars as pl
import torch
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from timing import arguments, as_row, ratio, side_by_side, write_result

from polylogit import Classifier
from polylogit.data.pictures.encoder import PictureEncoder
from polylogit.export import export_model
from polylogit.export.onnx_target import onnx_inputs
from polylogit.fitting.forward import prepare_batch
from polylogit.model_header import NetworkSpec, TrainedOn
from polylogit.networks import KINDS
from polylogit.recipes import recipe_from_entries
from polylogit.run import train

PICTURE = {"channels": 1, "height": 28, "width": 28, "classes": 10}
NETWORKS = {
    "mlp": ("mlp", {"features": 784, "classes": 10}),
    "cnn": ("cnn", PICTURE),
    "residual": ("residual", PICTURE),
    "residual, 10 views": ("residual", {**PICTURE, "views": "mirror-cross"}),
}
TABLE_ROWS = 2000


def main() -> None:
    """Time pictures and rows, and write the result."""
    options = arguments(__doc__).parse_args()
    rounds = 3 if options.quick else 20
    rows = [picture_row(name, rounds) for name in NETWORKS]
    rows += table_rows(rounds, sizes=(1, 100) if options.quick else (1, 100, 10_000))
    write_result(
        "latency",
        claim="One picture costs at most 1.3 times its bare network for convolutional networks, and one row of 30 "
        "mixed columns under 0.3 ms.",
        rows=rows,
        quick=options.quick,
    )


def picture_row(name: str, rounds: int) -> dict[str, object]:
    """One picture through the bare network and through the classifier."""
    kind, options = NETWORKS[name]
    torch.manual_seed(0)
    pixels = torch.randint(256, (256, 1, 28, 28), dtype=torch.uint8)
    classifier = Classifier(
        preprocessing=PictureEncoder.fit(pixels),
        network=KINDS[kind](**options),
        network_spec=NetworkSpec(kind=kind, options=options),
        class_names=tuple("0123456789"),
        trained_on=TrainedOn(data="drawn", target="class", fingerprint="0" * 64, rows_train=1, rows_test=0),
    )
    one = pixels[:1]
    prepared = prepare_batch(one, classifier.preprocessing.prepare)

    def bare() -> None:
        with torch.inference_mode():
            classifier.network(prepared)

    timings = side_by_side({"bare": bare, "one": lambda: classifier.predict_probabilities(one)}, rounds=rounds)
    of_256 = side_by_side({"of_256": lambda: classifier.predict_probabilities(pixels)}, rounds=3, warmup=1)
    return {
        "model": name,
        "rows": 1,
        **as_row(timings | of_256),
        "one_over_bare": round(ratio(timings, "one", "bare"), 2),
    }


def table_rows(rounds: int, sizes: tuple[int, ...]) -> list[dict[str, object]]:
    """Rows of a mixed table through polylogit and through scikit-learn."""
    frame = mixed_table(TABLE_ROWS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mixed.parquet"
        frame.write_parquet(path)
        recipe = recipe_from_entries({"data": {"target": "kind"}, "cross_validation": {"folds": 0}})
        model = Path(folder) / "model.safetensors"
        classifier = train(str(path), recipe, out=model).classifier
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(export_model(model, "onnx").path, options)
    features = frame.drop("kind")
    undated = features.select(pl.exclude("day0", "day1"))
    numbers = [name for name in undated.columns if not name.startswith("category")]
    categories = [name for name in undated.columns if name.startswith("category")]
    encode = make_column_transformer((StandardScaler(), numbers), (OneHotEncoder(handle_unknown="ignore"), categories))
    theirs = make_pipeline(encode, LogisticRegression(max_iter=1000)).fit(undated.to_pandas(), frame["kind"].to_list())
    rows = []
    for size in sizes:
        some = pl.concat([features] * -(-size // TABLE_ROWS))[:size]
        some_undated = some.select(undated.columns).to_pandas()
        dicts, arrays = some.to_dicts(), onnx_inputs(some.with_columns(pl.col(pl.Boolean).cast(pl.Float64)))
        candidates = {
            "frame": lambda some=some: classifier.predict_probabilities(some),
            "onnxruntime": lambda arrays=arrays: session.run(["class", "probabilities"], arrays),
            "scikit_learn": lambda some=some_undated: theirs.predict_proba(some),
        }
        if size <= 100:
            candidates["predict_rows"] = lambda dicts=dicts: classifier.predict_rows(dicts)
        rows.append({"model": "linear, 30 columns", "rows": size, **as_row(side_by_side(candidates, rounds=rounds))})
    return rows


def mixed_table(rows: int) -> pl.DataFrame:
    """Numbers, categories, booleans and dates, and a class that some of them determine."""
    draw = np.random.default_rng(0)
    columns: dict[str, object] = {f"number{place}": draw.normal(size=rows) for place in range(18)}
    for place in range(6):
        columns[f"category{place}"] = draw.choice([f"level{level}" for level in range(4 + 4 * place)], rows)
    for place in range(4):
        columns[f"boolean{place}"] = draw.random(rows) < 0.3
    for place in range(2):
        columns[f"day{place}"] = [date(2020, 1, 1) + timedelta(days=int(day)) for day in draw.integers(0, 1500, rows)]
    columns["kind"] = np.array(["a", "b", "c"])[np.digitize(columns["number0"] + draw.normal(size=rows), [-0.5, 0.5])]
    return pl.DataFrame(columns)


if __name__ == "__main__":
    main()
