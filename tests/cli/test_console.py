"""What is printed: no escape sequence of a file, no traceback for a stream that cannot be written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HOSTILE = "fish\x1b[2J\x1b]0;title\x07\u202e"


def command(*words, **options):
    return subprocess.run([sys.executable, "-m", "polylogit", *words], check=False, **options)


@pytest.fixture
def hostile_table(tmp_path):
    path = tmp_path / ":smile: animals.csv"
    rows = [f'{n},{n % 7},"{HOSTILE if n % 2 else "[red]dog[/red] :smile:"}"' for n in range(60)]
    path.write_text(f'legs,"tail{HOSTILE}",kind\n' + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_names_and_paths_are_shown_and_never_obeyed(polylogit, hostile_table):
    trained = polylogit("train", hostile_table, "--target", "kind", "--out", "m.safetensors")
    checked = polylogit("check", hostile_table, "--target", "kind")
    evaluated = polylogit("evaluate", "m.safetensors", hostile_table)
    for done in (trained, checked, evaluated):
        assert done.exit_code == 0
        printed = done.stdout + done.stderr
        assert [mark for mark in ("\x1b", "\x07", "\u202e") if mark in printed] == []
        assert "fish\\x1b[2J" in printed
        assert "[red]dog[/red] :smile:" in printed
    assert ":smile: animals.csv" in trained.stdout


def test_an_error_shows_escapes_and_cuts_long_names(polylogit, hostile_table):
    done = polylogit("train", hostile_table, "--target", "k\x1b[31m" + "x" * 3000)
    assert done.exit_code == 1
    assert "k\\x1b[31mxxx" in done.stderr
    assert "\x1b" not in done.stderr
    assert len(done.stderr) < 1000


def test_a_closed_pipe_ends_the_command_quietly():
    reader, writer = os.pipe()
    os.close(reader)
    done = command("lessons", "--list", stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_device_is_one_message():
    with Path("/dev/full").open("wb") as full:
        done = command("lessons", "--list", stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr == "error: standard output cannot be written: No space left on device.\n"


def test_an_ascii_terminal_gets_escapes(tmp_path):
    (tmp_path / "a.csv").write_text("n,kind\n" + "\n".join(f"{n},{'né'[n % 2]}" for n in range(30)), encoding="utf-8")
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = command("check", "a.csv", "--target", "kind", cwd=tmp_path, capture_output=True, env=ascii_only)
    assert done.returncode == 0
    assert b"\\xe9 15" in done.stdout
    assert b"Traceback" not in done.stderr
