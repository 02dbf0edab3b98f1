import os
import stat

import pytest

from polylogit.errors import PolylogitError
from polylogit.system.atomic_file import atomic_write


def write_and_fail(path, fault):
    with atomic_write(path) as temporary:
        temporary.write_text("half")
        raise fault


@pytest.mark.parametrize("fault", [RuntimeError("stop"), KeyboardInterrupt()])
def test_a_fault_leaves_the_old_file_and_no_other(tmp_path, fault):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(type(fault)):
        write_and_fail(path, fault)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_the_file_appears_only_when_the_block_has_ended(tmp_path):
    path = tmp_path / "a.txt"
    with atomic_write(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"


def test_rights_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "a.txt") as temporary:
            temporary.write_text("x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


def test_a_folder_that_is_a_file_is_reported(tmp_path):
    (tmp_path / "taken").write_text("")
    with (
        pytest.raises(PolylogitError, match=r"cannot be written .* Choose another place with --out"),
        atomic_write(tmp_path / "taken" / "a.txt"),
    ):
        pytest.fail("nothing can be written there")
