"""Predictions written batch by batch."""

import polars as pl
import pytest
import torch

from polylogit.data.tables import delimited, reading
from polylogit.data.tables.sources import open_source
from polylogit.errors import DataError, RecipeError
from polylogit.run import predict

READ = {".csv": pl.read_csv, ".parquet": pl.read_parquet, ".jsonl": pl.read_ndjson}


@pytest.fixture
def small_batches(monkeypatch):
    """A batch holds 30 rows of the zoo, so that 101 rows make four."""
    for module in (reading, delimited):
        monkeypatch.setattr(module, "CELLS_AT_ONCE", 30 * 17)


@pytest.mark.parametrize("ending", READ)
@pytest.mark.parametrize("source", ["a.csv", "a.parquet", "a.jsonl", "a.arrow"])
def test_what_is_written_is_what_is_predicted(source, ending, zoo_run, tmp_path, small_batches):
    zoo = open_source("zoo").frame.with_columns(pl.exclude("type").cast(pl.Int64))
    {"csv": zoo.write_csv, "parquet": zoo.write_parquet, "jsonl": zoo.write_ndjson, "arrow": zoo.write_ipc}[
        source.split(".")[1]
    ](tmp_path / source)
    out = tmp_path / f"out{ending}"
    told = []
    done = predict(
        zoo_run.model_path, str(tmp_path / source), out, carry=["type"], abstain_below=0.7, on_progress=told.append
    )
    expected = predict(zoo_run.model_path, "zoo", abstain_below=0.7)
    written = READ[ending](out)
    assert written.columns[:2] == ["type", "class"]
    assert written["type"].equals(zoo["type"])
    assert written["class"].equals(expected.frame["class"])
    assert written["class"].null_count() > 0
    probabilities = torch.tensor(written.select(pl.col("^probability_.*$")).to_numpy().copy()).float()
    torch.testing.assert_close(probabilities, zoo_run.classifier.predict_probabilities("zoo"), rtol=1e-6, atol=1e-7)
    assert (done.rows, done.notes) == (101, expected.notes)
    assert told[-1] == 101
    assert len(told) >= (4 if source != "a.jsonl" else 1)


def test_parts_are_predicted_one_after_the_other(zoo_run, tmp_path):
    zoo = open_source("zoo").frame
    (tmp_path / "parts").mkdir()
    zoo[:50].write_csv(tmp_path / "parts" / "1.csv")
    zoo[50:].write_csv(tmp_path / "parts" / "2.csv")
    predict(zoo_run.model_path, str(tmp_path / "parts"), tmp_path / "out.parquet")
    assert pl.read_parquet(tmp_path / "out.parquet")["class"].to_list() == zoo_run.classifier.predict(zoo)


@pytest.mark.parametrize("ending", READ)
def test_a_fault_far_down_names_its_row_and_leaves_nothing(ending, zoo_run, tmp_path, small_batches):
    zoo = open_source("zoo").frame.with_columns(
        legs=pl.when(pl.int_range(101) == 77).then(pl.lit("x")).otherwise("legs")
    )
    zoo.write_csv(tmp_path / "a.csv")
    with pytest.raises(DataError, match=r'a\.csv, column "legs", row 78: expected a number, got "x"'):
        predict(zoo_run.model_path, str(tmp_path / "a.csv"), tmp_path / f"out{ending}")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.parametrize("ending", READ)
def test_an_interrupt_leaves_nothing(ending, zoo_run, tmp_path, small_batches):
    zoo = open_source("zoo").frame
    zoo.write_csv(tmp_path / "a.csv")

    def interrupt(rows):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict(zoo_run.model_path, str(tmp_path / "a.csv"), tmp_path / f"out{ending}", on_progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_in_memory_as_in_a_file(zoo_run, tmp_path, small_batches):
    zoo = open_source("zoo").frame
    (tmp_path / "parts").mkdir()
    zoo[:70].write_csv(tmp_path / "parts" / "1.csv")
    zoo[70:].write_csv(tmp_path / "parts" / "2.csv")
    options = {"carry": ["type", "legs"], "abstain_below": 0.6}
    written = predict(zoo_run.model_path, str(tmp_path / "parts"), tmp_path / "out.parquet", **options)
    returned = predict(zoo_run.model_path, str(tmp_path / "parts"), **options)
    assert (written.frame, written.rows, written.notes) == (None, returned.rows, returned.notes)
    assert returned.frame.equals(pl.read_parquet(tmp_path / "out.parquet"))
    assert returned.frame.columns[:3] == ["type", "legs", "class"]


def test_a_fault_in_a_part_is_named_by_the_part_in_memory_too(zoo_run, tmp_path):
    zoo = open_source("zoo").frame
    (tmp_path / "parts").mkdir()
    zoo[:70].write_csv(tmp_path / "parts" / "1.csv")
    wrong = pl.when(pl.int_range(31) == 4).then(pl.lit("x")).otherwise("legs")
    zoo[70:].with_columns(legs=wrong).write_csv(tmp_path / "parts" / "2.csv")
    with pytest.raises(DataError, match=r'2\.csv, column "legs", row 5: expected a number, got "x"'):
        predict(zoo_run.model_path, str(tmp_path / "parts"))


def test_columns_to_carry_must_be_there_and_free(zoo_run, tmp_path):
    with pytest.raises(DataError, match='--carry names the column "typ", which is not there'):
        predict(zoo_run.model_path, "zoo", tmp_path / "out.csv", carry=["typ"])
    with pytest.raises(RecipeError, match="--carry class: the prediction has a column of that name"):
        predict(zoo_run.model_path, "zoo", tmp_path / "out.csv", carry=["class"])
    assert not list(tmp_path.iterdir())
