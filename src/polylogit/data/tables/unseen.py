"""Counts of unseen categories and unexpected missing values in rows to predict, and the messages about them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from polylogit.data.tables.encoded_column import Column
from polylogit.errors import DataError
from polylogit.plural import agreeing, counted

__all__ = ["FEWEST_ROWS_TO_REJECT", "WARNED_SHARE", "UnseenCounts", "check_mostly_seen", "warning_words"]

WARNED_SHARE = 0.2
"""From this share of unseen cells in a column on, a note becomes a warning."""

WARNED_SHARE_OF_WORDS = 0.5
"""From this share of unknown words in a text column on, a note becomes a warning."""

REJECTED_SHARE = 0.5
"""Where more than this share of a column's cells is unseen, the table is rejected unless that is allowed."""

FEWEST_ROWS_TO_REJECT = 10
"""A table with fewer rows is rejected only where all cells of a column are unseen, and there are some rows."""

FEWEST_ROWS_ALL_UNSEEN = 3
"""A table with fewer rows is never rejected: a new category in one row says little about the column."""


@dataclass(frozen=True)
class UnseenCounts:
    """Unseen categories and unexpected missing values, counted by column while rows were encoded.

    Args:
        unseen: Rows with a category that training never saw, or, where rare categories are pooled, with one of those.
        filled: Rows with a missing value in a column that had none in training.
        rows: N, the rows that were encoded.
        words: Words in text columns.
        unknown_words: Words in text columns that are in no term of the vocabulary.
    """

    unseen: Mapping[str, int] = field(default_factory=dict)
    filled: Mapping[str, int] = field(default_factory=dict)
    rows: int = 0
    words: Mapping[str, int] = field(default_factory=dict)
    unknown_words: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: "UnseenCounts") -> "UnseenCounts":
        return UnseenCounts(
            _summed(self.unseen, other.unseen),
            _summed(self.filled, other.filled),
            self.rows + other.rows,
            _summed(self.words, other.words),
            _summed(self.unknown_words, other.unknown_words),
        )

    def notes(self, columns: Iterable[Column], gaps_count_as: Mapping[str, str]) -> tuple[str, ...]:
        """The counts in words, with how such cells are treated.

        Args:
            columns: The columns of the encoder.
            gaps_count_as: What a missing value counts as in each column.

        Returns:
            A sentence for each column with such cells.
        """
        pooled = {column.name for column in columns if column.pooled}
        treatment = {
            True: "a value that is rare, or was never seen in training; these count as one",
            False: "a value never seen in training; it counts as none",
        }
        notes = [
            f'column "{name}": {counted(count, "row")} {agreeing(count, "holds", "hold")} {treatment[name in pooled]}.'
            for name, count in self.unseen.items()
        ]
        notes += [
            f'column "{name}": {counted(count, "row")} {agreeing(count, "has", "have")} no value, but every training '
            f"row had one; {agreeing(count, 'it counts', 'they count')} as {gaps_count_as[name]}."
            for name, count in self.filled.items()
        ]
        notes += [
            f'column "{name}": {self.unknown_words_of(name)}; {agreeing(count, "it counts", "they count")} as none.'
            for name, count in self.unknown_words.items()
            if 0 < count < WARNED_SHARE_OF_WORDS * self.words[name]
        ]
        return tuple(notes)

    def unknown_words_of(self, name: str) -> str:
        """How many words of a column of text are not in its vocabulary, in words."""
        count, words = self.unknown_words[name], self.words[name]
        share = f"{count:,} of {words:,} words ({count / words:.0%})"
        return f"{share} {agreeing(count, 'is', 'are')} not in the vocabulary"

    def shares_beyond_training(self, columns: Iterable[Column]) -> dict[str, float]:
        """By how much the share of unseen cells in a column exceeds that of pooled cells in the training rows.

        Columns whose pooled share is not recorded, as in files of older versions, are left out.

        Args:
            columns: The columns of the encoder.

        Returns:
            Shares above 0, by column.
        """
        shares = {}
        for column in columns:
            count = self.unseen.get(column.name, 0)
            if not count or (column.pooled and column.rare_share is None):
                continue
            share = count / self.rows - (column.rare_share or 0.0)
            if share > 0:
                shares[column.name] = share
        return shares

    def to_reject(self, columns: Iterable[Column]) -> dict[str, int]:
        """The unseen cells of the columns in which most cells are unseen; empty for very short tables."""
        if self.rows < FEWEST_ROWS_ALL_UNSEEN:
            return {}
        fewest = 0 if self.rows >= FEWEST_ROWS_TO_REJECT else self.rows
        shares = self.shares_beyond_training(columns)
        most = {name: self.unseen[name] for name, share in shares.items() if share > REJECTED_SHARE}
        return {name: count for name, count in most.items() if count >= fewest}


def check_mostly_seen(unseen: UnseenCounts, columns: Iterable[Column], place: str) -> None:
    """Raise an error where most cells of a column are categories that training did not see.

    Args:
        unseen: The counts.
        columns: The columns of the encoder.
        place: What messages call the table.

    Raises:
        DataError: There is such a column.
    """
    for name, count in unseen.to_reject(columns).items():
        raise DataError(
            f'{place}, column "{name}": {count} of {unseen.rows} rows {agreeing(count, "holds", "hold")} a value that '
            "training did not see, so the column says nothing there. Write the values as in training, or go on all the "
            "same with --allow-unseen (allow_unseen=True)."
        )


def warning_words(unseen: UnseenCounts, columns: Iterable[Column]) -> tuple[str, ...]:
    """A sentence for each column in which many cells are unseen.

    Args:
        unseen: The counts.
        columns: The columns of the encoder.

    Returns:
        The sentences; empty where few cells are unseen.
    """
    shares = unseen.shares_beyond_training(columns)
    words = tuple(
        f'column "{name}": {unseen.unknown_words_of(name)}; check that the column is text like '
        "that of training, in the same language."
        for name, count in unseen.unknown_words.items()
        if count and count >= WARNED_SHARE_OF_WORDS * unseen.words[name]
    )
    return words + tuple(
        f'column "{name}": {unseen.unseen[name]} of {unseen.rows} rows ({unseen.unseen[name] / unseen.rows:.0%}) '
        f"{agreeing(unseen.unseen[name], 'holds', 'hold')} a value that training did not see; check that the column is "
        "written as in training."
        for name, share in shares.items()
        if share >= WARNED_SHARE
    )


def _summed(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    return {name: left.get(name, 0) + right.get(name, 0) for name in (*left, *(set(right) - set(left)))}
