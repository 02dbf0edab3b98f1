"""Files and surroundings at fault: one message and exit status 1 or 2 for each, without a traceback or noise."""

import json
import os
import resource
import subprocess
import sys
from datetime import date
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest

from polylogit.data.tables.sources import open_source
from polylogit.system.out_of_memory import address_space_left, is_out_of_memory
from polylogit.system.quiet_panics import quiet_panics

LONG = "n" * 300
FIXTURES = Path(__file__).parents[1] / "fixtures" / "models_0_1"
MODEL_0_1, TABLE_0_1 = FIXTURES / "mixed_mlp.safetensors", FIXTURES / "mixed.csv"
ROWS = pl.DataFrame({"x": [1, 2, 3, 4] * 10, "kind": ["a", "b"] * 20})


def one_message(done, *words, status=1):
    assert done.exit_code == status
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["train", f"{LONG}.csv", "--target", "t"],
        ["check", f"{LONG}.csv"],
        ["init", f"{LONG}.csv", "--target", "t"],
        ["predict", f"{LONG}.safetensors", "zoo"],
        ["predict", "MODEL", f"{LONG}.csv"],
        ["predict", "MODEL", "zoo", "--out", f"{LONG}.csv"],
        ["evaluate", "MODEL", "zoo", "--report", f"{LONG}.html"],
        ["train", "zoo", "--out", f"{LONG}.safetensors"],
        ["train", "zoo", "--test", f"{LONG}.csv"],
        ["card", "MODEL", "--out", f"{LONG}.md"],
    ],
)
def test_a_name_that_is_too_long_is_shown_in_short(words, polylogit, tmp_path, zoo_run):
    done = polylogit(*(zoo_run.model_path if word == "MODEL" else word for word in words))
    assert done.exit_code == 1
    assert "File name too long" in done.stderr.splitlines()[-1]
    assert LONG not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet", "t.arrow", "t.jsonl"])
def test_a_pipe_or_a_device_is_no_table(name, polylogit, tmp_path, zoo_run):
    os.mkfifo(tmp_path / name)
    (tmp_path / f"device_{name}").symlink_to("/dev/zero")
    for path in (name, f"device_{name}"):
        one_message(polylogit("check", path), f"{path}: cannot be read (a pipe or a device")
        one_message(polylogit("predict", zoo_run.model_path, path), "a pipe or a device")


def test_a_pipe_is_no_model_no_recipe_and_no_report(polylogit, tmp_path, zoo_run):
    for name in ("m.safetensors", "r.toml", "r.json"):
        os.mkfifo(tmp_path / name)
    one_message(polylogit("predict", "m.safetensors", "zoo"), "a pipe or a device")
    one_message(polylogit("train", "zoo", "--recipe", "r.toml"), "a pipe or a device", status=2)
    one_message(polylogit("card", zoo_run.model_path, "--report", "r.json"), "a pipe or a device")


@pytest.mark.parametrize("kind", [pl.Date, *(pl.Datetime(unit) for unit in ("ms", "us", "ns"))], ids=str)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_date_that_no_calendar_has_is_named(kind, sign, polylogit, tmp_path):
    largest = sign * (2**31 - 1 if kind == pl.Date else 2**63 - 1)
    moments = pl.Series([0, 0, largest, 0] * 10, dtype=pl.Int32 if kind == pl.Date else pl.Int64).cast(kind)
    if kind == pl.Datetime("ns"):
        moments = pl.Series([date(2000, 1, 1)] * 40)  # the years of nanoseconds end at 2262
    frame = ROWS.with_columns(day=moments)
    frame.write_parquet(tmp_path / "t.parquet")
    frame.write_ipc(tmp_path / "t.arrow")
    for name in ("t.parquet", "t.arrow"):
        done = polylogit("check", name, "--target", "kind")
        if kind == pl.Datetime("ns"):
            assert done.exit_code == 0
        else:
            one_message(done, f'{name}, column "day", row 3: a date outside the years 1 to 9999')


