"""Text tables as people have them: each form is read in one piece and in batches, and what was left out is said."""

import gzip

import polars as pl
import pytest

from polylogit.data.tables.dialect import Dialect
from polylogit.data.tables.parts import part_paths
from polylogit.data.tables.reading import read_table, scan_table
from polylogit.errors import DataError

PLAIN = [("1", "2", "p"), ("2", "3", "q")]
READ = {
    "index of pandas": (",a,b,y\n0,1,2,p\n1,2,3,q\n", {}, PLAIN, "row names"),
    "row names of R": ('a\tb\ty\n"x"\t1\t2\tp\n"z"\t2\t3\tq\n', {}, PLAIN, "row names"),
    "counted row names of R": ("a,b,y\n1,1,2,p\n2,2,3,q\n", {}, PLAIN, "row names"),
    "separators at the end": ("a,b,y,\n1,2,p,\n2,3,q,\n", {}, PLAIN, "end in a separator"),
    "two of them": ("a,b,y,,\n1,2,p,,\n2,3,q,,\n", {}, PLAIN, "end in a separator"),
    "in the rows only": ("a,b,y\n1,2,p,\n2,3,q,\n", {}, PLAIN, "end in a separator"),
    "title": ("Sales, 2021\n\na,b,y\n1,2,p\n2,3,q\n", {"skip_lines": 2}, PLAIN, None),
    "comments": ("# c\n# d,e\na,b,y\n1,2,p\n# f\n2,3,q\n", {"comment": "#"}, PLAIN, None),
    "comments and quotes": ('# c\na,b,y\n1,2,"p"\n#"\n2,3,q\n', {"comment": "#"}, PLAIN, None),
    "empty lines above": ("\n,,\na,b,y\n1,2,p\n2,3,q\n", {}, PLAIN, None),
    "spaces at the end": ("a,b,y\n1,2,p\n2,3,q\n   \n", {}, PLAIN, None),
    "spaces and quotes": ('a,b,y\n1,2,"p"\n2,3,q\n   \n', {}, PLAIN, None),
    "empty rows": ("a,b,y\n1,2,p\n,,\n2,3,q\n,,\n", {}, PLAIN, None),
    "totals": ("a,b,y\n1,2,p\n2,3,q\nTotal,5,\n", {"class_column": "y"}, PLAIN, "row of totals"),
    "short line of totals": ("a,b,y\n1,2,p\n2,3,q\nGrand total:,5\n\n", {"class_column": "y"}, PLAIN, "row of totals"),
    "separator line": ("sep=;\na;b;y\n1;2;p\n2;3;q\n", {}, PLAIN, None),
    "no quotation mark opens a cell": (
        'a,b,y\n1,5" pipe,p\n2,3,q\n',
        {},
        [("1", '5" pipe', "p"), ("2", "3", "q")],
        "line 2: quotation marks open no cell",
    ),
    "quotation marks are text": (
        'a,b,y\n1,"2",p\n2,5" pipe,q\n',
        {"quote": "none"},
        [("1", '"2"', "p"), ("2", '5" pipe', "q")],
        None,
    ),
    "spaces before quotation marks": (
        'a, b, "y"\n1, "x, ""y""", p\n2, 3, q\n',
        {},
        [("1", 'x, "y"', "p"), ("2", "3", "q")],
        None,
    ),
    "apostrophes": ("a,b,y\n1,'x, z',p\n2,3,q\n", {"quote": "'"}, [("1", "x, z", "p"), ("2", "3", "q")], None),
    "line break in a cell": ('a,b,y\n1,"x\ny",p\n2,3,q\n', {}, [("1", "x\ny", "p"), ("2", "3", "q")], None),
    "missing markers": (
        "a,b,y\n1,--,p\n2,unknown,q\n",
        {"missing": ("--", "unknown")},
        [("1", None, "p"), ("2", None, "q")],
        None,
    ),
    "old line ends": ("a,b,y\r1,2,p\r2,3,q\r", {}, PLAIN, None),
    "UTF-16 without a mark": ("a,b,y\n1,2,p\n2,3,q\n".encode("utf-16-le"), {}, PLAIN, "UTF-16-LE"),
    "of the other order": ("a,b,y\n1,2,p\n2,3,q\n".encode("utf-16-be"), {}, PLAIN, "UTF-16-BE"),
}  # fmt: skip


