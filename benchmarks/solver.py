"""Time to a relative objective gap of 1e-4 for softmax regression, beside every peer, on the same machine.

    python benchmarks/solver.py [--search] [--turns N] [--problem NAME ...] [--method NAME ...] [--page NAME] [--quick]

Claim: `SoftmaxRegression` reaches the optimum of scikit-learn's multinomial objective first. polylogit runs at its
default tolerance. A peer runs at the loosest setting that gets within 1e-4 of the optimum, evaluated by the float64
objective of the coefficients that it returned against a lower bound that is certified to 1e-6. `--search` finds those
settings, on a machine as busy as it likes, and keeps them; a timed run then uses and verifies them,
so no peer pays for its search. `--turns` runs the methods turn by turn, so that a slow minute of the machine falls on
all of them. A peer that has had 60 seconds for one fit (in a search: 60 on each core) is recorded
as out of time and not asked again until the next search. Every method has a process of its own; the BLAS variables
OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE, which some machines set, are taken out of its environment. snapml fits one
class against the rest, another objective: it is timed only.

Merges into benchmarks/results/solver.json and solver.md, each entry with its date; `--page` names another page, for
another processor. Where a page has the results of another processor, only the settings are kept.
Peak memory is what a fit adds to the process with the data in it.
"""

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from timing import RESULTS, machine

Rows = np.ndarray | sparse.csr_array
Data = tuple[Rows, np.ndarray]
Maker = Callable[[float], Any]
Entry = dict[str, Any]
GAP = 1e-4
SECONDS_A_FIT = 60
SECONDS_OF_REPEATS = 20


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


def many_classes() -> Data:
    """Three rows for each of 1000 classes, which say nothing of the class."""
    return np.random.default_rng(0).standard_normal((3000, 10)), np.arange(3000) % 1000


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

    table = pl.read_csv(Path(__file__).parents[1] / "src/polylogit/data/tables/zoo.csv", comment_prefix="#")
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
    "1000 classes 3,000 x 10": (many_classes, 1.0),
    "100 classes 50,000 x 100": (lambda: gaussian(50_000, 100, 100), 1.0),
    "2 classes 200,000 x 30": (lambda: gaussian(200_000, 30, 2), 1.0),
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


def tolerances(make: Callable[[float], Maker], *values: float) -> dict[str, Callable[[], Maker]]:
    """A peer at each tolerance, loosest first, by the setting's name."""
    return {f"tol={value:g}": lambda value=value: make(value) for value in values}


LADDER = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
METHODS = {
    "polylogit": tolerances(polylogit, GAP),
    "scikit-learn lbfgs": tolerances(lambda t: scikit_learn("lbfgs", t), *LADDER),
    "scikit-learn newton-cg": tolerances(lambda t: scikit_learn("newton-cg", t), *LADDER),
    "scikit-learn newton-cholesky": tolerances(lambda t: scikit_learn("newton-cholesky", t), *LADDER),
    "scikit-learn saga": tolerances(lambda t: scikit_learn("saga", t, 2_000), *LADDER),
    "scikit-learn-intelex": tolerances(intelex, *LADDER),
    "torch LBFGS": {
        f"max_iter={n}": lambda n=n: lambda C: TorchLBFGS(C, n) for n in (25, 50, 100, 200, 400, 800, 1600)
    },
    "snapml (one against rest)": tolerances(snapml, 1e-3),
    "reference": tolerances(polylogit, 1e-6),
}


def objective(model: BaseEstimator, X: Rows, y: np.ndarray, C: float) -> float:
    """Mean loss plus penalty in float64, of scikit-learn's coefficients."""
    from scipy.special import logsumexp

    coef, intercept = np.asarray(model.coef_, np.float64), np.asarray(model.intercept_, np.float64)
    total = 0.0
    for start in range(0, X.shape[0], 8192):
        rows = X[start : start + 8192]
        logits = (rows if sparse.issparse(rows) else rows.astype(np.float64)) @ coef.T + intercept
        if logits.shape[1] == 1:  # two classes have one vector of coefficients
            logits = np.hstack([np.zeros_like(logits), logits])
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


