"""The features of text are those of scikit-learn's `TfidfVectorizer`, whatever the text."""

import numpy as np
import polars as pl
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from polylogit.data.tables.text.analyzer import Analyzer
from polylogit.data.tables.text.cells import LONGEST_CELL, plain_cells
from polylogit.data.tables.text.detection import find_analyzer, is_text
from polylogit.data.tables.text.key_table import KeyTable
from polylogit.data.tables.text.tokens import numbered_texts, tokens_of
from polylogit.data.tables.text.vocabulary import Vocabulary, text_blocks
from polylogit.data.tables.text.weighting import weighted_terms
from polylogit.errors import DataError, ModelFileError

WORDS = ["red", "fish", "blue", "BIRD", "naïve", "한국어", "x", "don't", "a_b", "7", "2024", "größe", "🎉", "été"]


def drawn_texts(rows=200, seed=0):
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, random.integers(0, 12))) for _ in range(rows)]


def dense(found, terms):
    rows = np.zeros((len(found.starts) - 1, terms))
    rows[np.repeat(np.arange(len(rows)), np.diff(found.starts)), found.terms] = found.weights
    return rows


@pytest.mark.parametrize(
    ("analyzer", "peer"),
    [
        ("words:1-1", {"ngram_range": (1, 1)}),
        ("words", {"ngram_range": (1, 2)}),
        ("words:2-3", {"ngram_range": (2, 3)}),
        ("characters", {"ngram_range": (3, 5), "analyzer": "char_wb"}),
        ("characters:1-3", {"ngram_range": (1, 3), "analyzer": "char_wb"}),
    ],
)
def test_terms_and_weights_are_those_of_scikit_learn(analyzer, peer):
    texts, others = drawn_texts(), drawn_texts(50, seed=1)
    vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=2, **peer).fit(texts)
    vocabulary = Vocabulary.fit(pl.Series(texts), Analyzer.from_text(analyzer))
    assert sorted(vocabulary.terms) == sorted(vectorizer.vocabulary_)
    order = [vectorizer.vocabulary_[term] for term in vocabulary.terms]
    np.testing.assert_allclose(vocabulary.idf, vectorizer.idf_[order], rtol=1e-6)
    for some in (texts, others):
        expected = vectorizer.transform(some).toarray()[:, order]
        found = weighted_terms(pl.Series(some), vocabulary)
        np.testing.assert_allclose(dense(found, len(vocabulary)), expected, atol=1e-6)


def test_words_are_those_of_the_pattern_whatever_the_characters():
    random = np.random.default_rng(0)
    characters = [*"abZ09_ -.,;¶\n\t\0", "é", "한", "字", "“", "🎉", "٣", "²"]
    cells = ["".join(random.choice(characters, random.integers(0, 30))) for _ in range(500)]
    found = tokens_of(pl.Series(["", *cells]), Analyzer.from_text("words"))
    words = pl.Series(["", *cells]).str.extract_all(r"\w\w+").to_list()
    expected = [(row, word) for row, some in enumerate(words) for word in some]
    assert list(zip(found.rows.tolist(), found.texts.to_list(), strict=True)) == expected


def test_texts_are_numbered_alike_in_all_parts():
    parts = [pl.Series(["b", "a", "b"]), pl.Series([], dtype=pl.String), pl.Series(["c", "a"])]
    distinct, numbers = numbered_texts(parts)
    assert [distinct.gather(some).to_list() for some in numbers] == [part.to_list() for part in parts]
    assert distinct.n_unique() == len(distinct) == 3
    assert numbered_texts([])[0].to_list() == []


@pytest.mark.parametrize("largest", [50, 10**12])
def test_the_place_of_a_key_is_found_among_small_and_large_ones(largest):
    keys = np.unique(np.random.default_rng(0).integers(0, largest, 40))[::-1].copy()
    others = np.setdiff1d(np.arange(500), keys)
    table = KeyTable(keys)
    assert table.places(keys).tolist() == list(range(len(keys)))
    assert set(table.places(others)) == {-1}
    assert table.places(np.concatenate([others, keys]))[len(others) :].tolist() == list(range(len(keys)))
    assert set(KeyTable(keys[:0]).places(others)) == {-1}


def test_cells_in_blocks_are_the_cells_together():
    cells = pl.Series([*drawn_texts(300), "red fish " * 400_000, *drawn_texts(300, seed=1)])
    assert len(list(text_blocks(cells))) > 1
    vocabulary = Vocabulary.fit(cells, Analyzer.from_text("words"))
    together = weighted_terms(cells, vocabulary)
    for start in (0, 299, 300, 301):
        alone = weighted_terms(cells.slice(start, 1), vocabulary)
        some = slice(together.starts[start], together.starts[start + 1])
        assert alone.terms.tolist() == together.terms[some].tolist()
        assert alone.weights.tolist() == together.weights[some].tolist()


