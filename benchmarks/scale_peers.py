"""Softmax regression on a table of many rows beside scikit-learn's SGDClassifier and Spark's MLlib, one thread each.

All fit the same rows, drawn with a fixed seed and held in memory; reading a file is not part of the seconds. The
penalty is that of C = 1. polylogit fits to a certified gap of 1e-4. SGDClassifier goes through the rows by
`partial_fit` until its log loss on held-out rows is at most 0.001 above polylogit's, or for 20 passes: its objective
is one-against-rest, so that it can end above. Its steps are the best of six settings on 200,000 rows; the default
steps end far above. Spark (local mode, L-BFGS) has the same objective, which is computed
from its weights; its `regParam` is 1 / (C N), and standardisation is off.

"cpu_seconds" are those of the process, for Spark of its Java machine, and depend less on what else the machine does.

    python benchmarks/scale_peers.py [--quick] [--rows N] [--spark]    # --spark: needs pyspark and Java
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from timing import arguments, write_result

from polylogit.solver.softmax_regression import fit_softmax_regression

CLASSES, COLUMNS, ROWS_HELD_OUT, ROWS_A_CHUNK = 5, 40, 100_000, 50_000
CLOSE_ENOUGH, MOST_PASSES = 1e-3, 20


def drawn(rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Features and classes whose logits are linear in them."""
    draw = torch.Generator().manual_seed(0)
    weight = 2 * torch.randn(COLUMNS, CLASSES, generator=draw) / COLUMNS**0.5
    features = torch.randn(rows, COLUMNS, generator=draw)
    noise = -(-torch.rand(rows, CLASSES, generator=draw).log()).log()
    return features, (features @ weight + noise).argmax(1)


def objective(features: torch.Tensor, targets: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> float:
    """The mean loss and the penalty of C = 1."""
    total = 0.0
    for some, classes in zip(features.split(ROWS_A_CHUNK), targets.split(ROWS_A_CHUNK), strict=True):
        logits = some.double() @ weight.double().T + bias.double()
        total += float(torch.nn.functional.cross_entropy(logits, classes, reduction="sum"))
    return (total + 0.5 * float(weight.double().square().sum())) / len(features)


def by_sgd(
    features: torch.Tensor, targets: torch.Tensor, held_out: tuple[torch.Tensor, torch.Tensor], wanted: float
) -> dict[str, Any]:
    """Passes of SGDClassifier until its log loss on held-out rows is near enough to the wanted one."""
    model = SGDClassifier(
        loss="log_loss", alpha=1 / len(features), learning_rate="invscaling", eta0=0.01, power_t=0.25, random_state=0
    )
    passes, reached = 0, float("inf")
    started, cpu = time.perf_counter(), time.process_time()
    while passes < MOST_PASSES and reached > wanted + CLOSE_ENOUGH:
        for some, classes in zip(features.split(ROWS_A_CHUNK), targets.split(ROWS_A_CHUNK), strict=True):
            model.partial_fit(some.numpy(), classes.numpy(), classes=np.arange(CLASSES))
        passes += 1
        reached = log_loss(held_out[1].numpy(), model.predict_proba(held_out[0].numpy()), labels=np.arange(CLASSES))
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "held_out_log_loss": round(reached, 5),
        "note": f"{passes} passes" + ("" if reached <= wanted + CLOSE_ENOUGH else ", and not as near"),
    }


def by_spark(features: torch.Tensor, targets: torch.Tensor) -> tuple[dict[str, Any], torch.Tensor, torch.Tensor]:
    """LogisticRegression of MLlib in local mode with one thread, on a cached table."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyspark.ml.classification import LogisticRegression
    from pyspark.ml.feature import VectorAssembler
    from pyspark.sql import SparkSession

    names = [f"x{place}" for place in range(COLUMNS)]
    with tempfile.TemporaryDirectory(dir=os.environ.get("POLYLOGIT_CACHE")) as folder:
        file = Path(folder) / "table.parquet"
        columns = [*(column.numpy() for column in features.T.contiguous()), targets.double().numpy()]
        pq.write_table(pa.table(columns, names=[*names, "label"]), file, row_group_size=100_000)
        session = SparkSession.builder.master("local[1]").config("spark.driver.memory", "6g").getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        machine = session.sparkContext._gateway.proc.pid
        table = VectorAssembler(inputCols=names, outputCol="features").transform(session.read.parquet(str(file)))
        table = table.select("features", "label").cache()
        table.count()
        model = LogisticRegression(family="multinomial", regParam=1 / len(features), standardization=False)
        started, cpu = time.perf_counter(), _cpu_of(machine)
        fit = model.fit(table)
        found = {
            "seconds": round(time.perf_counter() - started, 1),
            "cpu_seconds": round(_cpu_of(machine) - cpu, 1),
            "note": f"{fit.summary.totalIterations} iterations",
        }
        weight = torch.from_numpy(fit.coefficientMatrix.toArray())
        bias = torch.from_numpy(fit.interceptVector.toArray())
        session.stop()
    return found, weight, bias


def _cpu_of(process: int) -> float:
    """Processor seconds of a process and of the children that it has waited for."""
    words = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return sum(map(int, words[11:15])) / os.sysconf("SC_CLK_TCK")


def timed(step: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """The result of a step, its seconds and its processor seconds."""
    started, cpu = time.perf_counter(), time.process_time()
    result = step()
    return result, {
        "seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
    }


def main() -> None:
    """Measure, print and write the result."""
    parser = arguments(__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--spark", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    count = 100_000 if options.quick else options.rows
    features, targets = drawn(count + ROWS_HELD_OUT)
    held_out = features[count:], targets[count:]
    features, targets = features[:count], targets[:count]

    def evaluated(weight: torch.Tensor, bias: torch.Tensor) -> dict[str, str | float]:
        logits = held_out[0].double() @ weight.double().T + bias.double()
        return {
            "objective": f"{objective(features, targets, weight, bias):.8f}",
            "held_out_log_loss": round(float(torch.nn.functional.cross_entropy(logits, held_out[1])), 5),
        }

    fit_softmax_regression(features[:10_000], targets[:10_000], classes=CLASSES)  # warms up
    fit, seconds = timed(lambda: fit_softmax_regression(features, targets, classes=CLASSES, tolerance=1e-4))
    ours = evaluated(fit.weight, fit.bias)
    shape = {"rows": f"{count:,} x {COLUMNS}, {CLASSES} classes"}
    rows = [{"fit": "polylogit", **shape, **seconds, **ours, "note": f"certified gap {fit.optimality_gap:.1e}"}]
    sgd = by_sgd(features, targets, held_out, float(ours["held_out_log_loss"]))
    rows.append({"fit": "SGDClassifier.partial_fit", **shape, "objective": "", **sgd})
    if options.spark:
        found, weight, bias = by_spark(features, targets)
        rows.append({"fit": "Spark MLlib, local[1]", **shape, **found, **evaluated(weight, bias)})
    write_result(
        "scale-peers",
        claim="Softmax regression by polylogit takes less time than passes of SGD to the same held-out log loss, and "
        "than Spark's L-BFGS to the same objective.",
        rows=rows,
        quick=options.quick,
    )


if __name__ == "__main__":
    main()