def measure(problem: str, method: str, target: float, first: str, repeats: int) -> None:
    """Print, in this process, what each setting from the first on gives, until one reaches the target; time that one.

    A last word without "reached" is that of a process that was stopped.
    """
    from threadpoolctl import threadpool_info

    load, C = PROBLEMS[problem]
    X, y = load()
    settings = list(METHODS[method])
    for position, setting in enumerate(settings[settings.index(first) if first in settings else 0 :]):
        try:
            maker = METHODS[method][setting]()
        except ImportError:
            print(json.dumps({"skipped": "not installed"}))
            return
        print(json.dumps({"setting": setting}), flush=True)
        if position == 0:
            fitted(maker, 1.0, *gaussian(60, 4, 3))  # what a library loads when first used is not its solver's time
        if not repeats:
            limit_cpu_seconds()
        try:
            model, seconds, extra, categories = fitted(maker, C, X, y)
        except (TypeError, ValueError, MemoryError) as error:
            print(json.dumps({"skipped": f"{type(error).__name__}: {error}"}))
            return
        reached = None if "rest" in method else objective(model, X, y, C)
        answer = {
            "setting": setting,
            "objective": reached,
            "seconds": [seconds],
            "extra_mb": extra,
            "warnings": categories,
        }
        answer["gap_certified"] = getattr(model, "optimality_gap_", None)
        answer["data_mb"] = (X.data.nbytes + X.indices.nbytes if sparse.issparse(X) else X.nbytes) / 2**20
        answer["blas"] = sorted({f"{i['internal_api']} {i.get('architecture', '')}".strip() for i in threadpool_info()})
        if reached is None or reached <= target:
            break
    for _ in range(min(repeats, 1 + int(SECONDS_OF_REPEATS / seconds)) - 1):
        answer["seconds"].append(fitted(maker, C, X, y)[1])
    print(json.dumps(answer | {"reached": reached is None or reached <= target}), flush=True)


