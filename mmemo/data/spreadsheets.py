"""Reader of CSV, TSV and Excel sheets of any layout, row by row with line numbers."""

from __future__ import annotations

import csv
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from mmemo.errors import ManifestError, expected_one_of, shown
from mmemo.reading import open_input, read_lines, reason

_SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_LARGEST_SHEET = 50_000_000  # bytes; a coding sheet has some hundred thousand, and a bomb no limit
_LAST_COLUMN = 16_384  # XFD, of Excel
_MOST_CELLS = 10_000_000
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_BROKEN = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, ElementTree.ParseError, EOFError, IndexError, KeyError, OSError,
    RuntimeError, ValueError,
)  # fmt: skip
"""What a file raises that is no archive, is encrypted or packed in an unknown way, or holds no sheet."""


@dataclass(frozen=True)
class Row:
    """One row of a table by its header, and its line in the file, from 1."""

    line: int
    cells: dict[str, str]
    surplus: int = 0
    """Cells beyond the header's."""

    def __getitem__(self, column: str) -> str:
        return self.cells[column]

    def number(self, column: str) -> float:
        """A cell as a number.

        Raises:
            ValueError: if it is none; the message names line and column.
        """
        try:
            return float(self.cells[column])
        except ValueError:
            raise ValueError(f"line {self.line}: {column} is {shown(self.cells[column])}, expected a number") from None

    def integer(self, column: str) -> int:
        """A cell as a whole number.

        Raises:
            ValueError: if it is none; the message names line and column.
        """
        number = self.number(column)
        if not number.is_integer():
            raise ValueError(f"line {self.line}: {column} is {shown(self.cells[column])}, expected a whole number")
        return int(number)

    def one_of(self, column: str, known: Iterable[str]) -> str:
        """A cell that is one of some words.

        Raises:
            ValueError: if it is none of them; the message names line and column.
        """
        names = list(known)
        if self.cells[column] not in names:
            raise ValueError(f"line {self.line}: {expected_one_of(column, names, self.cells[column])}")
        return self.cells[column]


def read_rows(
    path: Path, columns: Iterable[str], *, delimiter: str | None = None, quoted: bool = True, header: int = 1
) -> Iterator[Row]:
    """The rows of a ``.csv``, ``.tsv``, ``.txt`` or ``.xlsx`` file, streamed.

    In an Excel sheet the header may come after some lines of text, as it does in SAMM's.

    Args:
        columns: those that must be there.
        delimiter: of a text file; by default the one of tab, semicolon and comma that its header has most of.
        quoted: whether quotation marks are quotes; in plain TSV they are part of the text.
        header: line of a text file that has its header; those before it are passed over.

    Raises:
        ManifestError: if a column is missing, the file can't be read, or is no text in UTF-8.
    """
    wanted = list(columns)
    lines = _sheet(path) if path.suffix.lower() == ".xlsx" else _text(path, delimiter, quoted, header)
    names: list[str] | None = None
    first: list[str] | None = None
    for number, cells in lines:
        first = first or cells
        if names is None:
            if all(column in cells for column in wanted):
                names = cells
                twice = sorted({column for column in names if column and names.count(column) > 1})
                if twice:
                    raise ManifestError(path, [f"Column {column!r} is there more than once" for column in twice])
            elif path.suffix.lower() != ".xlsx":
                break
        elif any(cells):
            filled = [*cells, *[""] * (len(names) - len(cells))]
            yield Row(number, dict(zip(names, filled, strict=False)), max(0, len(cells) - len(names)))
    if names is None:
        missing = [expected_one_of("Column", first or [], column) for column in wanted if column not in (first or [])]
        raise ManifestError(path, missing or ["it has no header with " + ", ".join(wanted)])


def has_columns(path: Path, columns: Iterable[str]) -> bool:
    """Whether a table has such a header."""
    try:
        next(read_rows(path, columns), None)
    except ManifestError:
        return False
    return True


