"""The code and the docs use the field's terms: words of an old private vocabulary do not come back."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORDS = re.compile(
    r"\b(told|mend|mends|mended|strangers?|flatters?|flattered|kin|anew|judgements?|refuse_\w+)\b"
    r"|\bis the business of\b|\broad\b|\blies\b|\bOwns\b"
)
ALLOWED = {
    "src/polylogit/misuse/findings.py": {"mend"},  # the deprecated name of the attribute `fix`
}
PATTERNS = (
    *("src/**/*.py", "src/**/*.jinja", "src/**/*.toml", "docs/**/*.md"),
    *("README.md", "CONTRIBUTING.md", "SECURITY.md", ".github/**/*"),
)
FILES = sorted(path for pattern in PATTERNS for path in ROOT.glob(pattern) if path.is_file())


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])
def test_no_word_of_the_old_vocabulary(path):
    allowed = ALLOWED.get(path.relative_to(ROOT).as_posix(), set())
    found = [
        f"line {number}: {match[0]}"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        for match in WORDS.finditer(line)
        if match[0] not in allowed
    ]
    assert not found


def test_the_files_are_found():
    assert len(FILES) > 200
    assert ROOT / "SECURITY.md" in FILES


def test_no_test_is_named_in_the_old_vocabulary():
    former = re.compile(r"^def (test_\w*_(?:told|tells?|judged|judges|judging|mends?|anew)(?:_\w+)?)\(", re.MULTILINE)
    tests = sorted(ROOT.glob("tests/**/*.py"))
    assert not [name for path in tests for name in former.findall(path.read_text(encoding="utf-8"))]
