"""The `curl` commands of docs/serving.md do what the page says."""

import re
import shlex
import subprocess
from pathlib import Path

import polars as pl
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "serving.md"
COMMANDS = re.findall(r"^```bash\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def zoo_server(zoo_run, start, tmp_path_factory):
    with start(zoo_run.model_path, folder=tmp_path_factory.mktemp("log")) as (address, _, _):
        yield address


def test_the_commands(zoo_server, tmp_path):
    from polylogit.data.tables.sources import open_source

    open_source("zoo").frame.write_csv(tmp_path / "animals.csv")
    found = []
    for command in COMMANDS:
        assert shlex.split(command)[0] == "curl"
        line = command.replace("http://127.0.0.1:8000", zoo_server)
        done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=True)
        found.append(done.stdout)
    assert '"class":"mammal"' in found[0]
    assert pl.read_csv(tmp_path / "classes.csv").height == 101
    assert '"column":"legs"' in found[2]
    assert len(found) == 3
