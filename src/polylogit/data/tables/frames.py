"""Rows from Python: pandas, polars, Arrow and numpy become one kind of frame.

Column names become text; rows keep their order, and an index is left out.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from polylogit.errors import DataError

__all__ = ["as_frame"]


def as_frame(  # noqa: PLR0911 - one for each kind of data
    data: Any,  # noqa: ANN401
    names: Sequence[str] = (),
    place: str = "the table",
) -> pl.DataFrame:
    """The rows as a polars frame.

    Args:
        data: A polars DataFrame or LazyFrame, a pandas DataFrame, an Arrow table (anything with
            `__arrow_c_stream__`), a mapping of columns, a list of mappings, one for each row, or a numpy array of
            shape (N, D).
        names: The D column names of an array, which has none itself.
        place: What messages call the table.

    Returns:
        A frame.

    Raises:
        DataError: The rows are of another type, or an array has another number of columns than there are names.

    Example:
        >>> as_frame(np.array([[4.0, 1.0], [2.0, 0.0]]), names=("legs", "milk")).columns
        ['legs', 'milk']
    """
    match data:
        case pl.DataFrame():
            return data
        case pl.LazyFrame():
            return data.collect()
        case np.ndarray():
            return _from_array(data, names, place)
        case dict():
            return _converted(pl.DataFrame, data, place)
        case list() | tuple() if data and all(isinstance(row, Mapping) for row in data):
            return _converted(
                lambda rows: pl.DataFrame([dict(row) for row in rows], infer_schema_length=None), data, place
            )
    if type(data).__module__.partition(".")[0] == "pandas" and type(data).__name__ == "DataFrame":
        return _from_pandas(data, place)
    if hasattr(data, "__arrow_c_stream__"):
        return _converted(pl.DataFrame, data, place)
    raise DataError(
        f"{place}: expected a polars or pandas DataFrame, an Arrow table, a mapping of columns, a list of mappings or "
        f"an array of shape (N, D), got {type(data).__module__}.{type(data).__qualname__}."
    )


def _from_array(data: np.ndarray[Any, np.dtype[Any]], names: Sequence[str], place: str) -> pl.DataFrame:
    if data.ndim != 2 or data.shape[1] != len(names):
        raise DataError(
            f"{place}: expected an array of shape (N, {len(names)}), one column each for "
            f"{', '.join(list(names)[:6])}{', …' if len(names) > 6 else ''}; got shape {data.shape}."
        )
    if data.dtype.kind not in "biufUO":
        raise DataError(f"{place}: expected an array of numbers or texts, got {data.dtype}.")
    return pl.DataFrame([_series(name, data[:, at], place) for at, name in enumerate(names)])


def _from_pandas(data: Any, place: str) -> pl.DataFrame:  # noqa: ANN401
    for name, times in Counter(map(str, data.columns)).items():
        if times > 1:
            raise DataError(f'{place}: {times} columns are called "{name}". Give each column a name of its own.')
    return pl.DataFrame([_series(str(name), data.iloc[:, at], place) for at, name in enumerate(data.columns)])


def _series(name: str, values: Any, place: str) -> pl.Series:  # noqa: ANN401
    if type(getattr(values, "dtype", None)).__name__ == "SparseDtype":
        values = values.sparse.to_dense()
    try:
        if getattr(values, "dtype", None) == np.dtype(object):
            return pl.Series(name, list(values), strict=True, nan_to_null=True)
        return pl.Series(name, values, nan_to_null=True)
    except (TypeError, ValueError, OverflowError, NotImplementedError, pl.exceptions.PolarsError) as fault:
        kinds = sorted({type(value).__name__ for value in values})
        if len(kinds) == 1:
            raise DataError(
                f'{place}, column "{name}": values of type {kinds[0]} cannot be taken. Make them numbers, texts, '
                "booleans or dates."
            ) from fault
        raise DataError(
            f'{place}, column "{name}": values of mixed types ({", ".join(kinds)}). Make them all of one type.'
        ) from fault


def _converted(convert: Any, data: Any, place: str) -> pl.DataFrame:  # noqa: ANN401
    try:
        frame: pl.DataFrame = convert(data)
    except (TypeError, ValueError, NotImplementedError, pl.exceptions.PolarsError) as fault:
        raise DataError(f"{place}: the rows cannot be taken as a table ({str(fault).splitlines()[0]}).") from fault
    return frame