def written(folder, content, name="t.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("form", READ)
def test_it_is_read_and_what_was_left_out_is_said(form, tmp_path):
    content, options, rows, note = READ[form]
    path = written(tmp_path, content)
    for read in (read_table, lambda *args: pl.concat(list(scan_table(*args)))):
        notes = []
        frame = read(path, Dialect(**options), notes)
        assert frame.columns == ["a", "b", "y"]
        assert frame.rows() == rows
        assert len(notes) == (note is not None)
        assert note is None or note in notes[0]


REFUSED = {
    "a value without a name": ("a,b,y,\n1,2,p,\n2,3,q,x\n", {}, 'row 2: "x" stands in a column without a name'),
    "a comment before other separators": (
        "# of 2024\nh;c;y\n1,5;a;p\n",
        {},
        "line 1: expected a header of 3 cells .* '# of 2024'.* data.skip_lines=1.* 'data.comment=#'",
    ),
    "a title": ("Sales\n\na,b,y\n1,2,p\n", {}, "line 1: expected a header of 3 cells .* --set data.skip_lines=1"),
    "a title with a separator": ("Sales, 2021\n\na,b,y\n1,2,p\n", {}, "line 3: .* --set data.skip_lines=2"),
    "a quotation mark in a cell": (
        'a,b,y\n1,"x, z",p\n2,5" pipe,q\n3,z,p\n',
        {},
        'line 3: a quotation mark stands within the cell 5" pipe.* --set data.quote=none',
    ),
    "an open quotation mark": (
        'a,b,y\n1,x,p\n2,"5 pipe,q\n3,z,p\n4,z,p\n',
        {},
        "line 3: .* opens on this line closes on line 5 only",
    ),
    "a short row": ("a,b,y\n1,2,p\n2,3\n4,5,q\n", {}, "line 3: expected 3 cells as in the header, got 2"),
    "a comment without the option": ("a,b,y\n1,2,p\n# end\n", {}, "line 3: expected 3 cells"),
    "a name twice": ("a,a,y\n1,2,p\n", {}, '2 columns are called "a"'),
    "no header": ("\n  \n", {}, "the file is empty"),
}


@pytest.mark.parametrize("form", REFUSED)
def test_what_cannot_be_read_names_the_line_and_the_option(form, tmp_path):
    content, options, message = REFUSED[form]
    path = written(tmp_path, content)
    for read in (read_table, lambda *args: list(scan_table(*args))):
        with pytest.raises(DataError, match=message):
            read(path, Dialect(**options))


def test_a_class_may_be_called_total(tmp_path):
    path = written(tmp_path, "kind,n\nTotal,1\nPartial,2\nTotal,\n")
    assert read_table(path, Dialect(class_column="kind")).height == 3


@pytest.mark.parametrize(("last", "class_column"), [("Total,,q", "y"), ("Total,5,", None), ("Total,,", "b")])
def test_a_last_row_with_a_class_or_for_a_prediction_is_kept(tmp_path, last, class_column):
    path = written(tmp_path, f"a,b,y\n1,2,p\n2,,q\n{last}\n")
    kept = last != "Total,,"
    for rows in (read_table(path, Dialect(class_column=class_column)), *scan_table(path, Dialect())):
        assert rows.height == (3 if kept else 2)
        kept = True


def test_missing_values_are_compared_by_their_number_and_unused_ones_are_noted(tmp_path):
    path, notes = written(tmp_path, "a,b\n-999.0,x\n-9.99e2,-099\n1,-999\n"), []
    frame = read_table(path, Dialect(missing=("-999", "-99", "--")), notes)
    assert frame.rows() == [(None, "x"), (None, "-099"), ("1", None)]
    assert [note.split(": ")[1] for note in notes] == [
        f'no cell is "{marker}", which data.missing names.' for marker in ("-99", "--")
    ]


def test_a_column_without_a_name_in_the_middle_gets_one(tmp_path):
    notes = []
    assert read_table(written(tmp_path, "a,,y\n1,2,p\n"), None, notes).columns == ["a", "column 2", "y"]
    assert 'it is called "column 2"' in notes[0]


@pytest.mark.parametrize("name", ["t.txt", "t.tab", "t.txt.gz"])
def test_text_has_other_endings_too(name, tmp_path):
    content = b"a\tb\n1\t2\n"
    path = written(tmp_path, gzip.compress(content) if name.endswith("gz") else content, name)
    assert read_table(path).rows() == [("1", "2")]


def test_a_description_beside_the_parts_is_no_part(tmp_path):
    for name in ("a.csv", "b.csv", "README.txt", "schema.json"):
        written(tmp_path, "a\n1\n", name)
    assert [path.name for path in part_paths(tmp_path)] == ["a.csv", "b.csv"]


def test_json_records_are_read(tmp_path):
    path = written(tmp_path, '[{"a": 1, "y": "p"}, {"a": 2.5}]', "t.json")
    assert read_table(path).rows() == [(1.0, "p"), (2.5, None)]
    assert pl.concat(scan_table(path)).height == 2
    for content, message in (
        ('{"a": {"0": 1}}', "expected one array of objects"),
        ('{"a": 1}\n{"a": 2}\n', "ends in .jsonl"),
        ('[{"a": 1}, {"a": [1]}]', "several types"),
    ):
        with pytest.raises(DataError, match=message):
            read_table(written(tmp_path, content, "t.json"))


def test_markers_reach_numbers_of_typed_files(tmp_path):
    pl.DataFrame({"n": [1, -999], "t": ["x", "--"]}).write_parquet(tmp_path / "t.parquet")
    dialect = Dialect(missing=("-999", "--"))
    assert read_table(tmp_path / "t.parquet", dialect).rows() == [(1, "x"), (None, None)]
    assert pl.concat(scan_table(tmp_path / "t.parquet", dialect)).rows() == [(1, "x"), (None, None)]


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "gbk"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_bytes_that_are_utf8_win_over_the_encoding_that_a_model_records(encoding, mark, tmp_path):
    path, notes = tmp_path / "t.csv", []
    path.write_text(mark + "ort,y\n" + "Köln,p\nZürich,q\n" * 6, encoding="utf-8")
    for frame in (read_table(path, Dialect(encoding=encoding), notes), *scan_table(path, Dialect(encoding=encoding))):
        assert frame.columns == ["ort", "y"]
        assert frame["ort"][:2].to_list() == ["Köln", "Zürich"]
    assert notes == ([] if mark else [f"{path}: read as UTF-8, which its bytes show, and not as {encoding}."])


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("Köln", "cp1252"), ("Москва", "cp1251"), ("联通", "gbk"), ("plain", "cp1252"), ("Ja", "cp037")],
)
def test_text_in_its_encoding_stays_in_it(text, encoding, tmp_path):
    path, notes = tmp_path / "t.csv", []
    path.write_text(f"a,y\n{text},p\n", encoding=encoding)
    assert read_table(path, Dialect(encoding=encoding), notes)["a"].to_list() == [text]
    assert notes == []


@pytest.mark.parametrize("text", ['{"kind": "\\ud800", "v": 1}', '{"\\ud800": "p", "v": 1}'])
def test_half_of_a_surrogate_pair_in_json_lines_is_refused(text, tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text(f'{{"kind": "\\ud83d\\ude00", "v": 2}}\n{text}\n')
    with pytest.raises(DataError, match=r"line 2: \\ud800 is half of a surrogate pair"):
        read_table(path)
    path.write_text('{"kind": "\\ud83d\\ude00"}\n{"kind": "\\\\ud800"}\n')
    assert read_table(path)["kind"].to_list() == ["\U0001f600", "\\ud800"]
