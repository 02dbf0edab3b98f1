"""`SoftmaxRegression(process_group=...)`: two processes with some of the rows each, started once for all cases."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from polylogit import SoftmaxRegression
from polylogit.errors import DataError

SCRIPT = Path(__file__).with_name("estimators_of_processes.py")


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    store = tmp_path_factory.mktemp("processes") / "store"
    started = [
        subprocess.Popen([sys.executable, SCRIPT, str(rank), store], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for rank in range(2)
    ]
    try:
        ended = [process.communicate(timeout=120) for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0, 0], (ended[0][1] + ended[1][1]).decode()
    return [json.loads(out) for out, _ in ended]


@pytest.mark.parametrize("case", ["balanced classes", "weights of classes", "no rows", "sparse"])
def test_both_processes_get_the_model_of_one(answers, case):
    first, second = (answer[case] for answer in answers)
    assert first["coef"] == second["coef"]
    assert first["classes"] == ["a", "b", "c", "d"]
    assert first["gap"] <= 1e-10
    assert first["difference"] < 1e-4


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("one class", "expected at least 2 classes, got 1 class: a"),
        ("text", "process 1 of 2: ValueError: could not convert string to float"),
        ("names", "columns of X: expected the same on all 2 processes, got ['column0'"),
        ("columns", "columns of X: expected the same on all 2 processes, got 5 on process 0 and 4 on process 1"),
        ("numbers and texts", "y: some processes have texts, others numbers"),
        ("class weights of one", "class_weight: expected the same on all 2 processes, got None on process 0 and"),
        ("unknown class", "class_weight: the label 'z' is not among the classes"),
    ],
)
def test_a_fault_of_one_is_the_error_of_both(answers, case, message):
    assert [message in answer[case] for answer in answers] == [True, True]


def test_the_default_group_must_be_there():
    with pytest.raises(DataError, match=r'process_group="world": torch\.distributed has no default group\. Call torch'):
        SoftmaxRegression(process_group="world").fit([[0.0], [1.0]], [0, 1])
