"""Tables that are kept in mapped files give the model, the audit and the figures of tables in memory, bit by bit."""

import shutil
import signal
from collections import namedtuple
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from polylogit.data.tables.column_types import Reading, asked_reading
from polylogit.data.tables.columns import read_columns
from polylogit.data.tables.encoder import TableEncoder
from polylogit.data.tables.feature_matrix import aligned_zeros, taken_rows
from polylogit.data.tables.stored_frame import stored_frame
from polylogit.data.tables.type_inference import find_readings
from polylogit.errors import DataError
from polylogit.fitting.callbacks import TrainingCallback
from polylogit.recipes import recipe_from_entries
from polylogit.run import table_memory
from polylogit.run.checking import check
from polylogit.run.evaluation import evaluate
from polylogit.run.table_memory import is_kept_in_files
from polylogit.run.table_task import table_task
from polylogit.run.training import train
from polylogit.system.mapped_file import is_mapped

ROWS = 900


@pytest.fixture(scope="module")
def table():
    draw = np.random.default_rng(0)
    values = draw.normal(size=(ROWS, 3)).astype(np.float32)
    kind = np.where(values[:, 0] + draw.normal(size=ROWS) > 0, "a", np.where(values[:, 1] > 0, "b", "c"))
    return pl.DataFrame(
        {
            "near": values[:, 0],
            "far": values[:, 1].astype(np.float64),
            "gaps": [None if row % 11 == 0 else float(number) for row, number in enumerate(values[:, 2])],
            "count": draw.integers(0, 50, ROWS),
            "skin": [("fur", "scales", None)[place] for place in draw.integers(0, 3, ROWS)],
            "seen": [f"2024-0{1 + row % 9}-1{row % 7}" for row in range(ROWS)],
            "weight": draw.uniform(0, 2, ROWS),
            "kind": kind.tolist(),
        }
    )


@pytest.fixture
def files(table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POLYLOGIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("polylogit.data.tables.stored_frame.BYTES_OF_A_BLOCK", 8000)  # so that there are many blocks
    table.write_parquet("t.parquet", row_group_size=250)
    table.write_csv("t.csv")
    Path("parts").mkdir()
    table.head(300).write_parquet("parts/1.parquet")
    table.tail(ROWS - 300).with_columns(pl.col("count").cast(pl.Float64)).write_parquet("parts/2.parquet")
    return tmp_path


def recipe_of(kind, where, **data):
    entries = {"model": {"kind": kind}, "data": {"target": "kind", "in_memory": where} | data}
    if kind == "mlp":
        entries["training"] = {"epochs": 2}
    if kind == "linear":
        entries["training"] = {"C": 1.0}
    return recipe_from_entries(entries)


CASES = [
    ("t.parquet", "linear", {}),
    ("t.csv", "linear", {"weight": "weight", "missing": ["fur"]}),
    ("parts", "linear", {"drop": ["weight"]}),
    ("t.parquet", "mlp", {"columns": {"skin": "text"}}),
    ("t.csv", "mlp", {}),
    ("t.parquet", "linear", {"columns": {"skin": "text", "seen": "category"}}),
    ("parts", "additive", {}),
    ("t.csv", "linear", {"columns": {"near": "category"}, "most_levels": 400, "drop": ["far", "gaps"]}),  # mostly zero
]


@pytest.mark.parametrize(("data", "kind", "options"), CASES)
def test_the_run_is_the_same_as_in_memory(data, kind, options, files):
    runs = [
        train(data, recipe_of(kind, where, **options), out=Path(f"{where}.safetensors"), report=Path(f"{where}.json"))
        for where in ("always", "never")
    ]
    in_memory, stored = (run.classifier.network.state_dict() for run in runs)
    assert in_memory.keys() == stored.keys()
    assert all(torch.equal(value, stored[name]) for name, value in in_memory.items())
    assert runs[0].audit == runs[1].audit
    assert runs[0].classifier.preprocessing.as_json() == runs[1].classifier.preprocessing.as_json()
    assert runs[0].test.as_json() == runs[1].test.as_json()
    assert [note for note in runs[1].notes if note not in runs[0].notes] == [runs[1].notes[0]]
    assert str(files / "cache") in runs[1].notes[0]
    assert not list((files / "cache").iterdir())


def test_a_run_that_was_cut_in_memory_is_resumed_in_files(files):
    class Interrupt(TrainingCallback):
        def epoch_done(self, record):
            if record.epoch == 1:
                signal.raise_signal(signal.SIGINT)

    assert not train("t.csv", recipe_of("mlp", "always"), out=Path("cut.safetensors"), callbacks=[Interrupt()]).whole
    resumed = train("t.csv", recipe_of("mlp", "never"), out=Path("cut.safetensors"), resume=True)
    whole = train("t.csv", recipe_of("mlp", "always"), out=Path("whole.safetensors"))
    expected = whole.classifier.network.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in resumed.classifier.network.state_dict().items())


