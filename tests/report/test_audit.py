"""`polylogit check`: what it prints, and how it ends."""

import json

ROWS = "4,fur,mammal\n2,feathers,bird\n3,fur,mammal\n0,scales,fish\n" * 8


def test_every_finding_is_printed_the_worst_first(polylogit, tmp_path):
    (tmp_path / "t.csv").write_text("legs,skin,kind\n" + ROWS + "four,fur,Mammal\n")
    done = polylogit("check", "t.csv", "--target", "kind")
    assert done.exit_code == 1
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert lines[0] == "t.csv: 33 rows, 2 feature columns (1 number, 1 category)"
    assert lines[1] == "4 classes: Mammal 1, bird 8, fish 8, mammal 16"
    assert lines.index("error mixed-types") < lines.index("warning near-duplicate-names")
    assert 'column "legs", row 33: expected a number, got "four".' in done.stdout
    assert lines[-1].startswith("1 error, ")


def test_a_sound_table_ends_well(polylogit):
    done = polylogit("check", "zoo")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1].strip() == "1 note"


def test_json_is_one_object(polylogit, tmp_path):
    (tmp_path / "t.csv").write_text("legs,skin,kind\n" + ROWS)
    done = polylogit("check", "t.csv", "--json")
    assert done.exit_code == 0
    report = json.loads(done.stdout)
    assert report["columns"] == {"legs": "number", "skin": "category", "kind": "category"}
    assert report["errors"] == 0
    assert {finding["code"] for finding in report["findings"]} == {"duplicate-rows"}


def test_training_reports_warnings_and_stops_on_errors_only(polylogit, tmp_path):
    (tmp_path / "t.csv").write_text("legs,kind,same\n" + "4,mammal,x\n2,bird,x\n" * 20)
    done = polylogit("train", "t.csv", "--target", "kind", "--json")
    assert done.exit_code == 0
    assert 'warning: column "same", row 1: every row has the value x; it teaches nothing.' in done.stderr
    assert len(json.loads(done.stdout)["warnings"]) == done.stderr.count("warning: ")
