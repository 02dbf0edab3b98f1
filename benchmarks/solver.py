"""Time to a relative objective gap of 1e-4 for softmax regression, beside every peer, on the same machine in one run.

    python benchmarks/solver.py [--quick] [--problem NAME ...] [--method NAME ...]

Claim: `SoftmaxRegression` reaches the optimum of scikit-learn's multinomial objective first. For each problem the
optimum's lower bound is certified at 1e-6; then each method fits, and the objective of the coefficients it returned is
computed in float64. polylogit runs at its default tolerance. Peers start loose and are tightened, setting by setting,
until they are within 1e-4: only the setting that gets there is timed, so no peer pays for its search. Every method has
a process of its own; the BLAS variables OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE, which some machines set, are taken out
of its environment. snapml fits one class against the rest, another objective: it is timed where
installed, never judged.

Writes benchmarks/results/solver.json and solver.md. Peak memory is what a fit adds to the process with the data in it.
"""

import argparse
import gzip
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator

Rows = np.ndarray | sparse.csr_array
Data = tuple[Rows, np.ndarray]
Maker = Callable[[float], Any]
RESULTS = Path(__file__).parent / "results"
GAP = 1e-4
SECONDS_A_METHOD = 240


def pictures(name: str) -> Data:
    """The training pictures of a data set, as rows between 0 and 1."""
    root = Path(os.environ.get("POLYLOGIT_DATA", "data")) / name / "raw"
    with gzip.open(root / "train-images-idx3-ubyte.gz") as stream:
        X = np.frombuffer(stream.read(), np.uint8, offset=16).reshape(-1, 784)
    with gzip.open(root / "train-labels-idx1-ubyte.gz") as stream:
        y = np.frombuffer(stream.read(), np.uint8, offset=8)
    X = X.astype(np.float32)
    X /= 255
    return X, y.astype(np.int64)


def gaussian(rows: int, columns: int, classes: int, scales: float | np.ndarray = 1.0, dtype: type = np.float32) -> Data:
    """Rows whose classes follow a linear softmax model."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, columns), dtype=np.float32)
    logits = X @ rng.standard_normal((columns, classes), dtype=np.float32) * (3 / np.sqrt(columns))
    y = (logits + rng.gumbel(size=logits.shape)).argmax(1)
    return (X * scales).astype(dtype), y


def text() -> Data:
    """Sparse rows, as of word counts."""
    rng = np.random.default_rng(0)
    rows, columns, classes = 20_000, 50_000, 20
    X = sparse.random_array((rows, columns), density=1e-3, rng=rng, format="csr", dtype=np.float64)
    logits = X @ rng.standard_normal((columns, classes)) * 2
    return X, (logits + rng.gumbel(size=logits.shape)).argmax(1)


def bundled(name: str) -> Data:
    """A data set of scikit-learn's."""
    from sklearn import datasets

    return getattr(datasets, f"load_{name}")(return_X_y=True)


def zoo() -> Data:
    """The zoo table's numbers."""
    import polars as pl

    table = pl.read_csv(Path(__file__).parents[1] / "src/polylogit/data/zoo.csv", comment_prefix="#")
    numbers = table.select(pl.col(pl.Int64, pl.Float64))
    return numbers.to_numpy().astype(np.float64), np.unique(table["type"].to_numpy(), return_inverse=True)[1]


PROBLEMS = {
    "mnist C=1": (lambda: pictures("MNIST"), 1.0),
    "mnist C=0.01": (lambda: pictures("MNIST"), 0.01),
    "mnist C=100": (lambda: pictures("MNIST"), 100.0),
    "fashion-mnist C=1": (lambda: pictures("FashionMNIST"), 1.0),
    "fashion-mnist C=0.01": (lambda: pictures("FashionMNIST"), 0.01),
    "fashion-mnist C=100": (lambda: pictures("FashionMNIST"), 100.0),
    "tall 1,000,000 x 50": (lambda: gaussian(1_000_000, 50, 5), 1.0),
    "wide 500 x 5,000": (lambda: gaussian(500, 5_000, 10), 1.0),
    "unscaled 1e-3 .. 1e4": (lambda: gaussian(20_000, 50, 5, np.logspace(-3, 4, 50), np.float64), 1.0),
    "sparse 20,000 x 50,000": (text, 1.0),
    "iris": (lambda: bundled("iris"), 1.0),
    "wine": (lambda: bundled("wine"), 1.0),
    "digits": (lambda: bundled("digits"), 1.0),
    "zoo": (zoo, 1.0),
}
SMALL = {"iris", "wine", "digits", "zoo"}
QUICK = ["iris", "zoo", "wide 500 x 5,000"]


def polylogit(tolerance: float) -> Maker:
    """This project's estimator."""
    from polylogit import SoftmaxRegression

    return lambda C: SoftmaxRegression(C=C, tol=tolerance, device="cpu")


