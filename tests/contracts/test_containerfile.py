"""The Containerfile, read without a container engine: what it copies exists, and what runs is no root.

An engine's own check (`docker build --check`) needs a daemon, which most machines for tests lack.
"""

import json
import re
import shlex
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def instructions():
    """Each instruction with its arguments, continued lines joined and comments left out."""
    lines = (ROOT / "Containerfile").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", "", text)
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


INSTRUCTIONS = instructions()


def test_only_known_instructions_from_a_base_with_a_version():
    known = {"FROM", "ARG", "WORKDIR", "COPY", "RUN", "USER", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    assert {name for name, _ in INSTRUCTIONS} <= known
    for base in (words.split()[0] for name, words in INSTRUCTIONS if name == "FROM"):
        assert re.search(r":\d+\.\d+", base), f"{base} has no version"


def test_what_is_copied_exists_and_is_not_ignored():
    ignored = [line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").split() if line[0] not in "#!"]
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").split() if line[0] == "!"]
    copied = [shlex.split(words) for name, words in INSTRUCTIONS if name == "COPY"]
    sources = [source for words in copied if not words[0].startswith("--from") for source in words[:-1]]
    assert "src" in sources
    for source in sources:
        assert (ROOT / source).exists(), source
        parents = [source, *map(str, Path(source).parents)]
        hidden = any(fnmatch(part, pattern.rstrip("/")) for part in parents for pattern in ignored if part != ".")
        assert not hidden or any(fnmatch(source, pattern.rstrip("/")) for pattern in kept), f"{source} is ignored"


def test_the_last_user_is_a_number_that_is_not_root():
    assert int([words for name, words in INSTRUCTIONS if name == "USER"][-1]) > 0


@pytest.mark.parametrize("name", ["ENTRYPOINT", "CMD"])
def test_commands_are_lists_so_that_signals_arrive(name):
    (words,) = [words for found, words in INSTRUCTIONS if found == name]
    assert all(isinstance(word, str) for word in json.loads(words))


def test_a_download_leaves_no_cache_in_the_image():
    for words in (words for name, words in INSTRUCTIONS if name == "RUN"):
        for command in re.findall(r"pip (?:install|wheel)[^&]*", words):
            assert "--no-cache-dir" in command
