"""Train-test splits: by class, by group, by time, or by a column; the same for the same seed on every machine."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from polylogit.errors import DataError

__all__ = [
    "Split",
    "drawn_split",
    "given_split",
    "group_numbers",
    "grouped_split",
    "is_among",
    "sampled_rows",
    "stratified_split",
    "time_split",
]

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Row numbers of the training part and of the test part, each in rising order."""

    train: Int[Tensor, " A"]
    test: Int[Tensor, " B"]

    def within(self, rows: Int[Tensor, " C"]) -> "Split":
        """The two parts without the rows that are not among these."""
        return Split(*(part[is_among(part, rows)] for part in (self.train, self.test)))

    def of(self, rows: Int[Tensor, " C"]) -> "Split":
        """This split of the rows with these numbers, instead of rows 0, 1, 2 and so on."""
        return Split(train=rows[self.train], test=rows[self.test])


def is_among(numbers: Int[Tensor, " A"], rows: Int[Tensor, " B"]) -> Bool[Tensor, " A"]:
    """Which row numbers are among others: as `torch.isin`, without its sort, which takes a second for 2,000,000 rows.

    Args:
        numbers: Row numbers, from 0.
        rows: Row numbers, from 0.

    Example:
        >>> is_among(torch.tensor([4, 2, 7]), torch.tensor([2, 4]))
        tensor([ True,  True, False])
    """
    highest = max((int(some.max()) for some in (numbers, rows) if len(some)), default=-1)
    among = torch.zeros(highest + 1, dtype=torch.bool)
    among[rows] = True
    return among[numbers]


def sampled_rows(targets: Int[Tensor, " N"], most: int, seed: int, least: int = 10) -> Int[Tensor, " M"]:
    """Row numbers of a random sample in which every class has about its share of the rows.

    Args:
        targets: Class indices from 0.
        most: About how many rows; all where there are no more.
        seed: Of the draw.
        least: So many rows of each class are kept, or all where it has no more.

    Returns:
        Row numbers in rising order.

    Example:
        >>> targets = torch.tensor([0] * 890 + [1] * 100 + [2] * 10)
        >>> torch.bincount(targets[sampled_rows(targets, 100, seed=0)]).tolist()
        [89, 10, 10]
    """
    if len(targets) <= most:
        return torch.arange(len(targets))
    draw = torch.Generator().manual_seed(seed)
    kept = []
    for k in torch.unique(targets).tolist():
        rows = torch.nonzero(targets == k).flatten()
        count = max(round(most * len(rows) / len(targets)), min(least, len(rows)))
        kept.append(rows[torch.randperm(len(rows), generator=draw)[:count]])
    return torch.cat(kept).sort().values


def drawn_split(
    targets: Int[Tensor, " N"], test_fraction: float, seed: int, copies: Int[Tensor, " N"] | None = None
) -> Split:
    """Hold out a fraction of every class, among the rows that are of one; with the fraction 0, none.

    Args:
        targets: Class indices; rows of index -1 are in neither part.
        test_fraction: The share of rows to hold out, from 0 to less than 1.
        seed: Of the draw.
        copies: As for `stratified_split`.

    Returns:
        The two parts.

    Raises:
        DataError: As `stratified_split`.

    Example:
        >>> drawn_split(torch.tensor([0, -1, 1, 1]), 0.0, seed=0)
        Split(train=tensor([0, 2, 3]), test=tensor([], dtype=torch.int64))
    """
    rows = torch.nonzero(targets >= 0).flatten()
    if test_fraction == 0:
        return Split(train=rows, test=rows[:0])
    return stratified_split(targets[rows], test_fraction, seed, None if copies is None else copies[rows]).of(rows)


def stratified_split(
    targets: Int[Tensor, " N"], test_fraction: float, seed: int, copies: Int[Tensor, " N"] | None = None
) -> Split:
    """Hold out a fraction of every class.

    The test part has round(test_fraction * N) rows. Each class gives its share of them, rounded by largest remainder,
    but keeps at least one row for training, for which the others make up. Which rows of a class are held out is
    drawn at random.

    Args:
        targets: Class indices.
        test_fraction: The share of rows to hold out, between 0 and 1.
        seed: Of the draw.
        copies: A number for each row, the same for rows of a class that stay on one side. A set of copies is held out
            where it fits into the share of its class.

    Returns:
        The two parts. The row of a class with a single row is in the training part.

    Raises:
        DataError: The rows are too few for one held-out row, or each set of copies is larger than its class's share.

    Example:
        >>> split = stratified_split(torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]), 0.25, seed=0)
        >>> len(split.train), len(split.test)
        (6, 2)
        >>> targets = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
        >>> targets[split.test].tolist()
        [0, 1]
    """
    classes, counts = torch.unique(targets, return_counts=True)
    wanted = round(test_fraction * targets.numel())
    shares = _apportion(wanted, counts.numpy(), most=counts.numpy() - 1)
    if not shares.sum():
        raise DataError(
            f"{targets.numel()} rows in {len(classes)} classes are too few to hold any out with "
            f"test_fraction = {test_fraction}. Give more rows, or a larger --set data.test_fraction."
        )
    draw = np.random.Generator(np.random.PCG64(seed))
    held_out = []
    for index, share in zip(classes.tolist(), shares.tolist(), strict=True):
        rows = np.flatnonzero(targets.numpy() == index)
        if copies is None:
            held_out.append(draw.permutation(rows)[:share])
        else:
            held_out.append(rows[_whole_sets(copies.numpy()[rows], share, draw)])
    is_test = np.zeros(targets.numel(), dtype=np.bool_)
    is_test[np.concatenate(held_out)] = True
    if not is_test.any():
        raise DataError(
            "no row can be held out: each set of copies is larger than the share of its class. Drop the copies, or "
            "split them like other rows with --set data.duplicate_rows=independent."
        )
    return _split(is_test)


