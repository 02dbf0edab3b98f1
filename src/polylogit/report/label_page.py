"""The part of the page that shows labels that are probably wrong: rows of a table, or pictures as pictures."""

from dataclasses import asdict
from typing import Any

import polars as pl

from polylogit.report.label_check import LabelCheck, SuspectLabel, label_check_sentence
from polylogit.report.pictures import picture_uri

__all__ = ["suspects_on_page"]

MOST_SUSPECTS = 12
"""Rows of a table; of pictures, which take less room, twice as many."""


def suspects_on_page(check: LabelCheck | None, *, most_columns: int) -> dict[str, Any] | None:
    """What the template `label_check.html.jinja` shows.

    Args:
        check: The check of the labels; None: there was none.
        most_columns: At most so many columns of a table are shown.

    Returns:
        The sentence, the most suspicious rows, and how many more rows and columns there are.
    """
    if check is None:
        return None
    table = check.raw if isinstance(check.raw, pl.DataFrame) else None
    columns = [] if table is None else table.columns[:most_columns]
    most = MOST_SUSPECTS if table is not None else 2 * MOST_SUSPECTS
    shown = [
        {
            **asdict(suspect),
            "place": _place(suspect, picture=table is None),
            "picture": None if isinstance(check.raw, pl.DataFrame) else picture_uri(check.raw[index]),
            "cells": [] if table is None else [table[index, column] for column in columns],
        }
        for index, suspect in enumerate(check.suspects[:most])
    ]
    return {
        "sentence": label_check_sentence(check),
        "shown": shown,
        "columns": columns,
        "more_columns": 0 if table is None else table.width - len(columns),
        "more": len(check.suspects) - len(shown),
    }


def _place(suspect: SuspectLabel, *, picture: bool) -> str:
    """What names a row on the page: its number, and its file where that is known."""
    if suspect.file is None:
        return f"no. {suspect.row}" if picture else str(suspect.row)
    return suspect.file if picture else f"{suspect.file}: {suspect.row}"
