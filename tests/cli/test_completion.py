"""Shell completion, as bash, zsh and fish themselves do it."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """Run a script in a shell whose home is empty; skipped where the shell is not installed."""
    command = tmp_path / "bin" / "polylogit"
    command.parent.mkdir()
    command.write_text(f"#!{sys.executable}\nfrom polylogit.cli import main\n\nmain()\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2] / "src"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def run(name, script):
        if shutil.which(name) is None:
            pytest.skip(f"there is no {name}: apt-get install {name}")
        # The shell is found among the parents of the command; `true` keeps it from being replaced by it.
        subprocess.run([name, "-c", f"polylogit --show-completion > completion.{name}; true"], check=True, timeout=60)
        return subprocess.run([name, "-c", script], capture_output=True, text=True, timeout=60, check=True).stdout

    return run


def test_bash(shell):
    complete = """
        source completion.bash
        COMP_WORDS=(polylogit tr); COMP_CWORD=1; _polylogit_completion polylogit; echo "${COMPREPLY[@]}"
        COMP_WORDS=(polylogit train --mod); COMP_CWORD=2; _polylogit_completion polylogit; echo "${COMPREPLY[@]}"
    """
    assert shell("bash", complete).split() == ["train", "--model"]


def test_fish(shell):
    complete = 'source completion.fish; complete -C "polylogit tr"; complete -C "polylogit train --mod"'
    lines = shell("fish", complete).splitlines()
    assert [line.split("\t")[0] for line in lines if line.startswith(("tr", "--"))] == ["train", "--model"]


def test_zsh(shell):
    """zsh completes on a terminal only, so it gets one, and a tab."""
    shell("zsh", "true")
    terminal, inner = pty.openpty()
    zsh = subprocess.Popen(
        ["zsh", "-f", "-i"], stdin=inner, stdout=inner, stderr=inner, env={**os.environ, "TERM": "dumb"}
    )
    try:
        os.write(terminal, b"autoload -U compinit; compinit -u; source completion.zsh; echo rea''dy\n")
        assert b"ready" in _shown(terminal, b"ready")
        os.write(terminal, b"polylogit train --mod\t")
        assert b"--model" in _shown(terminal, b"--model")
    finally:
        zsh.kill()
        zsh.wait()
        os.close(terminal)
        os.close(inner)


def _shown(terminal, wanted, seconds=20):
    """What the terminal shows until the wanted bytes are there."""
    shown, end = b"", time.monotonic() + seconds
    while wanted not in shown and time.monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            shown += os.read(terminal, 65536)
    return shown