def _whole_sets(copies: Rows, share: int, draw: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Which rows are held out: whole sets of copies in a random order, as long as they fit into the share."""
    _, set_of, sizes = np.unique(copies, return_inverse=True, return_counts=True)
    order = draw.permutation(len(sizes))
    first = int(np.searchsorted(np.cumsum(sizes[order]), share, side="right"))
    taken = np.zeros(len(sizes), dtype=np.bool_)
    taken[order[:first]] = True
    left = share - int(sizes[order[:first]].sum())
    for index in order[first:]:
        if not left:
            break
        if sizes[index] <= left:
            taken[index], left = True, left - int(sizes[index])
    held_out: npt.NDArray[np.bool_] = taken[set_of]
    return held_out


def _apportion(seats: int, counts: Rows, most: Rows) -> Rows:
    """Share out `seats` in proportion to `counts` by largest remainder (Hamilton), at most `most` to each."""
    exact = seats * counts / counts.sum()
    shares: Rows = np.minimum(np.floor(exact).astype(np.int64), most)
    for _ in range(min(seats, int(most.sum())) - int(shares.sum())):
        owed = np.where(shares < most, exact - shares, -np.inf)
        shares[int(np.argmax(owed))] += 1
    return shares


def group_numbers(names: pl.Series) -> Int[Tensor, " N"]:
    """A number for each group by its name; the rows without a name form one group together, numbered 0.

    Example:
        >>> group_numbers(pl.Series(["ann", None, "bob", "ann", None])).tolist()
        [1, 0, 2, 1, 0]
    """
    return torch.tensor(names.rank("dense").fill_null(0).cast(pl.Int64).to_numpy())


def grouped_split(targets: Int[Tensor, " N"], groups: Int[Tensor, " N"], test_fraction: float, seed: int) -> Split:
    """Hold out whole groups: no group has rows in both parts.

    Groups are taken in a random order as long as the test part stays within round(test_fraction * N) rows and every
    class keeps a row for training; a group that would break either is left in the training part.

    Args:
        targets: Class indices.
        groups: The group of each row, as an integer.
        test_fraction: The share of rows to hold out, between 0 and 1.
        seed: Of the order.

    Returns:
        The two parts.

    Raises:
        DataError: No group can be held out.

    Example:
        >>> groups = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
        >>> split = grouped_split(torch.tensor([0, 1] * 4), groups, 0.25, seed=0)
        >>> len(groups[split.test].unique()), len(split.test)
        (1, 2)
    """
    names, group_of = np.unique(groups.numpy(), return_inverse=True)
    classes = int(targets.max()) + 1
    counts = np.zeros((len(names), classes), dtype=np.int64)
    np.add.at(counts, (group_of, targets.numpy()), 1)
    wanted = round(test_fraction * targets.numel())
    left, taken = counts.sum(0), np.zeros(len(names), dtype=bool)
    held_out = 0
    for group in np.random.Generator(np.random.PCG64(seed)).permutation(len(names)):
        rows = int(counts[group].sum())
        if held_out + rows <= wanted and np.all((left - counts[group] > 0) | (counts[group] == 0)):
            left, held_out, taken[group] = left - counts[group], held_out + rows, True
    if not held_out:
        raise DataError(
            f"none of the {len(names)} groups can be held out: each is larger than {wanted} rows or has the only rows "
            "of a class. Split by another column, or give a larger --set data.test_fraction."
        )
    return _split(taken[group_of])


def time_split(moments: pl.Series, test_fraction: float) -> Split:
    """Hold out the newest rows; rows of one moment stay together, in the training part.

    Args:
        moments: When each row was, as numbers.
        test_fraction: The share of rows to hold out, at most.

    Returns:
        The two parts.

    Raises:
        DataError: All rows are of one moment.

    Example:
        >>> time_split(pl.Series([3, 1, 2, 4, 4]), 0.4).test.tolist()
        [3, 4]
    """
    ordered = moments.sort()
    last_trained = ordered[max(len(ordered) - round(test_fraction * len(ordered)) - 1, 0)]
    newest = (moments > last_trained).to_numpy()
    if not newest.any():
        raise DataError(
            f"the newest {test_fraction:.0%} of the rows are of one moment, and so is the row before them: none can be "
            "held out by time. "
            "Give a larger --set data.test_fraction, or split in another way."
        )
    return _split(newest)


def given_split(parts: pl.Series, place: str, expected: str = "train or test") -> Split:
    """The split that a column of the words train and test gives.

    Args:
        parts: One word a row.
        place: What messages call the table.
        expected: What a message says of the words that a row may have.

    Returns:
        The two parts.

    Raises:
        DataError: A row has another word, or a part has no rows.

    Example:
        >>> given_split(pl.Series("part", ["train", "test", "train"]), "t.csv").test.tolist()
        [1]
    """
    words = parts.str.to_lowercase()
    other = ~words.is_in(["train", "test"]).fill_null(value=False)
    if other.any():
        row = int(other.arg_max() or 0)
        raise DataError(
            f'{place}, column "{parts.name}", row {row + 1}: expected {expected}, got "{parts[row] or ""}". '
            "Correct the column that data.split names."
        )
    test = (words == "test").to_numpy()
    if test.all() or not test.any():
        raise DataError(f'{place}, column "{parts.name}": every row is "{parts[0]}". Expected train and test rows.')
    return _split(test)


def _split(test: npt.NDArray[np.bool_]) -> Split:
    return Split(train=torch.from_numpy(np.flatnonzero(~test)), test=torch.from_numpy(np.flatnonzero(test)))