def scikit_learn(solver: str, tolerance: float, most: int = 20_000) -> Maker:
    """One of scikit-learn's solvers."""
    from sklearn.linear_model import LogisticRegression

    return lambda C: LogisticRegression(C=C, solver=solver, tol=tolerance, max_iter=most)


def intelex(tolerance: float) -> Maker:
    """scikit-learn-intelex, where installed."""
    from sklearnex.linear_model import LogisticRegression

    return lambda C: LogisticRegression(C=C, solver="lbfgs", tol=tolerance, max_iter=20_000)


def snapml(tolerance: float) -> Maker:
    """snapml, where installed."""
    from snapml import LogisticRegression

    return lambda C: LogisticRegression(regularizer=1 / C, tol=tolerance, fit_intercept=True, n_jobs=os.cpu_count())


class TorchLBFGS:
    """torch.optim.LBFGS with strong Wolfe line searches on all rows at once, in the dtype of the rows."""

    def __init__(self, C: float, steps: int) -> None:
        self.C, self.steps = C, steps

    def fit(self, X: Rows, y: np.ndarray) -> "TorchLBFGS":
        """Take the steps; coefficients in scikit-learn's shape."""
        import torch

        if sparse.issparse(X):
            raise TypeError("dense rows only")
        rows, targets = torch.from_numpy(X), torch.from_numpy(np.asarray(y, dtype=np.int64))
        classes = int(targets.max()) + 1
        weight = torch.zeros(classes, rows.shape[1], dtype=rows.dtype, requires_grad=True)
        bias = torch.zeros(classes, dtype=rows.dtype, requires_grad=True)
        optimizer = torch.optim.LBFGS(
            [weight, bias],
            max_iter=self.steps,
            history_size=20,
            line_search_fn="strong_wolfe",
            tolerance_grad=0,
            tolerance_change=0,
        )

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(rows @ weight.T + bias, targets)
            loss = loss + weight.square().sum() / (2 * self.C * len(rows))
            loss.backward()
            return loss

        optimizer.step(closure)
        self.coef_, self.intercept_ = weight.detach().numpy(), bias.detach().numpy()
        return self


LADDER = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
METHODS = {
    "polylogit": [lambda: polylogit(GAP)],
    "scikit-learn lbfgs": [lambda t=t: scikit_learn("lbfgs", t) for t in LADDER],
    "scikit-learn newton-cg": [lambda t=t: scikit_learn("newton-cg", t) for t in LADDER],
    "scikit-learn newton-cholesky": [lambda t=t: scikit_learn("newton-cholesky", t) for t in LADDER],
    "scikit-learn saga": [lambda t=t: scikit_learn("saga", t, 2_000) for t in LADDER],
    "scikit-learn-intelex": [lambda t=t: intelex(t) for t in LADDER],
    "torch LBFGS": [lambda n=n: lambda C: TorchLBFGS(C, n) for n in (25, 50, 100, 200, 400, 800, 1600)],
    "snapml (one against rest)": [lambda: snapml(1e-4)],
    "reference": [lambda: polylogit(1e-6)],
}


def objective(model: BaseEstimator, X: Rows, y: np.ndarray, C: float) -> float:
    """Mean loss plus penalty in float64, of scikit-learn's coefficients."""
    from scipy.special import logsumexp

    coef, intercept = np.asarray(model.coef_, np.float64), np.asarray(model.intercept_, np.float64)
    total = 0.0
    for start in range(0, X.shape[0], 8192):
        rows = X[start : start + 8192]
        logits = (rows if sparse.issparse(rows) else rows.astype(np.float64)) @ coef.T + intercept
        total += float((logsumexp(logits, axis=1) - logits[np.arange(len(logits)), y[start : start + 8192]]).sum())
    return total / X.shape[0] + float((coef**2).sum()) / (2 * C * X.shape[0])


def memory(field: str) -> float | None:
    """A field of the process's status in MB; None where the system has no such file."""
    path = Path("/proc/self/status")
    if not path.exists():
        return None
    return next(int(line.split()[1]) / 1024 for line in path.read_text().splitlines() if line.startswith(field))


def fitted(make: Maker, C: float, X: Rows, y: np.ndarray) -> tuple[Any, float, float | None, list[str]]:
    """A fitted model, its seconds, the MB it added at its peak, and the warnings it gave."""
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        reset.write_text("5")
    before = memory("VmRSS")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        started = time.perf_counter()
        model = make(C).fit(X, y)
        seconds = time.perf_counter() - started
    extra = None if before is None else memory("VmHWM") - before
    return model, seconds, extra, sorted({w.category.__name__ for w in caught})