def test_of_too_many_terms_those_in_the_most_rows_are_taken():
    cells = pl.Series(["common rare"] * 2 + ["common often"] * 3)
    assert Vocabulary.fit(cells, Analyzer.from_text("words:1-1"), most_terms=2).terms.to_list() == ["common", "often"]


def test_a_word_in_one_row_is_a_term_only_where_rows_have_nothing_in_common():
    assert Vocabulary.fit(pl.Series(["red fish", "big bird"]), Analyzer("words", 1, 1)).terms.to_list() == [
        *("big", "bird", "fish", "red")
    ]


def test_cells_without_a_word_are_refused_together_and_have_no_term_among_others():
    with pytest.raises(DataError, match="no words that could be terms were found in 2 cells"):
        Vocabulary.fit(pl.Series(["? !", ""]), Analyzer.from_text("words"))
    vocabulary = Vocabulary.fit(pl.Series(["red fish", "red", None, ""]), Analyzer.from_text("words"))
    found = weighted_terms(pl.Series([None, "", "?!", "green"]), vocabulary)
    assert found.starts.tolist() == [0, 0, 0, 0, 0]
    assert (found.words, found.unknown) == (1, 1)


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("<p class='a'>Fish &amp; Chips</p>", " fish & chips "),
        ("&#39;caf&eacute;&#x1F389;", "'café🎉"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("ＦＵＬＬ", "full"),
        ("cafe\u0301", "café"),
        ("ÉTÉ 한국", "été 한국"),
        ("AT&T; &nosuch;", "at&t; &nosuch;"),
    ],
)
def test_only_the_way_of_writing_is_taken_away(written, plain):
    assert plain_cells(pl.Series([written, "other"])).to_list() == [plain, "other"]


def test_a_very_long_cell_is_cut():
    assert plain_cells(pl.Series(["é" * (LONGEST_CELL + 5), "b"])).str.len_chars().to_list() == [LONGEST_CELL, 1]


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        (["the film had a good start and a poor end"], True),
        (["배송이 빠르고 포장이 깔끔해서 좋았어요"], True),
        (["这家餐厅的菜很好吃，下次还会再来"], True),
        (["Braund, Mr. Owen Harris"], True),
        (["AB-1002"], False),
        (["john.smith@example.com"], False),
        (["3f2504e0-4f89-11d3-9a0c-0305e82c3301"], False),
        (["A/5 21171"], False),
    ],
)
def test_text_differs_from_identifiers(cells, found):
    assert is_text(pl.Series(cells), 1.0) is found


def test_languages_without_spaces_and_short_cells_are_cut_into_characters():
    assert str(find_analyzer(pl.Series(["这家餐厅的菜很好吃", "とても美味しいです"]))) == "characters:1-3"
    assert str(find_analyzer(pl.Series(["배송이 빠르고 포장이 깔끔해서 좋았어요"]))) == "words:1-2"
    assert str(find_analyzer(pl.Series(["Jon Smyth", "J Smith"]))) == "characters:3-5"


@pytest.mark.parametrize("text", ["letters", "words:", "words:2-1", "words:1-4", "characters:0-2", "characters:3-9"])
def test_an_analyzer_that_there_is_not_is_refused(text):
    with pytest.raises(ValueError, match="expected"):
        Analyzer.from_text(text)


def test_a_vocabulary_comes_back_from_its_tensors_or_is_refused():
    analyzer = Analyzer.from_text("words")
    vocabulary = Vocabulary.fit(pl.Series(drawn_texts()), analyzer)
    tensors = vocabulary.tensors()
    again = Vocabulary.from_tensors(analyzer, len(vocabulary), **tensors)
    assert again.terms.to_list() == vocabulary.terms.to_list()
    assert again.idf.tolist() == vocabulary.idf.tolist()
    with pytest.raises(ModelFileError, match="expected 2 distinct terms"):
        Vocabulary.from_tensors(analyzer, 2, tensors["terms"], tensors["idf"][:2])
    with pytest.raises(ModelFileError, match="must be positive"):
        Vocabulary.from_tensors(analyzer, len(vocabulary), tensors["terms"], -tensors["idf"])
    with pytest.raises(ModelFileError, match="the terms of a vocabulary"):
        Vocabulary.from_tensors(analyzer, len(vocabulary), tensors["terms"] | 0x80, tensors["idf"])
    with pytest.raises(ModelFileError, match="expected terms of 2 to 2 words"):
        Vocabulary.from_tensors(Analyzer("words", 2, 2), len(vocabulary), **tensors)
