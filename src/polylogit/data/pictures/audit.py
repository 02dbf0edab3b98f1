"""The audit of picture files: copies, sizes, colour and pictures that show nothing, as findings like those of tables.

See also: `polylogit.data.tables.audit`, the findings of tables.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from PIL import Image

from polylogit.data.pictures.listing import PictureListing
from polylogit.data.pictures.stored import StoredPictures
from polylogit.data.split import Split
from polylogit.data.tables.audit.findings import Audit, AuditFinding
from polylogit.data.tables.audit.labels import audit_labels
from polylogit.plural import counted

__all__ = ["audit_pictures"]

_SIDE_LOOKED_AT = 32
_ROWS_AT_ONCE = 256
_DARK = 10.0
"""A picture whose brightest percentile, of 255, is below this is nearly black."""

_FLAT = 1.0
"""A standard deviation below this, of 255, is one plain colour."""

_RARE_SHARE = 0.05
_LONG = 4.0
_COLOUR = 8
"""The channels of a picture without colour differ by less than this, for compression does not keep grey exactly."""


def audit_pictures(listing: PictureListing, digests: Sequence[str], split: Split, *, look: bool = True) -> Audit:
    """Everything that is odd about labelled picture files.

    Args:
        listing: The files, which can all be read, and their classes.
        digests: SHA-256 of the content of each file.
        split: Training and test pictures.
        look: Whether every picture is decoded, to find odd colours and those that show nothing.

    Returns:
        The audit; its rows are the pictures, and it has no columns.
    """
    names = [listing.name(row) for row in range(len(listing.files))]
    classes = Counter(listing.labels)
    findings = list(audit_labels(pl.Series("class", listing.labels, dtype=pl.String), classes))
    findings = [_of_file(finding, names) for finding in findings]
    findings += _copies(names, listing.labels, digests, split)
    findings += _sizes(names, listing.files)
    if look:
        findings += _contents(names, listing.files)
    else:
        unseen = f"the pixels of {len(names):,} pictures were not looked at, only names, sizes and copies."
        findings.append(AuditFinding("not-looked-at", "note", unseen, "polylogit check looks at them."))
    return Audit(listing.place, len(names), {}, dict(sorted(classes.items())), ()).and_also(findings)


def _of_file(finding: AuditFinding, names: Sequence[str]) -> AuditFinding:
    """A finding about labels with the file where that of a table has a column and a row."""
    return replace(finding, column=None, row=None, file=None if finding.row is None else names[finding.row - 1])


def _copies(
    names: Sequence[str], labels: Sequence[str], digests: Sequence[str], split: Split
) -> Iterator[AuditFinding]:
    rows_of = defaultdict(list)
    for row, digest in enumerate(digests):
        rows_of[digest].append(row)
    sets = [rows for rows in rows_of.values() if len(rows) > 1]
    if not sets:
        return
    contradictory = [rows for rows in sets if len({labels[row] for row in rows}) > 1]
    if contradictory:
        first = contradictory[0]
        other = next(row for row in first if labels[row] != labels[first[0]])
        listed = f"{names[first[0]]} and {names[other]}"
        if names[first[0]] == names[other]:  # a table of file names may list one twice
            listed = f"{names[other]} in rows {first[0] + 1} and {other + 1}"
        yield AuditFinding(
            "contradictory-rows",
            "warning",
            f"the same picture is in several classes, as {listed} ({sum(map(len, contradictory))} pictures).",
            "Keep each in the class that it belongs to.",
            file=names[first[0]],
            value=labels[other],
            count=sum(map(len, contradictory)),
        )
    alike = [rows for rows in sets if rows not in contradictory]
    if alike:
        more = sum(len(rows) - 1 for rows in alike)
        yield AuditFinding(
            "duplicate-rows",
            "note",
            f"{more} of {len(names)} pictures {_are(more)} of another, as {names[alike[0][1]]}.",
            "Remove them, or say with data.group which pictures belong together.",
            file=names[alike[0][0]],
            count=more,
        )
    test = set(split.test.tolist())
    train = set(split.train.tolist())
    across = [rows for rows in sets if train.intersection(rows) and test.intersection(rows)]
    if across:
        shown = next(row for row in across[0] if row in test)
        count = sum(1 for rows in across for row in rows if row in test)
        yield AuditFinding(
            "leakage",
            "warning",
            f"{count} of {len(test)} test pictures {_are(count)} of a training picture; the metrics are optimistic.",
            "Remove the copies.",
            file=names[shown],
            count=count,
        )


def _are(count: int) -> str:
    return "is an exact copy" if count == 1 else "are exact copies"


def _sizes(names: Sequence[str], files: Sequence[Path]) -> Iterator[AuditFinding]:
    """How large the pictures are, and which have a size or a shape that few have; only headers are read."""
    sizes = []
    for file in files:
        with Image.open(file) as image:
            sizes.append(image.size)
    widths, heights = (np.array(side) for side in zip(*sizes, strict=True))
    (usual, of_usual), *others = Counter(sizes).most_common()
    spread = (
        f"all of {usual[0]} x {usual[1]} pixels"
        if not others
        else f"{widths.min()} to {widths.max()} pixels wide (median {np.median(widths):.0f}), {heights.min()} to "
        f"{heights.max()} high (median {np.median(heights):.0f})"
    )
    yield AuditFinding("picture-sizes", "note", f"{counted(len(names), 'picture')}, {spread}.", "")
    if others and of_usual >= (1 - _RARE_SHARE) * len(names):
        yield _odd(
            AuditFinding("odd-size", "note", "of another size", "Are they thumbnails? All are scaled to one size."),
            np.array([size != usual for size in sizes]),
            names,
        )
    long = np.maximum(widths, heights) > _LONG * np.minimum(widths, heights)
    if long.any():
        what = f"more than {_LONG:.0f} times as long as wide; only the middle is seen"
        yield _odd(AuditFinding("long-shape", "warning", what, "Cut out what matters."), long, names)


def _contents(names: Sequence[str], files: Sequence[Path]) -> Iterator[AuditFinding]:
    """Pictures whose colour is not that of the others, or that show nothing; each is decoded, small."""
    colour, dark, plain = [], [], []
    for block in StoredPictures(files, (3, _SIDE_LOOKED_AT, _SIDE_LOOKED_AT)).blocks(_ROWS_AT_ONCE):
        values = block.flatten(2).float()
        colour += ((values.amax(dim=1) - values.amin(dim=1)).amax(dim=1) >= _COLOUR).tolist()
        brightest = values.flatten(1).quantile(0.99, dim=1)
        dark += (brightest < _DARK).tolist()
        plain += ((values.std(dim=2).amax(dim=1) < _FLAT) & (brightest >= _DARK)).tolist()
    with_colour = np.array(colour)
    count = int(with_colour.sum())
    few = _RARE_SHARE * len(names)
    seen = "all in colour" if count == len(names) else f"{count:,} in colour, the others grey" if count else "all grey"
    yield AuditFinding("picture-colours", "note", f"the pictures are {seen}.", "")
    if 0 < count <= few:
        remedy = "All are read in colour for their sake: convert them to grey, unless the colour says something."
        yield _odd(AuditFinding("odd-colour", "warning", "in colour among grey ones", remedy), with_colour, names)
    elif 0 < len(names) - count <= few:
        remedy = "Are they from another source? A model may recognise that."
        yield _odd(AuditFinding("odd-colour", "note", "grey among those in colour", remedy), ~with_colour, names)
    remedy = "Look at them, and remove what shows nothing."
    if any(dark):
        yield _odd(AuditFinding("dark-picture", "warning", "nearly black", remedy), np.array(dark), names)
    if any(plain):
        yield _odd(AuditFinding("plain-picture", "warning", "of one plain colour", remedy), np.array(plain), names)


def _odd(finding: AuditFinding, odd: npt.NDArray[np.bool_], names: Sequence[str]) -> AuditFinding:
    """The finding with how many pictures it is about, and the first of them."""
    count = int(odd.sum())
    message = f"{count:,} of {len(names):,} pictures {'is' if count == 1 else 'are'} {finding.message}."
    return replace(finding, message=message, file=names[int(odd.argmax())], count=count)
