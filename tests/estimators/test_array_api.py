import os
import subprocess
import sys
from pathlib import Path

import pytest
import sklearn
from sklearn.utils.fixes import parse_version

SCRIPT = Path(__file__).parent / "array_api_checks.py"


@pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"), reason="the signature of the checks is another before"
)
def test_answers_are_in_the_callers_namespace():
    pytest.importorskip("array_api_strict")
    result = subprocess.run(
        [sys.executable, str(SCRIPT)],
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert len(result.stdout.splitlines()) == 3 * 6 + 3