def test_cells_and_features_lie_in_files(files):
    for where, expected in (("always", False), ("never", True)):
        task = table_task("t.parquet", recipe_of("linear", where))[1]
        assert is_mapped(task.rows.inputs) == is_mapped(task.rows.take(torch.arange(5)).inputs) == expected
        assert task.stored == expected
    assert task.raw(torch.tensor([3, 1])).equals(task.cells[[3, 1]])


@pytest.mark.parametrize("kind", ["text", "category"])
def test_sparse_features_lie_in_files(kind, files, table, monkeypatch):
    """Encoded in blocks of 100 rows into files, and in one block in memory."""
    monkeypatch.setattr("polylogit.data.tables.sparse_features.MANY_LEVELS", 5)
    names = ["seen"] if kind == "category" else ["seen", "near", "gaps", "skin"]
    cells = table.select(names).with_columns(pl.col("seen").str.replace_all("-", " "))
    readings = find_readings(
        cells, {"seen": Reading("category") if kind == "category" else asked_reading("text:words")}
    )
    read = read_columns(cells, readings)
    rows = torch.arange(0, ROWS, 2)
    in_memory = TableEncoder.fit_encode_read(read, readings, rows)[1]
    monkeypatch.setattr("polylogit.data.tables.encoder._SPARSE_ROWS_AT_ONCE", 100)
    done = []
    encoder, stored = TableEncoder.fit_encode_read(read, readings, rows, mapped=True, on_rows=done.append)
    assert encoder.is_sparse
    assert done == [100] * 9
    assert is_mapped(stored.values)
    assert is_mapped(stored.columns)
    for part in ("starts", "columns", "values"):
        assert torch.equal(getattr(stored, part), getattr(in_memory, part))
    unseen = encoder.encode_counting(cells.with_columns(pl.lit("2031 05 05").alias("seen")))[1]
    assert unseen.rows == ROWS
    assert unseen.unseen == {"seen": ROWS} or unseen.unknown_words == {"seen": ROWS}
    assert not list((files / "cache").iterdir())


def test_a_second_table_and_a_check(files):
    found = []
    for where in ("always", "never"):
        recipe = recipe_of("linear", where, test="t.csv")
        found.append((table_task("t.parquet", recipe)[1].rows.inputs, check("t.parquet", recipe)))
    assert torch.equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]


def test_a_wrong_cell_in_a_late_block_is_named_as_in_memory(files, table):
    cells = table["count"].cast(pl.String).to_list()
    cells[-2] = "many"
    table.with_columns(pl.Series("count", cells)).write_csv("wrong.csv")
    messages = []
    for where in ("always", "never"):
        with pytest.raises(DataError, match=f'row {ROWS - 1}: .*expected a number, got "many"') as caught:
            table_task("wrong.csv", recipe_of("linear", where))
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert not list((files / "cache").iterdir())


