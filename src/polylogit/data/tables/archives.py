"""Zip archives: the one table in an archive, and the limits on what an archive may expand to."""

import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from polylogit.data.tables.limits import Unpacked, current_limits
from polylogit.errors import DataError
from polylogit.system.regular_file import check_regular
from polylogit.system.temporary_folder import temporary_folder

__all__ = ["check_archive", "table_in_archive"]


def check_archive(path: Path) -> zipfile.ZipFile:
    """Open a zip archive whose members together stay within the limits of the process.

    Args:
        path: An archive, or a workbook, which is one.

    Returns:
        The archive, open.

    Raises:
        DataError: It is damaged, or claims to expand too far.
    """
    try:
        check_regular(path)
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError) as fault:
        raise DataError(f"{path}: the archive is damaged ({fault}).") from fault
    except OSError as fault:
        raise DataError(f"{path}: cannot be read ({fault.strerror or fault}).") from fault
    current_limits().check_unpacked(path, sum(member.file_size for member in archive.infolist()), path.stat().st_size)
    return archive


@contextmanager
def table_in_archive(path: Path, is_table: Callable[[Path], bool]) -> Iterator[tuple[Path, str]]:
    """The only table in an archive, unpacked into a temporary folder.

    Args:
        path: A zip archive.
        is_table: Whether a path names a table that can be read.

    Yields:
        The path of the unpacked table, and what messages call it.

    Raises:
        DataError: There is no table in the archive, or there are several; or it is damaged or encrypted.
    """
    with check_archive(path) as archive, temporary_folder() as folder:
        members = [member for member in archive.infolist() if not member.is_dir() and _is_content(member.filename)]
        tables = [member for member in members if is_table(Path(member.filename))]
        if len(tables) != 1:
            names = [member.filename for member in tables or members]
            listed = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
            raise DataError(
                f"{path}: expected one table in the archive, found {len(tables)} ({listed or 'it is empty'}). "
                "Unpack it, and name the table or the folder."
            )
        name = PurePosixPath(tables[0].filename.replace("\\", "/")).name
        try:
            with archive.open(tables[0]) as packed, (folder / name).open("wb") as target:
                shutil.copyfileobj(Unpacked(packed, path, path.stat().st_size), target, 2**20)  # type: ignore[arg-type]  # it is buffered
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as fault:
            raise DataError(f"{path}: {name} cannot be unpacked ({fault}).") from fault
        yield folder / name, f"{path} ({name})"


def _is_content(name: str) -> bool:
    path = PurePosixPath(name)
    return "__MACOSX" not in path.parts and not path.name.startswith(".") and bool(path.name)
