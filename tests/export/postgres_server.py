"""A PostgreSQL server for a test: started in a temporary folder by an unprivileged user, on a socket and no port."""

import io
import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from polylogit.export.parity import Answers
from polylogit.export.sql_target import table_of_rows


def _program(name):
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return shutil.which(name, path=os.pathsep.join([*map(str, folders), os.environ["PATH"]]))


@contextmanager
def postgres_server():
    """Yield the folder of the server's socket; skip the test where none can be started."""
    programs = {name: _program(name) for name in ("initdb", "pg_ctl", "psql")}
    if not all(programs.values()):
        pytest.skip("PostgreSQL is not installed")
    prefix = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        try:
            user = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("there is no user postgres to run the server as")
        prefix = ["runuser", "-u", "postgres", "--"]
    with tempfile.TemporaryDirectory(prefix="polylogit-postgres-", dir="/tmp") as folder:
        if prefix:
            os.chown(folder, user.pw_uid, user.pw_gid)
        data = f"{folder}/data"

        def run(program, *words):
            done = subprocess.run(
                [*prefix, programs[program], *words], capture_output=True, text=True, cwd="/", check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr

        run("initdb", "-D", data, "-U", "test", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        run("pg_ctl", "-D", data, "-w", "-l", f"{folder}/log", "-o", options, "start")
        try:
            yield Path(folder)
        finally:
            run("pg_ctl", "-D", data, "-m", "immediate", "stop")


def _psql(server, script):
    words = [_program("psql"), "-h", str(server), "-U", "test", "-d", "postgres", "-X", "-q", "-v", "ON_ERROR_STOP=1"]
    done = subprocess.run(words, input=script.encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def scored_by_postgres(server, statement, rows):
    """The answers of the statement for rows, which become the table `data`."""
    create, _ = table_of_rows(rows, "postgres")
    cells = rows.write_csv(include_header=False, null_value="\\N")
    select = statement.partition("\n")[2].rstrip().removesuffix(";")
    script = f"""DROP TABLE IF EXISTS data;
{create};
COPY data FROM STDIN WITH (FORMAT csv, NULL '\\N');
{cells}\\.
COPY ({select}) TO STDOUT WITH (FORMAT csv, NULL '\\N');
"""
    found = pl.read_csv(
        io.BytesIO(_psql(server, script)), has_header=False, infer_schema=False, null_values="\\N", raise_if_empty=False
    )
    if not len(found):
        classes = len(statement.partition("\n")[2].split('AS "probability_')) - 1
        return Answers([], np.zeros((0, classes)))
    names, *probabilities = found.get_columns()
    return Answers(names.to_list(), np.column_stack([each.cast(pl.Float64).to_numpy() for each in probabilities]))