def limit_cpu_seconds() -> None:
    """From here on, one fit's worth of seconds on every core, where the system can count them."""
    with suppress(ImportError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        seconds = int(used.ru_utime + used.ru_stime) + SECONDS_A_FIT * (os.cpu_count() or 1)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def in_a_process(problem: str, method: str, target: float, first: str = "", repeats: int = 0) -> Entry:
    """The last line printed by a separate process before it ended or ran out of time; no repeats is a search."""
    environment = {k: v for k, v in os.environ.items() if k not in {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"}}
    arguments = ["--child", problem, method, repr(target), first, str(repeats)]
    child = subprocess.Popen([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True, env=environment)
    try:
        out, _ = child.communicate(timeout=SECONDS_A_FIT + SECONDS_OF_REPEATS + 30 if repeats else None)
    except subprocess.TimeoutExpired:
        child.kill()
        out, _ = child.communicate()
    printed = [json.loads(line) for line in out.strip().splitlines()]
    answer: Entry = printed[-1] if printed else {"skipped": "failed before its first fit"}
    if "skipped" not in answer and "reached" not in answer:
        answer["out_of_time"] = SECONDS_A_FIT
    return answer | {"taken": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")}


def installed(package: str) -> str | None:
    """A package's version."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def kept(name: str) -> dict[str, Any]:
    """The page of a name so far, if it is this machine's; of another machine's only the settings."""
    page = {"name": name, "gap": GAP, "machine": machine(), "problems": {}}
    page["machine"] |= {package: installed(package) for package in ("scikit-learn-intelex", "snapml")}
    path = RESULTS / f"{name}.json"
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        page["problems"] = before["problems"]
        if before["machine"]["cpu"] != page["machine"]["cpu"]:
            for entries in page["problems"].values():
                known = {method: entry.get("setting", "") for method, entry in entries["methods"].items()}
                entries["methods"] = {method: {"setting": setting} for method, setting in known.items()}
    return page


def line(problem: str, method: str, entry: Entry, optimum: float) -> str | None:
    """A row of the table; None where only a setting is known."""
    if "skipped" in entry:
        return f"| {problem} | {method} | | | | | | | {entry['skipped']} |"
    if "out_of_time" in entry:
        when = entry["taken"]
        return f"| {problem} | {method} | {entry['setting']} | 1 | > {SECONDS_A_FIT} | | | | out of time, {when} |"
    if not entry.get("seconds"):
        return None
    times = entry["seconds"]
    gap = None if entry["objective"] is None else entry["objective"] / optimum - 1
    notes = ["another objective"] if gap is None else [] if gap <= GAP else ["did not get there"]
    shown = "" if gap is None else f"{gap:.1e}"
    extra = "" if entry["extra_mb"] is None else f"{entry['extra_mb']:.0f} ({entry['data_mb']:.0f})"
    return (
        f"| {problem} | {method} | {entry['setting']} | {len(times)} | {statistics.median(times):.4g} | "
        f"{min(times):.4g} to {max(times):.4g} | {shown} | {extra} | "
        f"{', '.join([*notes, *entry['warnings'], entry['taken']])} |"
    )


def write(page: dict[str, Any]) -> None:
    """The page as JSON and as Markdown."""
    heads = ("problem", "method", "setting", "n", "median s", "spread s", "gap", "extra MiB (data MiB)", "")
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    for problem, entries in page["problems"].items():
        rows = (line(problem, m, entries["methods"].get(m, {}), entries["optimum_lower_bound"]) for m in METHODS)
        lines += [row for row in rows if row]
    facts = "; ".join(f"{key} {value}" for key, value in page["machine"].items())
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{page['name']}.json").write_text(json.dumps(page, indent=1) + "\n", encoding="utf-8")
    title = f"# Softmax regression: seconds to a relative gap of {GAP:g}\n\n"
    (RESULTS / f"{page['name']}.md").write_text(title + facts + ".\n\n" + "\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Search, or measure every method on every problem, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three small problems, one repeat; writes nothing")
    parser.add_argument("--search", action="store_true", help="find the peers' settings; times nothing")
    parser.add_argument(
        "--turns", type=int, default=0, help="each method in turn, this often: one fit, of a small problem 20"
    )
    parser.add_argument("--problem", action="append", help=f"one of {', '.join(PROBLEMS)}; may be given again")
    parser.add_argument("--method", action="append", help=f"one of {', '.join(METHODS)}; may be given again")
    parser.add_argument("--page", default="solver", help="the page of results to add to")
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        problem, method, target, first, repeats = options.child
        measure(problem, method, float(target), first, int(repeats))
        return
    for problem in options.problem or (QUICK if options.quick else list(PROBLEMS)):
        optimum = kept(options.page)["problems"].get(problem, {}).get("optimum_lower_bound")
        if optimum is None:
            reference = in_a_process(problem, "reference", 0.0, repeats=1)
            optimum = reference["objective"] / (1 + reference["gap_certified"])
        taken_before: dict[str, Entry] = {}
        for method in [m for m in options.method or METHODS if m != "reference"] * max(1, options.turns):
            before = kept(options.page)["problems"].get(problem, {}).get("methods", {}).get(method, {})
            if "out_of_time" in before and not options.search:
                continue
            once = options.quick or (options.turns and problem not in SMALL)
            repeats = 0 if options.search else 1 if once else 20 if problem in SMALL else 3
            first = "" if options.search else before.get("setting", "")
            answer = in_a_process(problem, method, optimum * (1 + GAP), first, repeats)
            if options.search:
                answer = {k: v for k, v in answer.items() if k not in {"seconds", "extra_mb", "data_mb"}}
            if method in taken_before and "seconds" in answer:
                answer["seconds"] = taken_before[method]["seconds"] + answer["seconds"]
            taken_before[method] = answer
            print(
                line(problem, method, answer, optimum) or f"| {problem} | {method} | {answer['setting']} |", flush=True
            )
            if not options.quick:
                page = kept(options.page)
                entries = page["problems"].setdefault(problem, {"methods": {}})
                entries["optimum_lower_bound"] = optimum
                entries["methods"][method] = answer
                write(page)


if __name__ == "__main__":
    main()