def read_text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text file and their numbers, from 1; a line ends with a line feed and nothing else.

    Raises:
        ManifestError: if it is not UTF-8.
    """
    for number, line in enumerate(lines_of(path), 1):
        try:
            yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            message = f"line {number}: byte {error.start + 1} is not UTF-8: save the file as UTF-8"
            raise ManifestError(path, [message]) from None


def lines_of(path: Path) -> Iterator[bytes]:
    """The lines of a text file, not yet decoded, of which one is in memory at a time.

    Raises:
        ManifestError: if it can't be read, or is UTF-16.
    """
    try:
        for number, line in enumerate(read_lines(path)):
            if number == 0 and line.startswith(_UTF16):
                raise ManifestError(path, ["line 1: it is UTF-16; save it as UTF-8 (in Excel: 'CSV UTF-8')"])
            yield line
    except FileNotFoundError:
        raise ManifestError(path, ["there is no such file"]) from None
    except OSError as error:
        raise ManifestError(path, [f"it can't be read: {reason(error)}"]) from None


def read_document(path: Path) -> str:
    """The whole text of a file; what is not UTF-8 in it is replaced.

    Raises:
        ManifestError: if it can't be read.
    """
    return b"".join(lines_of(path)).decode("utf-8-sig", "replace")


def _text(path: Path, delimiter: str | None, quoted: bool, first: int = 1) -> Iterator[tuple[int, list[str]]]:
    header = next((line for number, line in read_text_lines(path) if number == first), "")
    chosen = delimiter or max("\t;,", key=header.count)
    reader = csv.reader(
        (line for number, line in read_text_lines(path) if number >= first),
        delimiter=chosen,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        strict=quoted,
    )
    while True:
        number = reader.line_num + first
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise ManifestError(path, [f"line {number}: not CSV: {error}; is a quote left open?"]) from None
        if cells is None:
            return
        yield number, cells if number > first else [cell.strip() for cell in cells]


def _sheet(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The first sheet of an Excel file: its XML needs no package to be read."""
    try:
        with open_input(path) as file, zipfile.ZipFile(file) as book:
            if any(entry.file_size > _LARGEST_SHEET for entry in book.infolist()):
                raise ManifestError(path, ["it is too large to be a coding sheet; save it as CSV"])
            names = book.namelist()
            shared: list[str] = []
            if "xl/sharedStrings.xml" in names:
                strings = ElementTree.fromstring(book.read("xl/sharedStrings.xml"))
                shared = [
                    "".join(t.text or "" for t in item.iter(_SHEET + "t")) for item in strings.iter(_SHEET + "si")
                ]
            sheets = sorted(name for name in names if re.fullmatch(r"xl/worksheets/sheet\d+\.xml", name))
            sheet = ElementTree.fromstring(book.read(sheets[0]))
    except FileNotFoundError:
        raise ManifestError(path, ["there is no such file"]) from None
    except _BROKEN as error:
        raise ManifestError(path, [f"not an Excel .xlsx file ({reason(error)}); save it as CSV"]) from None
    room = _MOST_CELLS
    for following, row in enumerate(sheet.iterfind(f"{_SHEET}sheetData/{_SHEET}row"), 1):
        number = int(row.get("r", "")) if re.fullmatch(r"[0-9]{1,9}", row.get("r", "")) else following
        cells: list[str] = []
        for cell in row.iterfind(_SHEET + "c"):
            place = _column(cell.get("r", ""), len(cells))
            if place >= _LAST_COLUMN:
                raise ManifestError(path, [f"row {number}: there is no column {shown(cell.get('r'))}; save it as CSV"])
            cells += [""] * (place - len(cells))
            try:
                cells.append(_value(cell, shared))
            except (IndexError, ValueError):
                raise ManifestError(path, [f"row {number}: a cell names a text that is not in the file"]) from None
        room -= len(cells)
        if room < 0:
            raise ManifestError(path, ["it has too many cells to be a coding sheet; save it as CSV"])
        yield number, cells


def _column(reference: str, following: int) -> int:
    """``C7`` is column 2; a cell without reference follows the one before."""
    letters = re.match(r"[A-Z]{1,8}", reference)
    if letters is None:
        return following
    number = 0
    for letter in letters.group():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def _value(cell: ElementTree.Element, shared: list[str]) -> str:
    if cell.get("t") == "inlineStr":
        return "".join(t.text or "" for t in cell.iter(_SHEET + "t")).strip()
    value = cell.findtext(_SHEET + "v") or ""
    if cell.get("t") == "s":
        return shared[int(value)].strip()
    return value.removesuffix(".0").strip()