def measure(problem: str, method: str, target: float, repeats: int) -> dict[str, Any]:
    """One method on one problem, in this process: the first setting that reaches the target, timed."""
    from threadpoolctl import threadpool_info

    load, C = PROBLEMS[problem]
    X, y = load()
    for setting, make in enumerate(METHODS[method]):
        try:
            maker = make()
        except ImportError:
            return {"skipped": "not installed"}
        if setting == 0:
            fitted(maker, 1.0, *gaussian(60, 4, 3))  # what a library loads when first used is not its solver's time
        model, seconds, extra, told = fitted(maker, C, X, y)
        reached = None if "rest" in method else objective(model, X, y, C)
        answer = {"objective": reached, "seconds": [seconds], "extra_mb": extra, "warnings": told, "setting": setting}
        answer["gap_certified"] = getattr(model, "optimality_gap_", None)
        answer["data_mb"] = (X.data.nbytes + X.indices.nbytes if sparse.issparse(X) else X.nbytes) / 2**20
        answer["blas"] = sorted({f"{i['internal_api']} {i.get('architecture', '')}" for i in threadpool_info()})
        print(json.dumps(answer), flush=True)
        if reached is None or reached <= target:
            break
    for _ in range(repeats - 1):
        answer["seconds"].append(fitted(maker, C, X, y)[1])
    return answer


def in_a_process(problem: str, method: str, target: float, repeats: int) -> dict[str, Any]:
    """The last thing that a process of its own said before it ended or ran out of time."""
    environment = {k: v for k, v in os.environ.items() if k not in {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"}}
    arguments = ["--child", problem, method, repr(target), str(repeats)]
    child = subprocess.Popen([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True, env=environment)
    try:
        out, _ = child.communicate(timeout=SECONDS_A_METHOD)
        ended = child.returncode == 0
    except subprocess.TimeoutExpired:
        child.kill()
        out, _ = child.communicate()
        ended = False
    lines = out.strip().splitlines()
    answer = json.loads(lines[-1]) if lines else {"skipped": "failed or out of time before its first answer"}
    return answer | {"ended": ended}


def installed(package: str) -> str | None:
    """A package's version."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def main() -> None:
    """Measure every method on every problem, and tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three small problems, one repeat")
    parser.add_argument("--problem", action="append", help=f"one of {', '.join(PROBLEMS)}; may be given again")
    parser.add_argument("--method", action="append", help=f"one of {', '.join(METHODS)}; may be given again")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        problem, method, target, repeats = options.child
        print(json.dumps(measure(problem, method, float(target), int(repeats))))
        return
    problems = options.problem or (QUICK if options.quick else list(PROBLEMS))
    methods = [m for m in options.method or METHODS if m != "reference"]
    packages = ("polylogit", "torch", "numpy", "scipy", "scikit-learn", "scikit-learn-intelex", "snapml")
    machine = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    info = Path("/proc/cpuinfo")
    if info.exists():
        machine["processor"] = next(
            line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        )
    results = {"machine": machine, "versions": {p: installed(p) for p in packages}, "gap": GAP, "problems": {}}
    table = ["| problem | method | n | median s | spread s | measured gap | extra MB (data MB) | |", "|" + " --- |" * 8]
    print(json.dumps(results["machine"]), json.dumps(results["versions"]))
    for problem in problems:
        reference = in_a_process(problem, "reference", 0.0, 1)
        optimum = reference["objective"] / (1 + reference["gap_certified"])
        rows = results["problems"][problem] = {"optimum_lower_bound": optimum, "methods": {}}
        for method in methods:
            repeats = 1 if options.quick else 20 if problem in SMALL else 3
            answer = rows["methods"][method] = in_a_process(problem, method, optimum * (1 + GAP), repeats)
            if "skipped" in answer:
                line = f"| {problem} | {method} | | | | | | {answer['skipped']} |"
            else:
                times = answer["seconds"]
                gap = None if answer["objective"] is None else answer["objective"] / optimum - 1
                answer["gap"] = gap
                note = "another objective" if gap is None else "" if gap <= GAP else "did not get there"
                note += ", out of time" * (not answer["ended"]) + "".join(f", {w}" for w in answer["warnings"])
                shown = "" if gap is None else f"{gap:.1e}"
                extra = "" if answer["extra_mb"] is None else f"{answer['extra_mb']:.0f} ({answer['data_mb']:.0f})"
                line = (
                    f"| {problem} | {method} | {len(times)} | {statistics.median(times):.4g} | "
                    f"{min(times):.4g} .. {max(times):.4g} | {shown} | {extra} | {note.strip(', ')} |"
                )
            table.append(line)
            print(line, flush=True)
    if not options.quick:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "solver.json").write_text(json.dumps(results, indent=1) + "\n")
        heading = f"# Softmax regression: seconds to a relative gap of {GAP:g}\n\n"
        facts = json.dumps(machine) + "\n\n" + json.dumps(results["versions"]) + "\n\n"
        (RESULTS / "solver.md").write_text(heading + facts + "\n".join(table) + "\n")


if __name__ == "__main__":
    main()
