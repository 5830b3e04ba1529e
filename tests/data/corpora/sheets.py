"""Excel files for tests, as Excel writes them: shared strings for text, numbers as numbers, empty cells left out."""

from __future__ import annotations

import zipfile
from pathlib import Path
from xml.sax.saxutils import escape

_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


def write_xlsx(path: Path, rows: list[list[object]], *, shared: bool = True) -> Path:
    """With ``shared`` off, text stands in its cell, as other programs write it."""
    strings: list[str] = []
    lines = []
    for number, row in enumerate(rows, 1):
        cells = []
        for place, value in enumerate(row):
            reference = f"{chr(ord('A') + place)}{number}"
            if isinstance(value, str) and value and not shared:
                cells.append(f'<c r="{reference}" t="inlineStr"><is><t>{escape(value)}</t></is></c>')
            elif isinstance(value, str) and value:
                strings.append(value)
                cells.append(f'<c r="{reference}" t="s"><v>{len(strings) - 1}</v></c>')
            elif value != "":
                cells.append(f'<c r="{reference}"><v>{value}</v></c>')
        if cells:
            lines.append(f'<row r="{number}">{"".join(cells)}</row>')
    items = "".join(f"<si><t>{escape(text)}</t></si>" for text in strings)
    with zipfile.ZipFile(path, "w") as book:
        book.writestr(
            "xl/worksheets/sheet1.xml", f"<worksheet {_MAIN}><sheetData>{''.join(lines)}</sheetData></worksheet>"
        )
        if shared:
            book.writestr("xl/sharedStrings.xml", f"<sst {_MAIN}>{items}</sst>")
    return path