def test_a_panic_of_the_reader_is_one_message(tmp_path):
    table = pa.table([[1, 2], [3, 4]], names=["x", "x"])
    with pa.OSFile(str(tmp_path / "t.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    done = subprocess.run(
        [sys.executable, "-m", "polylogit", "check", "t.arrow"],
        cwd=tmp_path,
        env=os.environ | {"RUST_BACKTRACE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "error: t.arrow: cannot be read as Arrow (its content is damaged, or two columns have the same name). "
        "Is the file whole, and is its ending the right one?\n"
    )


def test_what_others_write_while_panics_are_held_back_is_passed_on(capfd):
    with quiet_panics(), quiet_panics():
        os.write(2, b"before\n\nthread 'x' (1) panicked at crates/a.rs:1:2:\nreason\n")
    with quiet_panics():
        os.write(2, b"other\n")
    assert capfd.readouterr().err == "before\nother\n"


@pytest.mark.parametrize("ending", ["parquet", "arrow", "jsonl", "csv"])
def test_a_column_named_twice_is_an_error(ending, polylogit, tmp_path):
    path = tmp_path / f"t.{ending}"
    table = pa.table([[1, 2], [3, 4], ["a", "b"]], names=["x", "x", "kind"])
    match ending:
        case "parquet":
            pyarrow.parquet.write_table(table, path)
        case "arrow":
            with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
                writer.write_table(table)
        case "jsonl":
            path.write_text('{"x": 1, "x": 2, "kind": "a"}\n' * 4)
        case _:
            path.write_text("x,x,kind\n1,2,a\n")
    done = polylogit("train", path.name, "--target", "kind")
    assert done.exit_code == 1
    assert "error: " in done.stderr


def test_surrogates_in_names_are_shown_as_escapes(polylogit, tmp_path):
    rows = [{"\ud800": index % 5, "kind": "\udfff" if index % 2 else "b"} for index in range(40)]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    done = polylogit("train", "t.jsonl", "--target", "kind")
    one_message(done, "t.jsonl, line 1: \\ud800 is half of a surrogate pair")
    done = polylogit("train", "zoo", "--set", 'data.classes=["mammal", "\udc80"]')
    assert done.exit_code == 2
    assert "\\udc80" in done.stderr


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_a_full_disk_is_reported(ending, polylogit, tmp_path, zoo_run):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        done = polylogit("predict", zoo_run.model_path, "zoo", "--out", f"p{ending}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    one_message(done, f"p{ending}: cannot be written", "File too large")
    assert not list(tmp_path.iterdir())


CARRIED = {
    "list": [[1], [2]],
    "struct": [{"a": 1}, {"a": 2}],
    "bytes": [b"a", b"b"],
    "duration": pl.Series([1, 2], dtype=pl.Duration("us")),
}


@pytest.mark.parametrize("name", CARRIED)
def test_a_column_that_text_has_no_form_for_is_not_carried(name, polylogit, tmp_path, zoo_run):
    open_source("zoo").frame.head(2).with_columns(pl.Series(name, CARRIED[name])).write_parquet(tmp_path / "t.parquet")
    words = ["predict", zoo_run.model_path, "t.parquet", "--carry", name, "--allow-unseen"]
    for out in ((), ("--out", "p.csv")):
        done = polylogit(*words, *out)
        assert done.exit_code == 1
        assert f"--carry {name}: values of type" in done.stderr
    assert polylogit(*words, "--out", "p.parquet").exit_code == 0


@pytest.mark.parametrize("option", ["group", "split", "time", "weight", "target"])
@pytest.mark.parametrize("values", [[b"a", b"b"], [[1], [2]], pl.Series([1, 2], dtype=pl.Duration("us"))], ids=str)
def test_a_column_of_another_type_gives_an_answer_or_a_message(option, values, polylogit, tmp_path):
    column = pl.Series("c", values)
    ROWS.with_columns(pl.concat([column] * 20)).write_parquet(tmp_path / "t.parquet")
    target = [] if option == "target" else ["--target", "kind"]
    done = polylogit("train", "t.parquet", *target, "--set", f"data.{option}=c")
    assert done.exit_code in {0, 1}
    assert ("error: " in done.stderr) is (done.exit_code == 1)


@pytest.mark.parametrize("left", [1000, 2**30])
def test_a_table_that_a_limit_leaves_no_memory_for_says_so(left, polylogit, monkeypatch):
    monkeypatch.setattr("polylogit.data.tables.reading.address_space_left", lambda: left)
    one_message(polylogit("check", "zoo"), "there is not enough memory")
    predicted = polylogit("predict", str(MODEL_0_1), str(TABLE_0_1), "--out", "p.csv")
    assert predicted.exit_code == 1
    assert "there is not enough memory" in predicted.stderr.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("gigabytes", [1.0, 3.6, 3.8, 4.0, 4.2, 4.6, 5.2, 6.0])
def test_under_any_limit_on_addresses_a_command_ends_by_itself(gigabytes, tmp_path):
    pl.DataFrame({"a": range(200_000), "kind": ["x", "y"] * 100_000}).write_parquet(tmp_path / "t.parquet")
    command = f"ulimit -v {int(gigabytes * 10**6)}; exec '{sys.executable}' -m polylogit check t.parquet --target kind"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode in {0, 1}, done.stderr
    if done.returncode:
        assert "there is not enough memory" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "fault",
    [
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        OSError(12, "Cannot allocate memory"),
        MemoryError(),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_every_form_of_too_little_memory_is_one_message(fault, polylogit, monkeypatch):
    def short(*_, **__):
        raise fault

    assert is_out_of_memory(fault)
    monkeypatch.setattr("polylogit.run.checking.opened_table", short)
    one_message(polylogit("check", "zoo"), "there is not enough memory")


def test_the_limit_on_addresses_is_read():
    resource_limits = resource.getrlimit(resource.RLIMIT_AS)
    assert address_space_left() is None
    resource.setrlimit(resource.RLIMIT_AS, (2**46, resource_limits[1]))
    try:
        assert 0 < address_space_left() < 2**46
    finally:
        resource.setrlimit(resource.RLIMIT_AS, resource_limits)
