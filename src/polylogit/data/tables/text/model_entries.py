"""The vocabularies of a model file."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from polylogit.data.tables.text.analyzer import Analyzer
from polylogit.data.tables.text.vocabulary import Vocabulary
from polylogit.errors import ModelFileError

__all__ = ["vocabularies_of"]


def vocabularies_of(columns: Sequence[Mapping[str, Any]], tensors: Mapping[str, Tensor]) -> dict[int, Vocabulary]:
    """The vocabulary of each text column, by its place among the columns.

    Args:
        columns: The entries of the columns in the header, which are checked.
        tensors: The tensors of the preprocessing, by name.

    Raises:
        ModelFileError: A tensor is missing, or does not fit the header.
    """
    vocabularies = {}
    for place, column in enumerate(columns):
        if column["type"] != "text":
            continue
        names = [f"text.{place}.terms", f"text.{place}.idf"]
        if not all(name in tensors for name in names):
            raise ModelFileError(f"preprocessing: expected the tensors {names[0]} and {names[1]}")
        try:
            analyzer = Analyzer.from_text(column["format"])
        except ValueError as fault:
            raise ModelFileError(f'preprocessing: the format of the column "{column["name"]}": {fault}') from fault
        vocabularies[place] = Vocabulary.from_tensors(analyzer, column["terms"], tensors[names[0]], tensors[names[1]])
    return vocabularies