def test_a_note_comes_before_the_rows_are_read_and_encoded(files):
    class Steps(TrainingCallback):
        def __init__(self):
            self.calls = []

        def noted(self, note):
            self.calls.append(note)

        def rows_done(self, step, done, total):
            self.calls.append((step, done, total))

    steps = Steps()
    run = train("t.parquet", recipe_of("linear", "never"), out=Path("m.safetensors"), callbacks=[steps])
    assert steps.calls[0] == run.notes[0]
    reading = [done for step, done, total in steps.calls[1:] if step == "reading" and total == ROWS]
    encoding = [done for step, done, total in steps.calls[1:] if step == "encoding" and total == ROWS]
    assert len(reading) + len(encoding) == len(steps.calls) - 1
    assert len(reading) > 2  # block by block
    for done in (reading, encoding):
        assert (done[0], done[-1]) == (0, ROWS)
        assert done == sorted(done)


@pytest.mark.parametrize("data", ["t.parquet", "t.csv", "new.parquet"])
def test_an_evaluation_is_the_same_as_in_memory(data, files, table):
    table.with_columns(pl.col("near") + 0.5).write_parquet("new.parquet", row_group_size=250)
    train("t.parquet", recipe_of("linear", "always"), out=Path("m.safetensors"))
    runs = [
        evaluate(Path("m.safetensors"), data, report=Path("r.json"), settings=[f"data.in_memory={where}"])
        for where in ("always", "never")
    ]
    assert runs[0].test.as_json() == runs[1].test.as_json()
    assert runs[1].notes[0].startswith("the table is read from files")
    assert runs[1].notes[1:] == runs[0].notes
    assert not list((files / "cache").iterdir())


def test_row_groups_that_take_much_of_the_free_memory_are_a_warning(files, table, monkeypatch):
    table.write_parquet("small_groups.parquet", row_group_size=50)
    monkeypatch.setattr(table_memory, "available_memory", lambda _: 4 * 20_000)
    for data, expected in (("small_groups.parquet", 0), ("t.parquet", 1), ("parts", 2), ("t.csv", 0)):
        for where in ("always", "never"):
            audit = check(data, recipe_of("linear", where))
            found = [finding for finding in audit.findings if finding.code == "large-row-group"]
            assert [finding.severity for finding in found] == ["warning"] * expected


def test_the_free_memory_decides(files, monkeypatch):
    assert not is_kept_in_files(["t.parquet"], "auto")
    for free, expected in ((10**9, False), (10**5, True), (None, False)):
        monkeypatch.setattr(table_memory, "available_memory", lambda _, free=free: free)
        for data in ("t.parquet", "t.csv", "parts"):
            assert is_kept_in_files([data], "auto") == expected
    assert not is_kept_in_files(["t.parquet"], "always")


def test_a_full_disk_is_one_message(files, monkeypatch):
    usage = namedtuple("usage", "total used free")(2**30, 2**30, 2**10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DataError, match=r"needs .*KiB, and 1.0 KiB are free on its disk.*POLYLOGIT_CACHE"):
        table_task("t.parquet", recipe_of("linear", "never"))


def test_a_folder_that_cannot_be_written_to(files, monkeypatch):
    (files / "cache").write_text("no folder")
    with pytest.raises(DataError, match="POLYLOGIT_CACHE"):
        table_task("t.parquet", recipe_of("linear", "never"))


def test_blocks_with_their_own_levels_and_types():
    blocks = [
        pl.DataFrame({"skin": pl.Series(names, dtype=pl.Categorical), "hours": pl.Series(hours, dtype=pl.Duration)})
        for names, hours in ((["fur", None], [1, 2]), (["scales", "fur"], [None, 3]), ([], []))
    ]
    whole = pl.concat(blocks)
    assert stored_frame(iter(blocks)).equals(whole)
    assert stored_frame(iter(blocks)).schema == whole.schema


def test_taken_rows_are_in_a_file_of_their_own(monkeypatch, tmp_path):
    monkeypatch.setenv("POLYLOGIT_CACHE", str(tmp_path))
    features = aligned_zeros(20_000, 3, mapped=True)
    features[:] = torch.arange(60_000.0).view(20_000, 3)
    rows = torch.randperm(20_000, generator=torch.Generator().manual_seed(0))
    taken = taken_rows(features, rows)
    assert is_mapped(taken)
    assert torch.equal(taken, features.clone()[rows])
    taken += 1
    assert features[0, 0] == 0
