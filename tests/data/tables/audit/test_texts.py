"""The audit rule for texts that nearly repeat others."""

import numpy as np
import polars as pl
import pytest

from polylogit.data.tables.audit import audit_table
from polylogit.data.tables.audit.texts import audit_texts, near_copies


def words(rows, seed=0, each=20, of=2000):
    """Rows of random words, hardly any of which two rows have in common."""
    draw = np.random.default_rng(seed)
    return [" ".join(f"word{number}" for number in row) for row in draw.integers(of, size=(rows, each))]


def exact_pairs(texts):
    """For each text the numbers of the earlier ones with at least 80 % of the words in common, by comparing all."""
    sets = [set(text.lower().split()) for text in texts]
    return {
        later: {earlier for earlier in range(later) if len(one & sets[earlier]) >= 0.8 * len(one | sets[earlier])}
        for later, one in enumerate(sets)
    }


def test_it_finds_what_a_comparison_of_all_pairs_finds():
    draw = np.random.default_rng(1)
    texts = words(300)
    for _ in range(100):  # copies with some words changed, of earlier rows
        copy = texts[draw.integers(300)].split()
        for place in draw.choice(len(copy), draw.integers(5), replace=False):
            copy[place] = f"other{draw.integers(1000)}"
        texts.append(" ".join(copy))
    expected = {later: earlier for later, earlier in exact_pairs(texts).items() if earlier}
    later, earlier = near_copies(pl.Series(texts))
    found = dict(zip(later.tolist(), earlier.tolist(), strict=True))
    assert all(found[row] in expected[row] for row in found)
    assert len(found) >= 0.9 * len(expected) > 50


@pytest.mark.parametrize(
    "copy", ["THE  <b>Cat</b> sat, on the big mat!", "the cat sat on the big mat &amp;", "mat big the on sat cat the"]
)
def test_case_markup_marks_and_order_do_not_count(copy):
    assert near_copies(pl.Series(["the cat sat on the big mat", "nothing of it", copy]))[0].tolist() == [2]


def test_short_texts_and_gaps_are_no_copies():
    assert len(near_copies(pl.Series(["yes please", None, "yes please", None, ""]))[0]) == 0
    assert list(audit_texts(pl.Series([None, None], dtype=pl.String), None)) == []


def test_the_audit_names_rows_counts_and_classes():
    texts = words(40)
    texts += [texts[3] + " more", texts[5].upper()]
    labels = ["up", "down"] * 20 + ["down", "up"]  # row 4 is "down", row 6 is "down"
    frame = pl.DataFrame({"text": texts, "kind": labels})
    findings = audit_table(frame, target="kind").audit.findings
    (found,) = [finding for finding in findings if finding.code == "near-duplicate-texts"]
    assert (found.column, found.row, found.count, found.severity) == ("text", 41, 2, "note")
    assert "row 41 does that of row 4; 1 of them is of another class, as rows 6 and 42 are" in found.message


def test_a_long_column_is_compared_in_evenly_spaced_rows():
    cells = pl.Series("text", words(120_000, each=6, of=50_000))
    assert list(audit_texts(cells, None)) == []
    same = pl.Series("text", ["the same words in every one of the rows"] * 120_000)
    (found,) = audit_texts(same, None)
    assert found.count == 39_999
    assert "(40,000 rows were compared)" in found.message
