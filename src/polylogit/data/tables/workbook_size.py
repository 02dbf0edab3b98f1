"""The cells that the sheets of a workbook span, counted before they are read.

The reader of workbooks holds every cell between the first and the last that are filled, so that two cells can ask for
all memory there is. Sheets are streamed here, and their spans compared with the limits of the process, and with the
cells that are written, whatever the limits are.
"""

import re
import zipfile
from pathlib import Path
from xml.parsers import expat

from polylogit.data.tables.archives import check_archive
from polylogit.data.tables.limits import Unpacked, current_limits
from polylogit.errors import DataError

__all__ = ["check_workbook_size"]

_BINARY_ENDINGS = (".xls", ".xlsb")
_BLOCK = 2**20
_REFERENCE = re.compile(r"([A-Za-z]{1,7})(\d{1,10})")
_SHEET = b"sheetData"
_CELLS_ALWAYS_TAKEN = 2**21
_MOST_CELLS_A_WRITTEN_ONE = 100
_ZIP_FAULTS = (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError, ValueError)


def check_workbook_size(path: Path) -> None:
    """Raise an error if the sheets of a workbook span more cells than the size of the file explains.

    Args:
        path: A workbook, .xlsx or .ods; the cells of the binary formats cannot be counted before they are read.

    Raises:
        DataError: One does, or the workbook is damaged or in a binary format.
    """
    if path.suffix.lower() in _BINARY_ENDINGS:
        raise _binary(path)
    with check_archive(path) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        if any(member.filename.lower().endswith("workbook.bin") for member in members):
            raise _binary(path)
        for member in members:
            _check_member(path, archive, member)


def _binary(path: Path) -> DataError:
    return DataError(
        f"{path}: the binary formats .xls and .xlsb are not read, since how much memory their cells take is not known "
        "before. Save the workbook as .xlsx or .csv."
    )


class _Span:
    """How far the filled cells of a sheet reach, from the elements of .xlsx and of .ods.

    Args:
        path: The workbook, for messages.
        size: Its bytes.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size
        self._start_sheet()

    def _start_sheet(self) -> None:
        self._row = self._column = self._rows = self._columns = self._written = 0
        self._first_column = 2**62
        self._row_repeats = self._column_repeats = 1

    def check(self) -> None:
        """Raise an error if the sheet so far is larger than the limits allow."""
        columns = max(0, self._columns - self._first_column + 1)
        current_limits().check_columns(self._path, columns)
        current_limits().check_cells(self._path, self._rows, columns, self._size)
        if self._rows * columns > max(_CELLS_ALWAYS_TAKEN, _MOST_CELLS_A_WRITTEN_ONE * self._written):
            raise DataError(
                f"{self._path}: a sheet spans {self._rows} rows of {columns} columns, but only {self._written} cells "
                "of it are written. Delete the cells that are far away from the table, or save the sheet as .csv."
            )

    def element(self, name: str, attributes: dict[str, str]) -> None:
        """Take in the start of an element."""
        name = name.rpartition(":")[2]
        match name:
            case "c":
                self._cell(attributes.get("r"))
            case "v" | "t":
                self._filled()
            case "row":
                self._row = int(attributes["r"]) if "r" in attributes else self._row + 1
                self._column = 0
            case "table-cell" | "covered-table-cell":
                self._column += self._column_repeats
                self._column_repeats = _repeats(attributes, "columns")
                if any("value" in attribute for attribute in attributes):
                    self._filled_repeatedly()
            case "p":
                self._filled_repeatedly()
            case "table-row":
                self._row += self._row_repeats
                self._row_repeats = _repeats(attributes, "rows")
                self._column, self._column_repeats = 1, 0
            case "table" | "worksheet":
                self.check()
                self._start_sheet()

    def _cell(self, reference: str | None) -> None:
        if reference is None:
            self._column += 1
            return
        found = _REFERENCE.fullmatch(reference)
        if found is None:
            raise ValueError(f"no cell is called {reference[:20]!r}")
        self._column = 0
        for letter in found[1].upper():
            self._column = 26 * self._column + ord(letter) - ord("A") + 1
        self._row = int(found[2])

    def _filled(self) -> None:
        self._written += 1
        self._rows = max(self._rows, self._row)
        self._columns = max(self._columns, self._column)
        self._first_column = min(self._first_column, self._column)

    def _filled_repeatedly(self) -> None:
        self._written += 1
        self._rows = max(self._rows, self._row + self._row_repeats - 1)
        self._columns = max(self._columns, self._column + self._column_repeats - 1)
        self._first_column = min(self._first_column, self._column)


def _repeats(attributes: dict[str, str], what: str) -> int:
    return int(attributes.get(f"table:number-{what}-repeated", 1))


def _check_member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    span = _Span(path, path.stat().st_size)
    parser = expat.ParserCreate()
    parser.StartElementHandler = span.element
    is_xml, tail = True, b""
    try:
        with archive.open(member) as packed:
            stream = Unpacked(packed, path, path.stat().st_size)  # type: ignore[arg-type]  # it is buffered
            while block := stream.read(_BLOCK):
                try:
                    if is_xml:
                        parser.Parse(block)
                except expat.ExpatError as fault:
                    if member.filename.lower().endswith(".xml"):
                        raise ValueError(str(fault)) from fault
                    is_xml = False  # a picture, or the like
                if not is_xml and _SHEET in tail + block:
                    raise ValueError(f"{member.filename} is a sheet that is not well-formed")
                tail = block[-len(_SHEET) :]
    except DataError:
        raise
    except _ZIP_FAULTS as fault:
        raise DataError(
            f"{path}: cannot be read as a workbook ({str(fault).splitlines()[0]}). Is it whole, without a password?"
        ) from fault
    span.check()
