"""Real tables that installed packages ship: the features as a frame, and the classes.

Owns: where each table is found, which column holds its classes, and which columns are no features.
Does not own: what is measured on them. A table whose package is not installed is left out, and its name is reported.

    for name, table in real_tables():
        fit(table.features, table.classes)
"""

import gzip
import importlib.util
import io
import json
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

MOST_ROWS = 3000
"""Of longer tables so many rows are drawn."""


@dataclass(frozen=True)
class RealTable:
    """A table with its classes as text."""

    features: pl.DataFrame
    classes: pl.Series

    @classmethod
    def of(cls, frame: pl.DataFrame, target: str, drop: tuple[str, ...] = ()) -> "RealTable":
        """The table whose column `target` holds the classes; rows without a class are left out."""
        frame = frame.drop_nulls([target])
        if frame.height > MOST_ROWS:
            frame = frame.sample(MOST_ROWS, seed=0)
        return cls(frame.drop(target, *drop), frame[target].cast(pl.String))


def _folder(package: str, *parts: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(package)
    return Path(found.origin).parent.joinpath(*parts)


def _csv(content: bytes) -> pl.DataFrame:
    return pl.read_csv(io.BytesIO(content), null_values=["NA", ""], infer_schema_length=None)


def _of_sklearn(name: str) -> RealTable:
    import sklearn.datasets

    bunch = getattr(sklearn.datasets, f"load_{name}")()
    features = pl.DataFrame({f"x{place}": bunch.data[:, place] for place in range(bunch.data.shape[1])})
    return RealTable(features, pl.Series(bunch.target).cast(pl.String))


def _of_statsmodels(name: str) -> pl.DataFrame:
    import statsmodels.api

    return pl.from_pandas(getattr(statsmodels.api.datasets, name).load_pandas().data)


def _of_river(name: str) -> pl.DataFrame:
    path = _folder("river", "datasets", name)
    if path.suffix == ".gz":
        return _csv(gzip.decompress(path.read_bytes()))
    with zipfile.ZipFile(path) as archive:
        return _csv(archive.read(archive.namelist()[0]))


def _penguins() -> RealTable:
    return RealTable.of(_csv(_folder("palmerpenguins", "data", "penguins.csv").read_bytes()), "species")


def _weather() -> RealTable:
    content = _folder("vega_datasets", "_data", "seattle-weather.csv").read_bytes()
    return RealTable.of(_csv(content), "weather", ("date",))


def _cars() -> RealTable:
    rows = json.loads(_folder("vega_datasets", "_data", "cars.json").read_text(encoding="utf-8"))
    return RealTable.of(pl.DataFrame(rows), "Origin", ("Name", "Year"))


def _anes96() -> RealTable:
    return RealTable.of(_of_statsmodels("anes96").with_columns(pl.col("PID").cast(pl.Int64)), "PID", ("vote",))


def _fair() -> RealTable:
    return RealTable.of(_of_statsmodels("fair").with_columns(pl.col("affairs") > 0), "affairs")


def _segment() -> RealTable:
    return RealTable.of(_of_river("segment.csv.zip"), "category")


def _phishing() -> RealTable:
    return RealTable.of(_of_river("phishing.csv.gz"), "is_phishing")


def _shuttle() -> RealTable:
    return RealTable.of(_of_river("shuttle.csv.gz"), "anomaly")


REAL_TABLES: Mapping[str, Callable[[], RealTable]] = {
    "iris": lambda: _of_sklearn("iris"),
    "wine": lambda: _of_sklearn("wine"),
    "breast_cancer": lambda: _of_sklearn("breast_cancer"),
    "digits": lambda: _of_sklearn("digits"),
    "penguins": _penguins,
    "weather": _weather,
    "cars": _cars,
    "anes96": _anes96,
    "fair": _fair,
    "segment": _segment,
    "phishing": _phishing,
    "shuttle": _shuttle,
}
"""Tables by name, of scikit-learn, palmerpenguins, vega_datasets, statsmodels and river."""


def real_tables(without: tuple[str, ...] = ()) -> Iterator[tuple[str, RealTable]]:
    """The tables whose packages are installed, by name."""
    for name, load in REAL_TABLES.items():
        if name in without:
            continue
        try:
            table = load()
        except ModuleNotFoundError as fault:
            print(f"{name}: left out, because {fault.name or fault} is not installed", file=sys.stderr)
            continue
        yield name, table
