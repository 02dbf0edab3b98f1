"""Broken tables: one clear message each, exit status 1, and no file left behind."""

import polars as pl
import pytest

from polylogit.data.tables.reading import read_table, scan_table
from polylogit.errors import DataError

HEADER = "legs,skin,kind\n"
ROWS = "4,fur,mammal\n2,feathers,bird\n" * 10
LONG = "".join(f"{index % 5},text number {index},{'ab'[index % 2]}\n" for index in range(200))

BROKEN = {
    "empty file": ("", "t.csv: the file is empty"),
    "white space only": ("\n \n", "t.csv: the file is empty"),
    "header only": (HEADER, "t.csv: there is a header but no row below it"),
    "no such target": ("legs,skin,kinds\n" + ROWS, 'no column "kind" to take the classes from. Did you mean "kinds"'),
    "target alone": ("kind\na\nb\na\nb\n", "no feature column is left beside the target"),
    "a single class": (HEADER + "4,fur,mammal\n" * 5, 'every row is of the class "mammal"'),
    "every class once": (HEADER + "4,fur,a\n3,fur,b\n", "too few to hold any out"),
    "missing target": (HEADER + ROWS + "4,fur,\n", 'column "kind", row 21: the class is missing (1 of 21 rows)'),
    "infinity": (HEADER + ROWS + "-inf,fur,mammal\n", 'column "legs", row 21: expected a finite number, got -inf'),
    "a huge number": (HEADER + ROWS + "-1e155,fur,mammal\n", 'column "legs", row 21: expected a number up to 1e+100'),
    "text among numbers": (HEADER + ROWS + "four,fur,mammal\n", 'column "legs", row 21: expected a number, got "four"'),
    "a column of gaps": (HEADER + "4,,mammal\n2,,bird\n" * 9, 'column "skin": every value is missing'),
    "free text": (HEADER + LONG, 'column "skin": 200 distinct texts in 200 rows'),
    "a long row": (HEADER + ROWS + "4,fur,mammal,extra\n" + ROWS, "line 22: expected 3 cells as in the header, got 4"),
    "a short row": (HEADER + ROWS + "4,fur\n" + ROWS, "line 22: expected 3 cells as in the header, got 2"),
    "an open quote": (HEADER + ROWS + '4,"fur,mammal\n' + ROWS, "t.csv"),
    "a column twice": ("legs,legs,kind\n" + ROWS, '2 columns are called "legs"'),
    "Latin 1": ((HEADER + ROWS + "4,für,mammal\n").encode("latin-1"), "line 22: byte 0xfc is not UTF-8"),
    "very many columns": (
        ",".join(f"c{place}" for place in range(200_000)) + "\n",
        "200000 columns; at most 100000 are taken",
    ),
    "one endless line": ("a," * (9 * 2**20), "the first line is longer than 16777216 bytes"),
    "a NUL byte": (HEADER + ROWS + "4,f\0r,mammal\n", "line 22: a NUL byte"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_table_is_reported(case, polylogit, tmp_path):
    content, message = BROKEN[case]
    (tmp_path / "t.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    done = polylogit("train", "t.csv", "--target", "kind", "--json")
    assert done.exit_code == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("zop", 'there is no such file or data name. Did you mean "zoo"?'),
        ("animal.csv", 'there is no such file or data name. Did you mean "animals.csv"?'),
        ("folder", "neither tables nor folders of pictures are in this folder"),
        ("animals.docx", "the ending '.docx' is not known"),
    ],
)
def test_data_that_cannot_be_opened_are_reported(data, message, polylogit, tmp_path):
    (tmp_path / "folder").mkdir()
    for name in ("animals.csv", "animals.docx"):
        (tmp_path / name).write_text(HEADER + ROWS)
    done = polylogit("train", data, "--target", "kind")
    assert done.exit_code == 1
    assert message in done.stderr


def test_a_dropped_column_that_is_not_there_is_reported(polylogit):
    done = polylogit("train", "zoo", "--set", 'data.drop=["leg"]')
    assert done.exit_code == 1
    assert 'data.drop names the column "leg", which is not there. Did you mean "legs"?' in done.stderr


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_a_table_of_another_schema_is_reported(command, polylogit, tmp_path, zoo_run):
    (tmp_path / "t.csv").write_text("leg,skin,type\n" + ROWS)
    done = polylogit(command, zoo_run.model_path, "t.csv")
    assert done.exit_code == 1
    assert "16 columns that the model needs are not there: " in done.stderr


def test_one_missing_column_is_named_with_the_nearest(polylogit, tmp_path, zoo_run):
    from polylogit.data.tables.sources import open_source

    open_source("zoo").frame.rename({"legs": "Legs_"}).write_csv(tmp_path / "t.csv")
    done = polylogit("predict", zoo_run.model_path, "t.csv", "--out", "p.csv")
    assert done.exit_code == 1
    assert 'a column that the model needs is not there: "legs". Did you mean "Legs_"?' in done.stderr
    assert not (tmp_path / "p.csv").exists()


def test_a_class_that_the_model_does_not_know_is_named(polylogit, tmp_path, zoo_run):
    from polylogit.data.tables.sources import open_source

    text = open_source("zoo").frame.write_csv().replace("reptile", "dragon", 1)
    (tmp_path / "t.csv").write_text(text)
    done = polylogit("evaluate", zoo_run.model_path, "t.csv")
    assert done.exit_code == 1
    assert 'column "type", row 63: the class "dragon" is none of the 7 classes' in done.stderr


def test_a_number_beyond_single_precision_is_named(polylogit, tmp_path, zoo_run):
    from polylogit.data.tables.sources import open_source

    frame = open_source("zoo").frame
    frame.with_columns(legs=pl.when(pl.int_range(101) == 41).then(pl.lit("1e60")).otherwise("legs")).write_csv("t.csv")
    done = polylogit("predict", zoo_run.model_path, "t.csv", "--out", "p.csv")
    assert done.exit_code == 1
    assert 'column "legs", row 42: expected a number of the magnitude of the training rows, got 1e+60' in done.stderr
    assert not (tmp_path / "p.csv").exists()


@pytest.mark.parametrize(
    ("line", "times"),
    [('{"a": 1, "kind": "x", "a": 2}', 2), ('{"a": 1, "\\u0061": 2, "a": 3}', 3), ('{"kind": "y", "kind": null}', 2)],
)
def test_a_name_twice_in_an_object_is_named(line, times, tmp_path):
    first = '{"a": 1, "kind": "x"}'
    (tmp_path / "t.jsonl").write_text(f"{first}\n\n{line}\n{first}\n")
    (tmp_path / "t.json").write_text(f"[{first}, {line}, {first}]")
    name = "kind" if times == 2 and "null" in line else "a"
    for file, place, read in (
        ("t.jsonl", "line 3", read_table),
        ("t.jsonl", "line 3", lambda path: list(scan_table(path))),
        ("t.json", "row 2", read_table),
    ):
        with pytest.raises(DataError, match=rf'{file}, {place}: the name "{name}" stands there {times} times'):
            read(tmp_path / file)


def test_a_name_that_an_inner_object_has_too_is_no_repeated_name(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"a": {"a": 1}, "kind": "\\"a\\": 1, \\"a\\": 2"}\n')
    assert read_table(tmp_path / "t.jsonl").rows() == [({"a": 1}, '"a": 1, "a": 2')]
